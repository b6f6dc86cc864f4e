"""What goes wrong with open models on the wire: told in OpenAI's shape, and the server lives on."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.local_server.serving import (
    FINAL,
    Served,
    dataset,
    epochs,
    served,
    train,
    until,
    upload,
)

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

MIB, GIB = 2**20, 2**30
FEW_THREADS = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Each thread takes address space of its own."""


def options(checkpoint: Path, *more: str) -> tuple[str, ...]:
    return ("--engine", "hf", "--checkpoint", str(checkpoint), "--set", "name=open", *more)


def job_of(client: openai.OpenAI, **fields: Any) -> Any:
    """A job of one epoch, at its end."""
    fields = {"model": "open", "method": epochs(1), **fields}
    fields.setdefault("training_file", upload(client, dataset(["blue"] * 10)))
    job_id = train(client, **fields)
    return until(lambda: ended(client, job_id), within_s=240)


def ended(client: openai.OpenAI, job_id: str) -> Any:
    job = client.fine_tuning.jobs.retrieve(job_id)
    return job if job.status in FINAL else None


def imported() -> int:
    """Bytes of address space that a trainer's packages take; with CUDA's, they are many more."""
    told = (
        "import pathlib, trl; trl.SFTTrainer; print(pathlib.Path('/proc/self/statm').read_text())"
    )
    command = [sys.executable, "-c", told]
    environ = {**os.environ, **FEW_THREADS}
    pages = subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
    return int(pages.split()[0]) * resource.getpagesize()


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))


@pytest.fixture
def lives(tmp_path: Path, copy: Path) -> Iterator[tuple[Served, openai.OpenAI]]:
    with served(tmp_path / "state", *options(copy)) as server, server.client() as client:
        yield server, client.with_options(timeout=60)


def test_a_checkpoint_that_is_gone_or_without_a_template_fails_the_job_and_no_more(
    lives: tuple[Served, openai.OpenAI], copy: Path, checkpoint: Path
) -> None:
    server, client = lives
    with pytest.raises(openai.NotFoundError) as absent:
        train(client, model="ft:open:local:test:12345678")
    assert absent.value.code == "model_not_found"
    (copy / "chat_template.jinja").rename(copy / "chat_template.away")
    job = job_of(client)
    assert (job.status, job.error.code, job.error.param) == ("failed", "model_unreadable", "model")
    assert "has no chat template" in job.error.message
    shutil.rmtree(copy)
    status, answer = server.chat(model="open", max_tokens=2)
    assert (status, answer["error"]["code"]) == (503, "model_unreadable")
    job = job_of(client)
    assert (job.status, job.error.code) == ("failed", "model_unreadable")
    assert "no checkpoint" in job.error.message
    shutil.copytree(checkpoint, copy)
    status, answer = server.chat(model="open", max_tokens=2)
    assert (status, len(answer["choices"])) == (200, 1)


def test_an_adapter_of_another_base_is_refused_on_the_wire(tmp_path: Path, copy: Path) -> None:
    from rmft_api.local_server.hf import example_checkpoint

    with served(tmp_path / "state", *options(copy)) as server, server.client() as client:
        tuned = job_of(client).fine_tuned_model
        server.kill()
    example_checkpoint.make(tmp_path / "other", 7, 0, lambda line: None)
    again = options(tmp_path / "other")
    with served(tmp_path / "state", *again) as server, server.client() as client:
        status, answer = server.chat(model=tuned, max_tokens=2)
        assert (status, answer["error"]["code"]) == (400, "adapter_of_another_base")
        assert answer["error"]["param"] == "model"
        job = job_of(client, model=tuned)
        assert (job.status, job.error.code) == ("failed", "adapter_of_another_base")
        assert server.chat(model="open", max_tokens=2)[0] == 200


def test_memory_that_runs_out_fails_the_job_with_settings_that_fit(
    tmp_path: Path, copy: Path
) -> None:
    """The address space of server and trainer is bounded, as a container's memory is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    chats = [" ".join(["blue"] * 85)] * 256
    wide = options(copy, "--set", "micro_batch=256", "--set", "threads=1")
    with ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_AS, (imported() + GIB, hard))
        try:
            server = held.enter_context(served(tmp_path / "state", *wide, **FEW_THREADS))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        with server.client() as client:
            numbers = {"n_epochs": 1, "batch_size": 256}
            method = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
            file_id = upload(client, dataset(chats))
            job = job_of(client, training_file=file_id, method=method)
            assert (job.status, job.error.code) == ("failed", "out_of_memory"), job.error
            assert "GiB are needed" in job.error.message
            assert "this would fit: --set micro_batch=" in job.error.message
            assert server.chat(model="open", max_tokens=2)[0] == 200


@pytest.mark.parametrize("before", ["the end of an epoch", "a model"])
def test_a_disk_that_is_full_fails_the_job_and_the_next_one_succeeds(
    before: str, tmp_path: Path, copy: Path
) -> None:
    """Files may not grow: what TRL saves for resuming, or the adapter itself, finds no room."""
    every = "0" if before == "the end of an epoch" else "600"
    chosen = options(copy, "--set", "lora_rank=64", "--set", f"save_every_s={every}")
    with served(tmp_path / "state", *chosen) as server, server.client() as client:
        pid = server.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MIB // 4, resource.RLIM_INFINITY))
        job = job_of(client)
        assert (job.status, job.error.code) == ("failed", "disk_full"), job.error
        assert "cannot be saved" in job.error.message
        assert not list((tmp_path / "state" / "jobs" / job.id / "weights").iterdir())
        until(lambda: not (tmp_path / "state" / "jobs" / job.id / "scratch").exists())
        assert server.chat(model="open", max_tokens=2)[0] == 200
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        assert job_of(client).status == "succeeded"


def test_an_upload_to_a_full_disk_is_refused_in_openais_shape(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.client() as client:
        pid = server.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MIB, resource.RLIM_INFINITY))
        with pytest.raises(openai.APIStatusError) as full:
            upload(client, b"x" * 3 * MIB)
        assert full.value.status_code == 507
        assert json.loads(full.value.response.text)["error"]["code"] == "disk_full"
        assert client.models.list().data
        assert upload(client)


def test_adapters_beyond_the_cap_are_refused_until_one_is_deleted(
    tmp_path: Path, copy: Path
) -> None:
    """An adapter of rank 128 takes 2.6 MB here."""
    capped = options(copy, "--set", "lora_rank=128", "--set", "adapters_mb=4")
    with served(tmp_path / "state", *capped) as server, server.client() as client:
        job = job_of(client)
        assert job.status == "succeeded"
        tuned = next(one for one in client.models.list() if one.id == job.fine_tuned_model)
        (file,) = (tmp_path / "state" / "jobs" / job.id / "weights").iterdir()
        assert (tuned.model_extra or {})["bytes"] == file.stat().st_size
        with pytest.raises(openai.BadRequestError) as full:
            train(client, model="open", method=epochs(1))
        assert full.value.code == "adapters_full"
        assert "take 3 MB of the 4 MB" in str(full.value)
        assert f"DELETE /v1/models/{tuned.id}" in str(full.value)
        assert file.exists()  # nothing is removed by itself
        client.models.delete(tuned.id)
        assert not file.exists()
        assert tuned.id not in [one.id for one in client.models.list()]
        client.fine_tuning.jobs.cancel(train(client, model="open", method=epochs(1)))
