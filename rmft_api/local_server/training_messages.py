"""What a trainer finds in its job's folder, its order, and the messages it writes (JSON lines).

order -> Validated -> (the server's go) -> Started -> Step*, CheckpointSaved* -> Finished
A file that cannot be trained on ends it with Rejected, numbers that run away with Diverged, and
what the engine or the machine cannot do with Failed.
"""

from pathlib import Path

import msgspec

from rmft_api.local_server.engine import JobHyperparameters

GO = b"go\n"
"""Written to a trainer's standard input when its turn has come."""


TRAINING_FILE = "training.jsonl"
"""The examples, in the job's folder."""
SCRATCH = "scratch"
"""Folder in the job's own for what an engine needs to continue after a crash."""


def weights_file(folder: Path, step: int) -> Path:
    """Where the weights after `step` are, for a job's folder."""
    return folder / "weights" / f"step-{step}.safetensors"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """All that a training depends on."""

    engine: str
    """A name or `module:Class`, as `engines.make` reads it."""
    base: str
    start: str | None
    """Weights file to continue from; None for the base itself."""
    hyperparameters: JobHyperparameters
    seed: int
    beta: float | None = None
    """How strongly DPO holds on to the model that it starts from; None: supervised."""


class Validated(msgspec.Struct, frozen=True, tag=True):
    """The file can be trained on; these numbers will be used."""

    examples: int
    hyperparameters: JobHyperparameters


class Started(msgspec.Struct, frozen=True, tag=True):
    """Training begins, or continues."""

    after: int = 0
    """The step that an earlier process got to; what it saved up to there still holds."""


class Step(msgspec.Struct, frozen=True, tag=True):
    """An optimiser step worth an event (they are thinned out in time)."""

    step: int
    total_steps: int
    train_loss: float
    train_mean_token_accuracy: float


class CheckpointSaved(msgspec.Struct, frozen=True, tag=True):
    """The weights after `step` are on the disk."""

    step: int
    metrics: dict[str, float]


class Finished(msgspec.Struct, frozen=True, tag=True):
    """Done: the weights saved after `step` are the result."""

    step: int
    trained_tokens: int


class Rejected(msgspec.Struct, frozen=True, tag=True):
    """The training file cannot be trained on."""

    reason: str


class Diverged(msgspec.Struct, frozen=True, tag=True):
    """The loss is no number any more."""

    step: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The training cannot continue; in the words of the wire's error object."""

    code: str
    reason: str
    param: str | None = None


Said = Validated | Started | Step | CheckpointSaved | Finished | Rejected | Diverged | Failed

_SAID: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)
_ORDER = msgspec.json.Decoder(Order)


def read_said(line: bytes) -> Said:
    """One line of a trainer. Raises ValueError."""
    return _SAID.decode(line)


def read_order(folder: Path) -> Order:
    """The order in a job's folder."""
    return _ORDER.decode((folder / "order.json").read_bytes())
