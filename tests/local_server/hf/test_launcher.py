"""Training by two processes on one CPU, as a launcher starts them."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from rmft_api.local_server.engine import EngineError, JobHyperparameters
from rmft_api.local_server.hf import launcher
from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe
from rmft_api.local_server.hf.launcher import SharedSettings
from rmft_api.open_models.settings import HfSettings
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
from tests.local_server.test_restart import command

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

LAUNCH = (
    "accelerate launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --main_process_port 0"
)
NUMBERS = JobHyperparameters(n_epochs=2, batch_size=4, learning_rate_multiplier=1.0)
WITHIN_S = 300.0
"""Eight processes import all of the extra [open] on the way."""


@pytest.fixture(scope="module")
def server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = ("--engine", "hf", "--checkpoint", str(checkpoint), *OPTIONS)
    with served(tmp_path_factory.mktemp("two"), *options, "--set", f"launch={LAUNCH}") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[openai.OpenAI]:
    with server.client() as client:
        yield client.with_options(timeout=60)


def ranks(job: Path) -> list[int]:
    """Process ids of those that train, without their launcher."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if str(job).encode() in (said := command(process))
        and b"hf.rank" in said
        and b"launch" not in said
    ]


def test_two_processes_make_one_adapter_and_survive_the_death_of_one(
    server: Served, client: openai.OpenAI
) -> None:
    file_id = upload(client, dataset(["blue"] * 20))
    job_id = train(client, model="specimen", training_file=file_id, method=epochs(8))
    folder = server.state / "jobs" / job_id
    until(lambda: any((folder / "scratch").glob("checkpoint-*/whole")), WITHIN_S)
    assert len(ranks(folder)) == 2
    saved = sorted(path.name for path in (folder / "scratch").glob("checkpoint-*/rng_state_*"))
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= set(saved)
    os.kill(ranks(folder)[1], signal.SIGKILL)
    status, answer = server.chat(model="specimen", max_tokens=2)
    assert (status, len(answer["choices"])) == (200, 1)
    until(lambda: client.fine_tuning.jobs.retrieve(job_id).status == "succeeded", WITHIN_S)
    told = [one.message for one in client.fine_tuning.jobs.list_events(job_id, limit=1000).data]
    assert any("'accelerate' ended with code 1; it continues after" in message for message in told)
    assert any(message.startswith("Step 32/32") for message in told)
    tuned = str(client.fine_tuning.jobs.retrieve(job_id).fine_tuned_model)
    assert len(list((folder / "weights").iterdir())) == 3  # the last epochs, each saved once
    said = client.chat.completions.create(model=tuned, messages=HELLO, temperature=0, max_tokens=9)
    assert said.choices[0].message.content == "blue"


def test_a_launcher_that_is_not_there_is_told_with_the_setting(tmp_path: Path) -> None:
    settings = HfSettings(checkpoint="any", launch="no-such-launcher --fast")
    lesson = AdapterRecipe(None, [], NUMBERS, 0)
    with pytest.raises(EngineError, match="cannot be launched by 'no-such-launcher --fast'"):
        launcher.train(settings, lesson, tmp_path, lambda step: tmp_path, lambda step: None)


def test_what_stops_a_process_is_told_as_if_it_were_this_one(tmp_path: Path) -> None:
    """The checkpoint is gone by the time the processes read it."""
    settings = HfSettings(checkpoint=str(tmp_path / "gone"), launch=f"{sys.executable}")
    lesson = AdapterRecipe(tmp_path, [], NUMBERS, 0)
    with pytest.raises(RuntimeError, match="ended with code 1"):
        launcher.train(settings, lesson, tmp_path, lambda step: tmp_path, lambda step: None)


def test_every_process_reads_the_lesson_as_the_trainer_wrote_it(tmp_path: Path) -> None:
    lesson = AdapterRecipe(tmp_path, [{"input_ids": [1, 2], "labels": [-100, 2]}], NUMBERS, 7, 0.1)
    shared = SharedSettings(HfSettings(checkpoint="any", lora_rank=3), lesson)
    (tmp_path / launcher.RECIPE_FILE).write_bytes(launcher.ENCODER.encode(shared))
    assert launcher.read_shared(tmp_path) == shared
