"""The training process of one job: `python -m rmft_api.local_server.trainer JOBDIR`.

It reads JOBDIR/order.json and JOBDIR/training.jsonl, saves weights under JOBDIR/weights and says
on standard output how it goes (`training_messages`). The server holds its standard input open:
when the server dies, however it dies, that pipe closes and this process ends at once.
"""

import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from rmft_api.core.errors import ConfigError
from rmft_api.core.files import fsync_directory
from rmft_api.local_server import engines, storage
from rmft_api.local_server.engine import (
    ChatPair,
    Engine,
    EngineError,
    JobHyperparameters,
    Prefers,
    Resumes,
    TrainingStep,
)
from rmft_api.local_server.training_data import (
    TrainingFileError,
    read_examples,
    read_pairs,
)
from rmft_api.local_server.training_messages import (
    GO,
    SCRATCH,
    TRAINING_FILE,
    CheckpointSaved,
    Diverged,
    Failed,
    Finished,
    Order,
    Rejected,
    Said,
    Started,
    Step,
    Validated,
    read_order,
    weights_file,
)

STEPS_EVERY_S = 0.25
"""Steps in between are not reported, so that a fast training does not flood its log."""
ORPHANED = 75
MAKE_ROOM = "make room, for example by DELETE /v1/models/ID of models that you no longer need"
_NICENESS = 5


class DivergedError(Exception):
    """The loss is no finite number."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss is not finite at step {step}")
        self.step = step


class MessageWriter:
    """Messages to the server. What libraries print goes to the log instead."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def write(self, message: Said) -> None:
        """Send one message."""
        self._out.write(msgspec.json.encode(message) + b"\n")


class Lifeline(threading.Thread):
    """Reads the server's permission to continue, and ends this process when the server is gone."""

    def __init__(self, stdin: BinaryIO) -> None:
        super().__init__(daemon=True)
        self._stdin = stdin
        self.may_train = threading.Event()

    def run(self) -> None:
        """Watch until the pipe closes."""
        for line in self._stdin:
            if line == GO:
                self.may_train.set()
        os._exit(ORPHANED)


class Recorder:
    """The two callbacks that an engine reports to."""

    def __init__(self, folder: Path, voice: MessageWriter) -> None:
        self._folder = folder
        self._voice = voice
        self._saving: int | None = None
        self._metrics: dict[str, float] = {}
        self._epoch = 0
        self._reported_at = -math.inf
        self.saved: int | None = None
        """The last step whose weights are on the disk."""

    def checkpoint(self, step: int) -> Path:
        """Where to save the weights after `step`."""
        self.settle()
        self._saving = step
        return weights_file(self._folder, step)

    def report(self, step: TrainingStep) -> None:
        """Take note of a step. Raises DivergedError."""
        self.settle()
        if not math.isfinite(step.train_loss):
            raise DivergedError(step.step)
        self._metrics = {
            "train_loss": step.train_loss,
            "train_mean_token_accuracy": step.train_mean_token_accuracy,
        }
        now = time.monotonic()
        if now - self._reported_at >= STEPS_EVERY_S or step.epoch > self._epoch:
            self._reported_at, self._epoch = now, step.epoch
            self._voice.write(Step(step.step, step.total_steps, **self._metrics))

    def settle(self) -> None:
        """Report the checkpoint saved since the last call, once it is safe on the disk."""
        if self._saving is None:
            return
        path = weights_file(self._folder, self._saving)
        fsync_directory(path)
        fsync_directory(path.parent)
        self._voice.write(CheckpointSaved(self._saving, self._metrics))
        self.saved, self._saving = self._saving, None


class TrainingJob(NamedTuple):
    """What is learnt, and how."""

    examples: int
    learn: Callable[[JobHyperparameters, Recorder], int]
    """Returns the trained tokens."""


def _training_job(engine: Engine, order: Order, folder: Path) -> TrainingJob:
    """Chats to imitate, or pairs of answers to prefer. Raises TrainingFileError."""
    start = None if order.start is None else Path(order.start)
    if order.beta is None:
        return _imitation(engine, order, start, folder / TRAINING_FILE)
    if isinstance(engine, Prefers):
        pairs = read_pairs(folder / TRAINING_FILE, engine.check)
        return _preference(engine, order, start, pairs, order.beta)
    raise TrainingFileError(f"engine {order.engine!r} does not learn from preferences")


def _imitation(engine: Engine, order: Order, start: Path | None, file: Path) -> TrainingJob:
    chats = read_examples(file, engine.check)

    def learn(numbers: JobHyperparameters, shown: Recorder) -> int:
        return engine.train(
            *(order.base, start, chats, numbers, order.seed), *(shown.checkpoint, shown.report)
        )

    return TrainingJob(len(chats), learn)


def _preference(
    engine: Prefers, order: Order, start: Path | None, pairs: Sequence[ChatPair], beta: float
) -> TrainingJob:
    def learn(numbers: JobHyperparameters, shown: Recorder) -> int:
        return engine.prefer(
            *(order.base, start, pairs, numbers, beta, order.seed),
            *(shown.checkpoint, shown.report),
        )

    return TrainingJob(len(pairs), learn)


def train(folder: Path, voice: MessageWriter, may_train: threading.Event) -> None:
    """Do what the order says."""
    order = read_order(folder)
    engine, scratch = engines.make(order.engine), folder / SCRATCH
    resumes = isinstance(engine, Resumes)
    after = _prepare(folder, engine.resumes_at(scratch) if resumes else 0)
    engine = engine.keeping(scratch) if resumes else engine
    training = _training_job(engine, order, folder)
    numbers = engine.resolve(order.hyperparameters, training.examples)
    voice.write(Validated(training.examples, numbers))
    may_train.wait()
    voice.write(Started(after))
    recorder = Recorder(folder, voice)
    tokens = training.learn(numbers, recorder)
    recorder.settle()
    if recorder.saved is None:
        raise RuntimeError(f"engine {order.engine!r} saved no weights")
    shutil.rmtree(scratch, ignore_errors=True)
    voice.write(Finished(recorder.saved, tokens))


def _prepare(folder: Path, after: int) -> int:
    """Without a step to continue after, forget what an earlier start saved: it is made again."""
    weights, scratch = folder / "weights", folder / SCRATCH
    if not after:
        shutil.rmtree(weights, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)
    weights.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    return after


def main(folder: Path) -> None:
    """Train one job. Nothing else writes there: an orphan is waited for, it ends soon."""
    # Unbuffered: a buffer's lock, held by a waiting thread, would turn a traceback into an abort.
    lifeline = Lifeline(os.fdopen(0, "rb", buffering=0, closefd=False))
    lifeline.start()
    voice = MessageWriter()
    os.nice(_NICENESS)  # answering goes before training
    with storage.waited_for(folder / "trainer.lock"):
        try:
            train(folder, voice, lifeline.may_train)
        except TrainingFileError as error:
            voice.write(Rejected(str(error)))
        except DivergedError as error:
            voice.write(Diverged(error.step))
        except ConfigError as error:  # the checkpoint is not what it was when the server began
            voice.write(Failed("model_unreadable", str(error), "model"))
        except EngineError as error:
            voice.write(Failed(error.code, str(error), error.param))
        except OSError as error:
            if not storage.is_full(error):
                raise
            voice.write(Failed("disk_full", f"the weights cannot be saved: {error}; {MAKE_ROOM}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
