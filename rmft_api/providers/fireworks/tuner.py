"""Fine-tuning jobs, supervised and by DPO: named by their order, continued from any fine-tune.

The id of a job, and of its model, comes from the order's key, which the outbox has stored before
the request leaves: the same request twice makes one job, for the name is taken. Nothing must be
looked for or waited out.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import Checkpoint, Job, JobEvent, JobOrder, Method, UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.fireworks import convert, names
from rmft_api.providers.fireworks.control import FireworksControl
from rmft_api.providers.fireworks.datasets import Datasets
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.providers.validation import KEY

_KINDS: Mapping[Method, tuple[str, str]] = {
    "supervised": ("supervisedFineTuningJobs", "supervisedFineTuningJobId"),
    "dpo": ("dpoJobs", "dpoJobId"),
}
"""Of each method: the collection of its jobs, and the parameter that names one."""
_JOBS, _PREFERENCE_JOBS = _KINDS["supervised"][0], _KINDS["dpo"][0]
_STATE = "JOB_STATE_"
_STATES = {
    "CREATING": "queued",
    "PENDING": "queued",
    "IDLE": "queued",
    "RE_QUEUEING": "queued",
    "PAUSED": "paused",
    "VALIDATING": "validating_files",
    "CREATING_INPUT_DATASET": "validating_files",
    "RUNNING": "running",
    "WRITING_RESULTS": "running",
    "COMPLETED": "succeeded",
    "EARLY_STOPPED": "succeeded",
    "FAILED": "failed",
    "EXPIRED": "failed",
    "CANCELLING": "cancelling",
    "CANCELLED": "cancelled",
    "DELETING": "cancelled",
    "DELETING_CLEANING_UP": "cancelled",
}
"""Of an open set; every other one is not final."""


class _Status(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Progress(msgspec.Struct):
    percent: int = 0
    epoch: int | None = None


class _Training(msgspec.Struct, rename="camel"):
    base_model: str = ""
    warm_start_from: str = ""
    output_model: str = ""


class _WireJob(msgspec.Struct, rename="camel"):
    name: str
    state: str = ""
    dataset: str = ""
    base_model: str = ""
    warm_start_from: str = ""
    output_model: str = ""
    create_time: str = ""
    update_time: str = ""
    status: _Status = msgspec.field(default_factory=_Status)
    job_progress: _Progress = msgspec.field(default_factory=_Progress)
    training_config: _Training | None = None
    """Of a job by DPO: what a supervised one states itself."""

    @property
    def asked(self) -> "_Training":
        """What it trains from, and to."""
        stated = _Training(self.base_model, self.warm_start_from, self.output_model)
        return self.training_config or stated

    @property
    def stage(self) -> str:
        """Its state, in the words of `polling.STAGES`."""
        answer = self.state.removeprefix(_STATE)
        return _STATES.get(answer, answer.lower())


class _Peft(msgspec.Struct, rename="camel"):
    base_model: str = ""


class _Model(msgspec.Struct, rename="camel"):
    state: str = ""
    peft_details: _Peft | None = None


class FireworksTuner:
    """A `FineTuner` by datasets and jobs. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, *, environ: Mapping[str, str]) -> None:
        if profile.training is None:
            raise ConfigError(
                f"profile {profile.name!r} cannot train; name another one as model.training_profile"
            )
        self._profile = profile
        self._traits = profile.training
        self._control = FireworksControl(profile, environ)
        self._datasets = Datasets(self._control, profile.timeouts.upload_s)

    async def reach(self) -> None:
        """List a job. Raises ProviderFault."""
        request = self._control.request("list jobs", repeatable=True)
        path = f"{self._control.account}/{_JOBS}"
        await self._control.rest.send(request, "GET", path, query={"pageSize": "1"})

    async def close(self) -> None:
        """Let go of all connections."""
        await self._control.close()

    def stored(self, content: bytes) -> bytes:
        """The bytes as they are, once every line is known to be taken. Raises DataError."""
        return convert.checked(content)

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store a training file in a dataset of its name."""
        return await self._datasets.put(filename, self.stored(content))

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """The dataset of this very name, or nothing."""
        return await self._datasets.find(filename)

    async def file(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        return await self._datasets.get(file_id)

    async def estimated_price(self, order: JobOrder) -> int | None:
        """The endpoint gives no estimate."""
        return None

    async def create_job(self, order: JobOrder) -> Job:
        """Start a job, or find that this very order has started it before."""
        body, wanted = self._body(order), names.job_id(order)
        request = self._control.request(f"start a job on {order.training_file}", model=order.model)
        collection, name = _KINDS[order.method]
        path, query = f"{self._control.account}/{collection}", {name: wanted}
        try:
            raw = await self._control.rest.send(request, "POST", path, json=body, query=query)
        except ProviderFault as fault:
            if fault.status != 409:
                raise
            for job in await self.find_jobs(order):
                return job
            raise
        made = read(request, raw, _WireJob)
        if made.name.rpartition("/")[2] != wanted or made.dataset != order.training_file:
            raise faults.malformed(request, f"it names {made.name} on {made.dataset}", raw)
        return _record(made, _base(order.model), order.model, order.key)

    async def find_jobs(self, order: JobOrder) -> list[Job]:
        """The job of the order's name, where it is the order's own."""
        try:
            collection, _ = _KINDS[order.method]
            found = await self._job(f"{self._control.account}/{collection}/{names.job_id(order)}")
        except ProviderFault as fault:
            if fault.status == 404:
                return []
            raise
        if found.dataset != order.training_file:
            return []
        return [_record(found, _base(order.model), order.model, order.key)]

    async def job(self, job_id: str) -> Job:
        """The job as it stands."""
        wire = await self._job(job_id)
        start = wire.asked.warm_start_from
        base = wire.asked.base_model or (await self._model(start)).base_model
        return _record(wire, base, str(names.FireworksModelId(base, start)) if start else base)

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """There is no log: one event for each change of state or progress."""
        wire = await self._job(job_id)
        answer, percent = wire.state.removeprefix(_STATE), wire.job_progress.percent
        here = f"{answer}/{percent}"
        said = f"{answer.lower().replace('_', ' ')}" + (f", {percent} %" if percent else "")
        at = _seconds(wire.update_time or wire.create_time)
        return [] if here == after else [JobEvent(here, at, "info", said)]

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """None is saved on the way unless it is asked for."""
        await self._job(job_id)
        return []

    async def cancel_job(self, job_id: str) -> Job:
        """Ask for the job's end. Asking twice is harmless."""
        request = self._control.request(f"cancel job {job_id}", repeatable=True)
        path = self._control.path(_collection(job_id), job_id, ":cancel")
        await self._control.rest.send(request, "POST", path, json={})
        return await self.job(job_id)

    async def model_ready(self, model: str) -> bool:
        """Whether the model is ready; `deployments/` checks whether it answers."""
        found = names.tuned(model)
        if found is None:
            return False
        request = self._control.request("get a model", model=model, repeatable=True)
        path = self._control.path("models", found.name)
        try:
            answer = read(request, await self._control.rest.send(request, "GET", path), _Model)
        except ProviderFault as fault:
            if fault.status == 404:
                return False
            raise
        return answer.state == "READY"

    def _body(self, order: JobOrder) -> dict[str, Any]:
        """The request of a job. Raises ConfigError for what cannot be asked for."""
        wanted = order.hyperparameters
        self._profile.check_training(order.model, order.method, wanted)
        start = names.tuned(order.model)
        chosen = {
            "epochs": wanted.n_epochs,
            "batchSizeSamples": wanted.batch_size,
            "learningRate": wanted.learning_rate,
        }
        began = (
            {"warmStartFrom": start.name}
            if start
            else {"baseModel": self._profile.job_model(order.model)}
        )
        training = {
            **began,
            "outputModel": names.job_id(order),
            **{name: value for name, value in chosen.items() if value is not None},
        }
        about = {"dataset": order.training_file, "displayName": order.suffix[:60]}
        if order.method == "supervised":
            return {**self._traits.extra, **about, **training}
        loss = {} if wanted.beta is None else {"dpo": {"beta": wanted.beta}}
        return {
            **about,
            "trainingConfig": {**self._traits.extra, **training},
            # Without a method, the vendor's package names two different defaults.
            "lossConfig": {"method": "DPO", **loss},
        }

    async def _job(self, job_id: str) -> _WireJob:
        request = self._control.request(f"get job {job_id}", repeatable=True)
        path = self._control.path(_collection(job_id), job_id)
        return read(request, await self._control.rest.send(request, "GET", path), _WireJob)

    async def _model(self, name: str) -> _Peft:
        """What a fine-tune says of its base."""
        request = self._control.request(f"get the base of {name}", repeatable=True)
        path = self._control.path("models", name)
        raw = await self._control.rest.send(request, "GET", path)
        answer = read(request, raw, _Model).peft_details
        if answer is None or not answer.base_model:
            raise faults.malformed(request, "it names no base model", raw)
        return answer


def _record(wire: _WireJob, base: str, start: str, key: str = "") -> Job:
    """The job as we know it.

    The billed tokens are not reported, so our own count is booked.
    """
    account = "/".join(wire.name.split("/")[:2])
    output = wire.asked.output_model or wire.name.rpartition("/")[2]
    name = output if output.startswith("accounts/") else f"{account}/models/{output}"
    done, failed = wire.stage == "succeeded", wire.stage == "failed"
    reason = ": ".join(filter(None, (wire.status.code, wire.status.message)))
    return Job(
        id=wire.name,
        status=wire.stage,
        model=start,
        training_file=wire.dataset,
        created_at=_seconds(wire.create_time),
        fine_tuned_model=str(names.FireworksModelId(base, name)) if done else None,
        error=(reason or wire.state.removeprefix(_STATE).lower()) if failed else None,
        metadata={KEY: key} if key else {},
    )


def _collection(job_id: str) -> str:
    """Where a job of this name is."""
    return _PREFERENCE_JOBS if f"/{_PREFERENCE_JOBS}/" in job_id else _JOBS


def _base(model: str) -> str:
    start = names.tuned(model)
    return start.base if start else model


def _seconds(stated: str) -> int:
    try:
        at = datetime.fromisoformat(stated)
    except ValueError:
        return 0
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
