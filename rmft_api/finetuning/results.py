"""What training starts from and what comes of it: a file, a new model, or a failure."""

from typing import Protocol

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import (
    DataError,
    FaultKind,
    ProviderFault,
    ResumableError,
    RmftError,
)
from rmft_api.core.records import Hyperparameters, Job, Method, Record

JOB_DATA = "job_data"
"""The code of a failure that the training file is to blame for."""
JOB_MONEY = "job_money"
"""The code of a failure for lack of credit, or by a spend limit."""


class TrainingData(Protocol):
    """A checked training file (`dataset.Dataset`)."""

    @property
    def content(self) -> bytes:
        """The very bytes to upload."""
        ...

    @property
    def sha256(self) -> str:
        """Of the content, in hex."""
        ...

    @property
    def tokens(self) -> int:
        """Of one epoch."""
        ...

    def source_of_line(self, line: int) -> str:
        """Which trajectory and rounds stand in a line, counted from 1."""
        ...


class FineTuned(Record, frozen=True):
    """A new model, and where it comes from."""

    model: str
    """Its id: the next iteration plays it, opaque to everybody but its provider."""
    start: str
    """The model that was trained further."""
    dataset: str
    """SHA-256 of the training file."""
    job: Job
    trained_tokens: int | None
    """As billed: tokens x epochs."""
    hyperparameters: Hyperparameters
    seed: int


class JobFailure(Record, frozen=True):
    """A job that ended without a model. It is not started again by itself: that costs again."""

    message: str
    code: str
    """`job_cancelled`, `job_failed` (the provider's fault), `job_blocked` (its safety checks),
    `job_money` or `job_data`."""

    def error(self) -> RmftError:
        """What the run ends with."""
        if self.code == JOB_DATA:
            return DataError(self.message)
        if self.code == JOB_MONEY:
            return ResumableError(self.message)
        return ProviderFault(self.message, FaultKind.STOP, code=self.code)


def hyperparameters(config: RunConfig, method: Method = "supervised") -> Hyperparameters:
    """What the run file asks jobs of this method for."""
    wanted = config.finetuning if method == "supervised" else config.finetuning.dpo
    return Hyperparameters(
        n_epochs=wanted.n_epochs,
        batch_size=wanted.batch_size,
        learning_rate_multiplier=wanted.learning_rate_multiplier,
        learning_rate=wanted.learning_rate,
        beta=None if method == "supervised" else config.finetuning.dpo.beta,
    )
