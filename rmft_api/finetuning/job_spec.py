"""A job before it exists: what is ordered, and the fixed names of its file and job."""

from dataclasses import dataclass
from hashlib import sha256

import msgspec

from rmft_api.config.schema import RunConfig
from rmft_api.core import seeds
from rmft_api.core.records import Hyperparameters, JobOrder, Method, UploadedFile
from rmft_api.finetuning.results import TrainingData


@dataclass(frozen=True)
class JobSpec:
    """One job that a run orders from an endpoint."""

    config: RunConfig
    created: int
    """When the run was started: another run of its name orders other jobs."""
    endpoint: str
    """The profile's name."""
    hyperparameters: Hyperparameters
    iteration: int
    start: str
    data: TrainingData
    method: Method
    attempt: int = 1

    @property
    def run(self) -> str:
        """The run's name."""
        return self.config.name

    @property
    def seed(self) -> int:
        """The job's own."""
        return seeds.number(self.config.seed, "training", self.iteration)

    @property
    def filename(self) -> str:
        """The file's: no other order has it, so that a file names its job, and is found again."""
        return f"rmft-{self.run[:12]}-{self.iteration:02}-{self.key[:16]}.jsonl"

    @property
    def key(self) -> str:
        """The job's fixed name at every provider."""
        parts = (
            self.run,
            self.created,
            self.iteration,
            self.endpoint,
            self.start,
            self.data.sha256,
            msgspec.json.encode(self.hyperparameters).decode(),
            *([] if self.attempt == 1 else [self.attempt]),
        )
        return sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]

    def order(self, file: UploadedFile) -> JobOrder:
        """What is asked of the endpoint."""
        return JobOrder(
            key=self.key,
            model=self.start,
            training_file=file.id,
            method=self.method,
            hyperparameters=self.hyperparameters,
            seed=self.seed,
            suffix=self._suffix(),
            metadata={
                "rmft_key": self.key,
                "rmft_run": self.run,
                "rmft_iter": str(self.iteration),
                "rmft_data": self.data.sha256,
                "rmft_attempt": str(self.attempt),
            },
        )

    def _suffix(self) -> str:
        own = self.config.finetuning.suffix
        return own or f"rmft-{self.run[:6].replace('_', '-')}-{self.iteration}"
