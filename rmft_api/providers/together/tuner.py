"""Fine-tunes: estimated before they are paid, found again by their suffix, continued from any.

A job carries no metadata, and two orders may share a file (its content is stored once), so the
suffix of its model holds the order's key: the list of all jobs shows it.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.records import Checkpoint, Job, JobEvent, JobOrder, UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.providers.together import convert, names
from rmft_api.providers.together.control import TogetherControl, segment
from rmft_api.providers.together.files import TogetherFiles
from rmft_api.providers.validation import KEY

_PATH = "v1/fine-tunes"
_STATES = {
    "pending": "queued",
    "queued": "queued",
    "running": "running",
    "compressing": "running",
    "uploading": "running",
    "cancel_requested": "cancelling",
    "cancelled": "cancelled",
    "error": "failed",
    "user_error": "failed",
    "completed": "succeeded",
}
"""Of an open set; every other one is not final."""
_METHODS = {"supervised": "sft", "dpo": "dpo"}
_NOT_IN_SUFFIXES = re.compile(r"[^0-9A-Za-z]+")
_KEY_LENGTH = 16
"""Of the order's key in a suffix, which has 40 characters at most."""
_MOST_PARENTS = 100


class _WireEvent(msgspec.Struct):
    created_at: str = ""
    message: str = ""
    type: str = ""
    level: str | None = None
    step: int | None = None


class _WireEvents(msgspec.Struct):
    data: list[_WireEvent]


class _WireJob(msgspec.Struct):
    id: str
    status: str = ""
    model: str | None = None
    from_checkpoint: str | None = None
    training_file: str | None = None
    suffix: str | None = None
    created_at: str | None = None
    events: list[_WireEvent] | None = None


class _WireJobs(msgspec.Struct):
    data: list[_WireJob]


class _WireCheckpoint(msgspec.Struct):
    step: int
    created_at: str = ""


class _WireCheckpoints(msgspec.Struct):
    data: list[_WireCheckpoint]


class _Estimate(msgspec.Struct):
    estimated_total_price: float | None = None
    allowed_to_proceed: bool | None = None
    user_limit: float | None = None


class TogetherTuner:
    """A `FineTuner` by `/v1/fine-tunes`. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, *, environ: Mapping[str, str]) -> None:
        if profile.training is None:
            raise ConfigError(
                f"profile {profile.name!r} cannot train; name another one as model.training_profile"
            )
        self._profile = profile
        self._traits = profile.training
        self._control = TogetherControl(profile, environ)
        self._files = TogetherFiles(profile, self._control, environ)

    async def reach(self) -> None:
        """List the files. Raises ProviderFault."""
        await self._files.find("")

    async def close(self) -> None:
        """Let go of all connections."""
        await self._control.close()

    def stored(self, content: bytes) -> bytes:
        """The bytes as they are, once every line is known to be taken. Raises DataError."""
        return convert.checked(content)

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store a training file, or find the one that holds the same content."""
        return await self._files.put(filename, self.stored(content))

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        return await self._files.find(filename)

    async def file(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        return await self._files.get(file_id)

    async def estimated_price(self, order: JobOrder) -> int | None:
        """Together's estimate; None where it has none now, which is no reason to stop."""
        asked = ("training_file", "model", "from_checkpoint", "n_epochs", "training_type")
        request = self._control.request("estimate a job", model=order.model, repeatable=True)
        body = self._body(order)
        wanted = {name: body[name] for name in (*asked, "training_method") if name in body}
        path = f"{_PATH}/estimate-price"
        try:
            raw = await self._control.rest.send(request, "POST", path, json=wanted)
            estimate = read(request, raw, _Estimate)
        except ProviderFault as fault:
            if fault.status in (401, 402, 403):
                raise
            return None
        price = estimate.estimated_total_price
        if estimate.allowed_to_proceed is False:
            raise self._unpayable(order, price, estimate.user_limit)
        return None if price is None else math.ceil(price * 1_000_000)

    async def create_job(self, order: JobOrder) -> Job:
        """Start a job; the reply must be about our file."""
        body = self._body(order)
        request = self._control.request(f"start a job on {order.training_file}", model=order.model)
        raw = await self._control.rest.send(request, "POST", _PATH, json=body)
        made = read(request, raw, _WireJob)
        if not made.id or (made.training_file or order.training_file) != order.training_file:
            raise faults.malformed(request, f"it names file {made.training_file!r}", raw)
        return _record(made, order.model, _base(order), order.key, order.training_file)

    async def find_jobs(self, order: JobOrder) -> list[Job]:
        """Jobs that carry the order's key, or train on its file and have no suffix."""
        request = self._control.request("list jobs", repeatable=True)
        listed = read(request, await self._control.rest.send(request, "GET", _PATH), _WireJobs)
        mark = _suffix(order)[-_KEY_LENGTH:]
        found = [
            _record(one, order.model, _base(order), order.key if one.suffix else "", "")
            for one in listed.data
            if (one.suffix or "").endswith(mark)
            or (not one.suffix and one.training_file == order.training_file)
        ]
        return sorted(found, key=lambda job: (job.created_at, job.id))

    async def job(self, job_id: str) -> Job:
        """The job as it stands; one that failed says why."""
        wire = await self._wire_job(job_id)
        base = await self._base_of(wire)
        start = names.TogetherModelId(base, wire.from_checkpoint) if wire.from_checkpoint else base
        job = _record(wire, str(start), base, "", "")
        if job.status != "failed":
            return job
        answer = wire.events if wire.events else await self._events(job_id)
        errors = [one.message for one in answer if "error" in (one.level or one.type).lower()]
        return msgspec.structs.replace(job, error=errors[-1] if errors else None)

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """The job's log since event `after`, oldest first. Events have no ids: their places."""
        answer = await self._events(job_id)
        new = int(after) + 1 if after and after.isdigit() else 0
        return [_event(place, one) for place, one in enumerate(answer) if place >= new]

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Models saved so far, in the order of their steps."""
        base = await self._base_of(await self._wire_job(job_id))
        request = self._control.request(f"list the checkpoints of {job_id}", repeatable=True)
        path = f"{_PATH}/{segment(job_id)}/checkpoints"
        saved = read(request, await self._control.rest.send(request, "GET", path), _WireCheckpoints)
        steps = sorted({one.step for one in saved.data})
        models = [names.TogetherModelId(base, job_id, step) for step in steps]
        return [Checkpoint(one.checkpoint, str(one), one.step or 0) for one in models]

    async def cancel_job(self, job_id: str) -> Job:
        """Ask for the job's end. Repeating it is harmless."""
        request = self._control.request(f"cancel job {job_id}", repeatable=True)
        await self._control.rest.send(request, "POST", f"{_PATH}/{segment(job_id)}/cancel")
        return await self.job(job_id)

    async def model_ready(self, model: str) -> bool:
        """Whether its job is complete; `deployments/` checks whether it answers."""
        found = names.tuned(model)
        if found is None:
            return False
        try:
            return (await self._wire_job(found.job)).status == "completed"
        except ProviderFault as fault:
            if fault.status == 404:
                return False
            raise

    def _body(self, order: JobOrder) -> dict[str, Any]:
        """The request of a job. Raises ConfigError for what cannot be asked for."""
        wanted = order.hyperparameters
        self._profile.check_training(order.model, order.method, wanted)
        start = names.tuned(order.model)
        method: dict[str, Any] = {"method": _METHODS[order.method]}
        if order.method == "supervised":
            method["train_on_inputs"] = "auto"
        elif wanted.beta is not None:
            method["dpo_beta"] = wanted.beta
        chosen = {
            "n_epochs": wanted.n_epochs,
            "batch_size": wanted.batch_size,
            "learning_rate": wanted.learning_rate,
        }
        began: dict[str, str] = (
            {"from_checkpoint": start.checkpoint}
            if start
            else {"model": self._profile.job_model(order.model)}
        )
        return {
            "n_checkpoints": 1,
            **self._traits.extra,
            "training_file": order.training_file,
            **began,
            "training_method": method,
            **{name: value for name, value in chosen.items() if value is not None},
            "random_seed": order.seed,
            "suffix": _suffix(order),
        }

    def _unpayable(
        self, order: JobOrder, price: float | None, limit: float | None
    ) -> ProviderFault:
        costs = "more than is left" if price is None else f"about {price:.2f} USD"
        allowed = "" if limit is None else f", and the account's limit is {limit:.2f} USD"
        return ProviderFault(
            f"{self._profile.name} would not start a job on {order.training_file}: it costs "
            f"{costs}{allowed}; add credit or raise the spend limit, then `rmft-api resume RUN`",
            FaultKind.STOP,
            status=402,
            code="insufficient_quota",
            never_sent=True,
        )

    async def _wire_job(self, job_id: str) -> _WireJob:
        request = self._control.request(f"get job {job_id}", repeatable=True)
        path = f"{_PATH}/{segment(job_id)}"
        return read(request, await self._control.rest.send(request, "GET", path), _WireJob)

    async def _base_of(self, wire: _WireJob) -> str:
        """The base model, however often it was trained; a job may name only its start."""
        for _ in range(_MOST_PARENTS):
            if wire.model:
                return names.base_of(self._profile, wire.model)
            if not wire.from_checkpoint:
                break
            wire = await self._wire_job(wire.from_checkpoint.partition(":")[0])
        request = self._control.request(f"get the base model of job {wire.id}")
        raise faults.malformed(request, "it names neither a model nor a checkpoint")

    async def _events(self, job_id: str) -> list[_WireEvent]:
        request = self._control.request(f"list the events of {job_id}", repeatable=True)
        path = f"{_PATH}/{segment(job_id)}/events"
        answer = read(request, await self._control.rest.send(request, "GET", path), _WireEvents)
        return sorted(answer.data, key=lambda one: _seconds(one.created_at))


def _record(wire: _WireJob, start: str, base: str, key: str, file: str) -> Job:
    """The job as we know it.

    How many tokens it is billed for is not certain (`token_count` may be those of one
    epoch), so our own count is booked.
    """
    done = wire.status == "completed"
    return Job(
        id=wire.id,
        status=_STATES.get(wire.status, wire.status.lower()),
        model=start,
        training_file=wire.training_file or file,
        created_at=_seconds(wire.created_at or ""),
        fine_tuned_model=str(names.TogetherModelId(base, wire.id)) if done else None,
        metadata={KEY: key} if key else {},
    )


def _base(order: JobOrder) -> str:
    start = names.tuned(order.model)
    return start.base if start else order.model


def _suffix(order: JobOrder) -> str:
    """Readable, and no other order's."""
    readable = _NOT_IN_SUFFIXES.sub("-", order.suffix)[: 39 - _KEY_LENGTH].strip("-")
    return f"{readable}-{order.key[:_KEY_LENGTH]}".strip("-")


def _event(place: int, wire: _WireEvent) -> JobEvent:
    level = (wire.level or "info").lower().removeprefix("legacy_i")
    metrics = {} if wire.step is None else {"step": float(wire.step)}
    return JobEvent(str(place), _seconds(wire.created_at), level, wire.message, metrics)


def _seconds(stated: str) -> int:
    try:
        at = datetime.fromisoformat(stated)
    except ValueError:
        return 0
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
