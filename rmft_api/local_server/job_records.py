"""Fine-tuning jobs as they are stored, and as the wire shows them."""

import hashlib
import re
from typing import Literal, NamedTuple

import msgspec

from rmft_api.local_server.engine import JobHyperparameters

Status = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
ORDER: tuple[Status, ...] = ("validating_files", "queued", "running")
"""A job's life before its end."""


def later(now: Status, new: Status) -> Status:
    """The later of two; a job never goes back, not even when it starts again after a restart."""
    return new if ORDER.index(new) > ORDER.index(now) else now


class JobError(msgspec.Struct, frozen=True):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


class Saved(msgspec.Struct, frozen=True):
    """A checkpoint whose weights are on the disk."""

    step: int
    created_at: int
    metrics: dict[str, float]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a job that survives a restart."""

    number: int
    """Order of creation in this server's life."""
    id: str
    created_at: int
    model: str
    """The model to start from, as it was asked for."""
    base: str
    """The base model at the root of its line."""
    training_file: str
    requested: JobHyperparameters
    resolved: JobHyperparameters | None = None
    seed: int
    beta: float | None = None
    """Set for a job that learns from preferences (DPO)."""
    metadata: dict[str, str] | None
    target: str
    """Id that the fine-tuned model gets."""
    status: Status = "validating_files"
    paused: bool = False
    """Its client stopped it for now; it continues on request."""
    finished_at: int | None = None
    trained_tokens: int | None = None
    error: JobError | None = None
    checkpoints: tuple[Saved, ...] = ()
    """Oldest first; the last three are kept."""
    result_step: int | None = None
    """The step whose weights are the fine-tuned model; set when the job succeeds."""
    fine_tuned: bool = False
    """The fine-tuned model is here: the job succeeded and the model was not deleted."""

    @property
    def final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status not in ORDER

    @property
    def wire_status(self) -> str:
        """As the wire shows it."""
        return "paused" if self.paused and not self.final else self.status

    @property
    def steps(self) -> frozenset[int]:
        """The steps whose weights some model needs."""
        steps = {saved.step for saved in self.checkpoints}
        if self.fine_tuned and self.result_step is not None:
            steps.add(self.result_step)
        return frozenset(steps)

    def checkpoint_id(self, saved: Saved) -> str:
        """Model id of a checkpoint."""
        return f"{self.target}:ckpt-step-{saved.step}"

    def json(self, estimated_finish: int | None = None) -> dict[str, object]:
        """The job object of the wire."""
        numbers = _numbers(self.resolved or self.requested)
        kind = "supervised" if self.beta is None else "dpo"
        own = numbers if self.beta is None else {**numbers, "beta": self.beta}
        return {
            "id": self.id,
            "object": "fine_tuning.job",
            "created_at": self.created_at,
            "finished_at": self.finished_at,
            "estimated_finish": estimated_finish if self.wire_status == "running" else None,
            "model": self.model,
            "fine_tuned_model": self.target if self.status == "succeeded" else None,
            "organization_id": "local",
            "status": self.wire_status,
            "trained_tokens": self.trained_tokens,
            "training_file": self.training_file,
            "validation_file": None,
            "result_files": [],
            "seed": self.seed,
            "hyperparameters": numbers,
            "method": {"type": kind, kind: {"hyperparameters": own}},
            "metadata": self.metadata,
            "integrations": [],
            "error": None if self.error is None else msgspec.to_builtins(self.error),
        }


class JobCheckpoint(NamedTuple):
    """A checkpoint, with the job that made it."""

    job: Job
    saved: Saved

    @property
    def id(self) -> str:
        """Of the checkpoint, not of the model it holds."""
        return f"ftckpt-{self.job.id.removeprefix('ftjob-')}-{self.saved.step}"

    def json(self) -> dict[str, object]:
        """The checkpoint object of the wire."""
        return {
            "id": self.id,
            "object": "fine_tuning.job.checkpoint",
            "created_at": self.saved.created_at,
            "fine_tuned_model_checkpoint": self.job.checkpoint_id(self.saved),
            "fine_tuning_job_id": self.job.id,
            "step_number": self.saved.step,
            "metrics": {"step": self.saved.step, **self.saved.metrics},
        }


def _numbers(hyperparameters: JobHyperparameters) -> dict[str, float | str]:
    numbers = msgspec.to_builtins(hyperparameters)
    return {name: "auto" if value is None else value for name, value in numbers.items()}


class Event(msgspec.Struct, frozen=True):
    """A line of a job's log."""

    id: str
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    data: dict[str, float] = {}
    """The numbers of a training step; empty for a plain message."""

    def json(self) -> dict[str, object]:
        """The event object of the wire."""
        return {
            "object": "fine_tuning.job.event",
            **msgspec.to_builtins(self),
            "type": "metrics" if self.data else "message",
        }


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that decides what a job makes; two jobs of the same content make the same bytes."""

    model: str
    dataset_sha256: str
    hyperparameters: JobHyperparameters
    seed: int
    key: str | None
    """`rmft_key` of the metadata: names the job to the run that orders it."""
    beta: float | None = None
    """As in the job."""

    def target(self, base: str, suffix: str, twin: int) -> str:
        """Id of the fine-tuned model; `twin` counts earlier jobs of the very same content."""
        content = msgspec.json.encode((self, twin))
        name = re.sub(r"[^a-z0-9._-]+", "-", suffix.lower()).strip("-")
        return f"ft:{base}:local:{name}:{hashlib.sha256(content).hexdigest()[:8]}"
