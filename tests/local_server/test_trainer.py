import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rmft_api.local_server.engine import JobHyperparameters, TrainingStep
from rmft_api.local_server.trainer import (
    ORPHANED,
    DivergedError,
    MessageWriter,
    Recorder,
)
from rmft_api.local_server.training_messages import (
    GO,
    TRAINING_FILE,
    CheckpointSaved,
    Finished,
    Order,
    Said,
    Started,
    Step,
    Validated,
    read_said,
    weights_file,
)
from tests.local_server.serving import dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's folder as the server leaves it to the trainer."""
    order = Order(
        engine="scripted",
        base="scripted-1",
        start=None,
        hyperparameters=JobHyperparameters(n_epochs=2, batch_size=5),
        seed=1,
    )
    (tmp_path / "order.json").write_bytes(msgspec.json.encode(order))
    (tmp_path / TRAINING_FILE).write_bytes(dataset())
    return tmp_path


@pytest.fixture
def trainer(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "rmft_api.local_server.trainer", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def hear(trainer: subprocess.Popen[bytes]) -> Said:
    assert trainer.stdout is not None
    return read_said(trainer.stdout.readline())


def test_a_trainer_waits_for_its_turn_and_ends_with_its_server(
    trainer: subprocess.Popen[bytes],
) -> None:
    numbers = JobHyperparameters(n_epochs=2, batch_size=5, learning_rate_multiplier=1.0)
    assert hear(trainer) == Validated(10, numbers)
    assert trainer.stdin is not None
    trainer.stdin.close()
    assert trainer.wait(10) == ORPHANED
    assert trainer.stdout is not None
    assert trainer.stdout.read() == b""


def test_a_trainer_tells_what_it_does_in_order(
    folder: Path, trainer: subprocess.Popen[bytes]
) -> None:
    (folder / "weights").mkdir()
    weights_file(folder, 99).write_text("of an earlier start")
    heard = [hear(trainer)]
    assert trainer.stdin is not None
    trainer.stdin.write(GO)
    trainer.stdin.flush()
    while not isinstance(heard[-1], Finished):
        heard.append(hear(trainer))
    assert [type(said) for said in heard] == [
        *(Validated, Started, Step, Step, CheckpointSaved, Step, CheckpointSaved, Finished)
    ]
    assert heard[-1] == Finished(4, 2 * 10 * 3)
    assert sorted(path.name for path in (folder / "weights").iterdir()) == [
        "step-2.safetensors",
        "step-4.safetensors",
    ]


class Silent(MessageWriter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    def write(self, message: Said) -> None:
        self.said.append(message)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Silent())
    with pytest.raises(DivergedError, match="step 3"):
        recorder.report(TrainingStep(3, 9, math.nan, 0.5, 0))


def test_steps_are_thinned_out_but_the_end_of_an_epoch_is_always_told(tmp_path: Path) -> None:
    voice = Silent()
    recorder = Recorder(tmp_path, voice)
    for step in range(1, 101):
        recorder.report(TrainingStep(step, 100, 1.0, 0.5, step // 50))
    told = [said.step for said in voice.said if isinstance(said, Step)]
    assert told[0] == 1
    assert {50, 100} <= set(told)
    assert len(told) < 20


def test_a_checkpoint_is_told_once_it_is_saved(tmp_path: Path) -> None:
    voice = Silent()
    recorder = Recorder(tmp_path, voice)
    (tmp_path / "weights").mkdir()
    recorder.report(TrainingStep(2, 4, 0.5, 0.25, 1))
    path = recorder.checkpoint(2)
    assert [type(said) for said in voice.said] == [Step]
    path.write_bytes(b"weights")
    recorder.settle()
    metrics = {"train_loss": 0.5, "train_mean_token_accuracy": 0.25}
    assert voice.said[-1] == CheckpointSaved(2, metrics)
    assert recorder.saved == 2
