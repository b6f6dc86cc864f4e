"""What the OpenAI wire returns for jobs, checkpoints and events, read strictly where it counts."""

import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from rmft_api.core.records import Checkpoint, Job, JobEvent
from rmft_api.providers import usage
from rmft_api.providers.refusals import reason
from rmft_api.providers.validation import Entry

CHECKPOINT = re.compile(r"(?P<base>.+):(?P<job>ftjob-[^:]+):(?P<checkpoint>[^:]+)")
"""How a checkpoint is called where its endpoint has no name for it."""


class WireJob(msgspec.Struct):
    """A fine-tuning job."""

    id: str
    status: str
    model: str
    training_file: str
    created_at: Any = None
    fine_tuned_model: str | None = None
    trained_tokens: Any = None
    error: Any = None
    metadata: Entry | None = None

    def record(self) -> Job:
        """The job as we know it: nothing depends on the form of its numbers."""
        tokens = usage.count(self.trained_tokens)
        return Job(
            id=self.id,
            status=self.status.lower(),
            model=self.model,
            training_file=self.training_file,
            created_at=max(0, usage.count(self.created_at)),
            fine_tuned_model=self.fine_tuned_model or None,
            trained_tokens=None if tokens < 0 else tokens,
            error=job_error(self.error),
            metadata={name: str(value) for name, value in (self.metadata or {}).items()},
        )


def job_error(raw: Any) -> str | None:
    """Why a job failed, as `code: message (param)`, in whatever shape; None where nothing says."""
    error = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    inner = error.get("error")
    if isinstance(inner, dict):
        return job_error(inner)
    code = error.get("code") or error.get("type")
    named = ": ".join(str(part) for part in (code, reason(raw)) if part)
    param = error.get("param")
    return (f"{named} ({param})" if named and isinstance(param, str) and param else named) or None


class WireCheckpoint(msgspec.Struct):
    """A model that was saved on the way."""

    id: str
    fine_tuned_model_checkpoint: str | None = None
    step_number: int = 0

    def record(self, base: str, job_id: str) -> Checkpoint:
        """With a model of our naming where the endpoint has no name for it.

        Its base comes first, so that price and calendar are found by it.
        """
        model = self.fine_tuned_model_checkpoint or f"{base}:{job_id}:{self.id}"
        return Checkpoint(self.id, model, self.step_number)


def event(entry: Entry) -> Sequence[JobEvent]:
    """One event, or none where it has no id or message."""
    id_, message, at = entry.get("id"), entry.get("message"), entry.get("created_at")
    if not isinstance(id_, str) or not isinstance(message, str) or not id_:
        return ()
    when = int(at) if isinstance(at, (int, float)) else 0
    return (JobEvent(id_, when, str(entry.get("level") or "info"), message, _metrics(entry)),)


def _metrics(entry: Entry) -> dict[str, float]:
    data = entry.get("data")
    if not isinstance(data, dict):
        return {}
    return {
        name: float(value)
        for name, value in cast(Entry, data).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
