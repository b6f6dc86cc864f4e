"""Tuning jobs: found again by a label, continued from any tuned model, reported without events."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import Checkpoint, Job, JobEvent, JobOrder, UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.gemini import convert, names
from rmft_api.providers.gemini.bucket import CloudStorageBucket
from rmft_api.providers.gemini.names import GeminiProject, connected
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read

_STATES = {
    "JOB_STATE_QUEUED": "queued",
    "JOB_STATE_PENDING": "queued",
    "JOB_STATE_RUNNING": "running",
    "JOB_STATE_UPDATING": "running",
    "JOB_STATE_PAUSED": "paused",
    "JOB_STATE_SUCCEEDED": "succeeded",
    "JOB_STATE_PARTIALLY_SUCCEEDED": "succeeded",
    "JOB_STATE_FAILED": "failed",
    "JOB_STATE_EXPIRED": "failed",
    "JOB_STATE_CANCELLING": "cancelling",
    "JOB_STATE_CANCELLED": "cancelled",
}
_PAGE = "100"
_MOST_PAGES = 50
_NOT_IN_LABELS = re.compile(r"[^a-z0-9_-]")
_SHORT = 63
"""Longest value of a label."""


class _Hyperparameters(msgspec.Struct, rename="camel"):
    epoch_count: str | int = 1


class _Spec(msgspec.Struct, rename="camel"):
    training_dataset_uri: str = ""
    hyper_parameters: _Hyperparameters = msgspec.field(default_factory=_Hyperparameters)


class _WireCheckpoint(msgspec.Struct, rename="camel"):
    checkpoint_id: str
    step: str | int = 0


class _TunedModel(msgspec.Struct, rename="camel"):
    model: str | None = None
    endpoint: str | None = None
    checkpoints: list[_WireCheckpoint] = []


class _PreTuned(msgspec.Struct, rename="camel"):
    tuned_model_name: str = ""
    checkpoint_id: str | None = None
    base_model: str = ""


class _DataStats(msgspec.Struct, rename="camel"):
    total_billable_token_count: str | int | None = None
    total_truncated_example_count: str | int = 0
    truncated_example_indices: list[str | int] = []
    dropped_example_reasons: list[str] = []


class _Stats(msgspec.Struct, rename="camel"):
    supervised_tuning_data_stats: _DataStats = msgspec.field(default_factory=_DataStats)


class _Error(msgspec.Struct):
    code: int | None = None
    message: str = ""


class _WireJob(msgspec.Struct, rename="camel"):
    name: str
    state: str
    create_time: str = ""
    base_model: str = ""
    pre_tuned_model: _PreTuned | None = None
    supervised_tuning_spec: _Spec = msgspec.field(default_factory=_Spec)
    tuned_model: _TunedModel | None = None
    tuning_data_stats: _Stats = msgspec.field(default_factory=_Stats)
    error: _Error | None = None
    labels: dict[str, str] = {}

    @property
    def base(self) -> str:
        """The base model, however often it was tuned."""
        return self.base_model or (self.pre_tuned_model.base_model if self.pre_tuned_model else "")

    @property
    def start(self) -> str:
        """What is tuned further."""
        if pre := self.pre_tuned_model:
            return names.tuned(self.base, pre.tuned_model_name, pre.checkpoint_id)
        return self.base

    def record(self) -> Job:
        native = self.tuned_model.model if self.tuned_model else None
        stats, spec = (
            self.tuning_data_stats.supervised_tuning_data_stats,
            self.supervised_tuning_spec,
        )
        billed = stats.total_billable_token_count
        return Job(
            id=self.name,
            status=_STATES.get(self.state, self.state.lower()),
            model=self.start,
            training_file=spec.training_dataset_uri,
            created_at=_seconds(self.create_time),
            fine_tuned_model=names.tuned(self.base, native) if native else None,
            # The statistics are of the dataset; every epoch over it is trained and billed.
            trained_tokens=None
            if billed is None
            else int(billed) * int(spec.hyper_parameters.epoch_count),
            error=f"{self.error.code}: {self.error.message}" if self.error else None,
            metadata=self.labels,
        )


class _Page(msgspec.Struct, rename="camel"):
    tuning_jobs: list[_WireJob] = []
    next_page_token: str | None = None


class GeminiTuner:
    """A `FineTuner` by tuningJobs and Cloud Storage. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, *, environ: Mapping[str, str]) -> None:
        if profile.training is None:
            raise ConfigError(
                f"profile {profile.name!r} cannot train; name another one as model.training_profile"
            )
        self._profile = profile
        self._place = GeminiProject.of(profile, environ)
        self._rest = connected(profile, environ, self._place)
        self._bucket = CloudStorageBucket(profile, environ)

    async def reach(self) -> None:
        """Look for an object in the bucket, as before an upload. Raises ProviderFault."""
        await self._bucket.find("reach")

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()
        await self._bucket.close()

    def stored(self, content: bytes) -> bytes:
        """The dataset in Gemini's words."""
        return convert.dataset(content)

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store the converted dataset in the bucket."""
        return await self._bucket.put(filename, self.stored(content))

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """The object of this very name, or nothing."""
        return await self._bucket.find(filename)

    async def file(self, file_id: str) -> UploadedFile:
        """The object as it stands."""
        return await self._bucket.get(file_id)

    async def estimated_price(self, order: JobOrder) -> int | None:
        """The endpoint gives no estimate."""
        return None

    async def create_job(self, order: JobOrder) -> Job:
        """Start a job; the reply must be about our file and carry our label."""
        request = self._request(f"start a job on {order.training_file}", model=order.model)
        path = f"{self._place.parent}/tuningJobs"
        raw = await self._rest.send(request, "POST", path, json=self._body(order))
        job = read(request, raw, _WireJob).record()
        if job.training_file != order.training_file or job.metadata.get("rmft_key") != order.key:
            why = f"it names file {job.training_file!r} and labels {job.metadata}"
            raise faults.malformed(request, why, raw)
        return job

    async def find_jobs(self, order: JobOrder) -> list[Job]:
        """Jobs of the order's label, and those of the newest page on its file: an index may lag."""
        by_label = await self._jobs(f'labels.rmft_key="{order.key}"', _MOST_PAGES)
        newest = await self._jobs("", 1)
        found = {
            job.name: job.record()
            for job in (*by_label, *newest)
            if job.labels.get("rmft_key") == order.key
            or job.supervised_tuning_spec.training_dataset_uri == order.training_file
        }
        return sorted(found.values(), key=lambda job: (job.created_at, job.id))

    async def job(self, job_id: str) -> Job:
        """The job as it stands."""
        return (await self._job(job_id)).record()

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """There is no log; the fate of the dataset is reported once, if anything was dropped."""
        job = await self._job(job_id)
        stats = job.tuning_data_stats.supervised_tuning_data_stats
        dropped = int(stats.total_truncated_example_count)
        if after is not None or not dropped:
            return []
        where = ", ".join(str(index) for index in stats.truncated_example_indices) or "unknown"
        why = "; ".join(dict.fromkeys(stats.dropped_example_reasons)) or "no reason given"
        said = f"{dropped} examples were dropped (examples {where}): {why}"
        return [JobEvent(f"{job_id}#data", _seconds(job.create_time), "warn", said)]

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Models saved while the job ran, oldest first."""
        job = await self._job(job_id)
        made = job.tuned_model
        if made is None or made.model is None:
            return []
        base, native = job.base, made.model
        saved = [
            Checkpoint(id_, names.tuned(base, native, id_), int(one.step))
            for one in made.checkpoints
            if (id_ := one.checkpoint_id)
        ]
        return sorted(saved, key=lambda checkpoint: checkpoint.step)

    async def cancel_job(self, job_id: str) -> Job:
        """Ask for the job's end. Repeating it is harmless."""
        request = self._request(f"cancel job {job_id}", repeatable=True)
        await self._rest.send(request, "POST", f"{job_id}:cancel", json={})
        return await self.job(job_id)

    async def model_ready(self, model: str) -> bool:
        """Whether the model is registered; `deployments/` checks whether its endpoint answers."""
        request = self._request("get a model", model=model, repeatable=True)
        _, native = names.split(model)
        if not native.startswith("projects/"):
            return False
        try:
            await self._rest.send(request, "GET", native.partition("#")[0])
        except ProviderFault as fault:
            if fault.status == 404:
                return False
            raise
        return True

    def _body(self, order: JobOrder) -> dict[str, Any]:
        """The request of a job. Raises ConfigError for what cannot be asked for."""
        profile, wanted = self._profile, order.hyperparameters
        profile.check_training(order.model, order.method, wanted)
        base, native = names.split(order.model)
        hyperparameters: dict[str, Any] = {}
        if wanted.n_epochs is not None:
            hyperparameters["epochCount"] = str(wanted.n_epochs)
        if wanted.learning_rate_multiplier is not None:
            hyperparameters["learningRateMultiplier"] = wanted.learning_rate_multiplier
        start = {"preTunedModel": names.pre_tuned(native)} if native else {"baseModel": base}
        return {
            **start,
            "supervisedTuningSpec": {
                "trainingDatasetUri": order.training_file,
                "hyperParameters": hyperparameters,
                "exportLastCheckpointOnly": True,
            },
            # A name of its own makes a new model, where continuing would else add a version.
            "tunedModelDisplayName": f"{order.suffix}-{order.key[:8]}".strip("-"),
            "labels": {"rmft_key": order.key, **_labels(order.metadata)},
        }

    async def _job(self, job_id: str) -> _WireJob:
        request = self._request(f"get job {job_id}", repeatable=True)
        return read(request, await self._rest.send(request, "GET", job_id), _WireJob)

    async def _jobs(self, filter_: str, pages: int) -> list[_WireJob]:
        request = self._request("list jobs", repeatable=True)
        found: list[_WireJob] = []
        query = {"pageSize": _PAGE} | ({"filter": filter_} if filter_ else {})
        for _ in range(pages):
            path = f"{self._place.parent}/tuningJobs"
            page = read(request, await self._rest.send(request, "GET", path, query=query), _Page)
            found += page.tuning_jobs
            if not page.next_page_token:
                break
            query = {**query, "pageToken": page.next_page_token}
        return found

    def _request(self, action: str, *, model: str = "", repeatable: bool = False) -> faults.Request:
        return faults.Request(
            self._profile.name,
            action,
            model=model,
            repeatable=repeatable,
            key_name="the Google credentials",
        )


def _labels(metadata: Mapping[str, str]) -> dict[str, str]:
    """Values that a label can hold: lower case, short, without dots."""
    return {
        name: _NOT_IN_LABELS.sub("-", value.lower())[:_SHORT] for name, value in metadata.items()
    }


def _seconds(stated: str) -> int:
    try:
        return int(datetime.fromisoformat(stated).timestamp())
    except ValueError:
        return 0
