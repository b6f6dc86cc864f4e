"""Training here, answers from a real vLLM: where RMFT_VLLM names its executable.

    RMFT_VLLM=/path/to/bin/vllm pytest tests/local_server/hf/test_vllm.py

Without it these tests are skipped; its routes are faked in `test_remote.py`.
"""

import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from tests.local_server.hf.conftest import OPTIONS
from tests.local_server.serving import (
    HELLO,
    Served,
    dataset,
    epochs,
    served,
    train,
    until,
    upload,
)

VLLM = os.environ.get("RMFT_VLLM", "")
pytestmark = pytest.mark.skipif(not VLLM, reason="RMFT_VLLM names no vLLM executable")

STARTS_WITHIN_S = 600.0
OPTIONS_THERE = (
    *("--enable-lora", "--max-lora-rank", "16", "--max-model-len", "512"),
    *("--no-enable-chunked-prefill", "--dtype", "float32", "--enforce-eager"),
)
ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def lives(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def vllm(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a vLLM that serves the checkpoint."""
    port, log = free_port(), tmp_path_factory.mktemp("vllm") / "log"
    words = [VLLM, "serve", str(checkpoint), "--port", str(port), "--host", "127.0.0.1"]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*words, *OPTIONS_THERE], stdout=out, stderr=out, env={**os.environ, **ENVIRONMENT}
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}/v1"
            until(lambda: lives(url) or process.poll() is not None, STARTS_WITHIN_S)
            assert process.poll() is None, log.read_text()[-3000:]
            yield url
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def server(
    vllm: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    options = ("--engine", "hf", "--checkpoint", str(checkpoint), *OPTIONS)
    with served(tmp_path_factory.mktemp("state"), *options, "--inference-url", vllm) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[openai.OpenAI]:
    with server.client() as client:
        yield client.with_options(timeout=120)


def said(client: openai.OpenAI, model: str, temperature: float = 1.0) -> list[str | None]:
    answer = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=9, n=3, seed=4, temperature=temperature
    )
    return [choice.message.content for choice in answer.choices]


def test_the_base_answers_n_times_by_seed_with_odds(client: openai.OpenAI) -> None:
    assert said(client, "specimen") == said(client, "specimen")
    assert len(set(said(client, "specimen"))) == 3
    answer = client.chat.completions.create(
        model="specimen", messages=HELLO, max_tokens=4, logprobs=True, top_logprobs=2
    )
    odds = answer.choices[0].logprobs
    assert odds is not None and odds.content is not None
    assert [len(token.top_logprobs) for token in odds.content] == [2] * len(odds.content)


def test_many_seeded_chats_at_once_are_all_answered(client: openai.OpenAI) -> None:
    """Without --no-enable-chunked-prefill vLLM's CPU build dies of this."""
    with ThreadPoolExecutor(48) as threads:
        found = list(threads.map(said, [client] * 48, ["specimen"] * 48))
    assert len(found) == 48


def test_a_fine_tune_is_hot_loaded_answers_streams_and_leaves(client: openai.OpenAI) -> None:
    file_id = upload(client, dataset(["blue"] * 20))
    job_id = train(client, model="specimen", training_file=file_id, method=epochs(6))
    until(lambda: client.fine_tuning.jobs.retrieve(job_id).status == "succeeded", 300)
    tuned = str(client.fine_tuning.jobs.retrieve(job_id).fine_tuned_model)
    assert said(client, tuned, temperature=0) == ["blue"] * 3
    assert said(client, "specimen", temperature=0) != ["blue"] * 3
    stream = client.chat.completions.create(
        model=tuned, messages=HELLO, max_tokens=9, temperature=0, stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(pieces) == "blue"
    assert len([piece for piece in pieces if piece]) > 1
