"""Customization jobs: named and tokened by their order, continued from any custom model.

`clientRequestToken` and the job's name both come from the order's key, which the outbox has stored
before the request leaves. So the same request twice makes one job: Bedrock knows the token again,
and where it has forgotten it, the name is taken. Nothing must be looked for or waited out.
"""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import Checkpoint, Job, JobEvent, JobOrder, UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.bedrock import access, convert, names
from rmft_api.providers.bedrock.aws_rest import AwsRest, segment
from rmft_api.providers.bedrock.bucket import S3Bucket
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read

_ROLE = re.compile(r"arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+")
_PATH = "model-customization-jobs"
_STATES = {
    "InProgress": "running",
    "Completed": "succeeded",
    "Failed": "failed",
    "Stopping": "cancelling",
    "Stopped": "cancelled",
}
_TAKEN = re.compile(r"(already|currently)\b.{0,60}\b(exists?|used?|in use)", re.IGNORECASE)
_TAKEN_CODES = ("conflictexception", "resourceinuseexception")
_NOT_IN_NAMES = re.compile(r"[^0-9a-zA-Z]+")
_LONGEST_NAME = 63


class _Phase(msgspec.Struct, rename="camel"):
    status: str = "NotStarted"
    last_modified_time: str = ""


class _Phases(msgspec.Struct, rename="camel"):
    validation_details: _Phase = msgspec.field(default_factory=_Phase)
    data_processing_details: _Phase = msgspec.field(default_factory=_Phase)
    training_details: _Phase = msgspec.field(default_factory=_Phase)

    def named(self) -> Iterator[tuple[str, _Phase]]:
        """In the order in which they come."""
        yield "validation", self.validation_details
        yield "data processing", self.data_processing_details
        yield "training", self.training_details


class _Uri(msgspec.Struct, rename="camel"):
    s3_uri: str = msgspec.field(name="s3Uri", default="")


class _Metrics(msgspec.Struct, rename="camel"):
    training_loss: float | None = None


class _WireJob(msgspec.Struct, rename="camel"):
    job_arn: str
    status: str = ""
    client_request_token: str = ""
    base_model_arn: str = ""
    output_model_arn: str = ""
    creation_time: str = ""
    end_time: str = ""
    failure_message: str = ""
    status_details: _Phases = msgspec.field(default_factory=_Phases)
    training_data_config: _Uri = msgspec.field(default_factory=_Uri)
    training_metrics: _Metrics = msgspec.field(default_factory=_Metrics)

    @property
    def base(self) -> str:
        """The base model, however often it was customized."""
        arns = (self.job_arn, self.output_model_arn, self.base_model_arn)
        return next((base for arn in arns if (base := names.base_in(arn))), "")

    @property
    def start(self) -> str:
        """What is trained further."""
        is_custom = ":custom-model/" in self.base_model_arn
        return names.tuned(self.base, self.base_model_arn) if is_custom else self.base

    def record(self) -> Job:
        ended_well = self.status == "Completed" and self.output_model_arn
        key = self.client_request_token
        return Job(
            id=self.job_arn,
            status=self._status(),
            model=self.start,
            training_file=self.training_data_config.s3_uri,
            created_at=_seconds(self.creation_time),
            fine_tuned_model=names.tuned(self.base, self.output_model_arn) if ended_well else None,
            # Bedrock does not report how many tokens it bills: our own count is recorded.
            trained_tokens=None,
            error=self.failure_message if self.status == "Failed" else None,
            metadata={"rmft_key": key} if key else {},
        )

    def _status(self) -> str:
        if self.status == "InProgress" and self.status_details.validation_details.status in (
            "InProgress",
            "NotStarted",
        ):
            return "validating_files"
        return _STATES.get(self.status, self.status.lower())


class _Created(msgspec.Struct, rename="camel"):
    job_arn: str


class _Model(msgspec.Struct, rename="camel"):
    model_status: str = "Active"


class _News(NamedTuple):
    """A phase that has changed, as an event."""

    place: int
    status: str

    @classmethod
    def of(cls, event: str | None) -> "_News":
        place, _, status = (event or "-1/").partition("/")
        return cls(int(place) if place.lstrip("-").isdigit() else -1, status)


class BedrockTuner:
    """A `FineTuner` by customization jobs and S3. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, *, environ: Mapping[str, str]) -> None:
        if profile.training is None:
            raise ConfigError(
                f"profile {profile.name!r} cannot train; name another one as model.training_profile"
            )
        self._profile = profile
        self._traits = profile.training
        self._role = profile.setting("role", environ)
        if not _ROLE.fullmatch(self._role):
            raise ConfigError(
                f"{profile.setting_envs['role']}={self._role!r} must be "
                "arn:aws:iam::ACCOUNT:role/NAME, a role that Bedrock may assume"
            )
        self._rest = control(profile, environ)
        self._bucket = S3Bucket(profile, environ)

    async def reach(self) -> None:
        """List a job, and look for an object in the bucket. Raises ProviderFault."""
        request = self._request("list jobs", repeatable=True)
        await self._rest.send(request, "GET", _PATH, query={"maxResults": "1"})
        await self._bucket.find("reach")

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()
        await self._bucket.close()

    def stored(self, content: bytes) -> bytes:
        """The dataset in Bedrock's words."""
        return convert.dataset(content, self._traits.reserved)

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
        """Start a job, or find that this very order has started it before."""
        body = self._body(order)
        request = self._request(f"start a job on {order.training_file}", model=order.model)
        try:
            raw = await self._rest.send(request, "POST", _PATH, json=body)
        except ProviderFault as fault:
            if not _is_taken(fault):
                raise
            for job in await self.find_jobs(order):
                return job
            raise
        arn = read(request, raw, _Created).job_arn
        if ":model-customization-job/" not in arn:
            raise faults.malformed(request, f"it names job {arn!r}", raw)
        return Job(
            id=arn,
            status="queued",
            model=order.model,
            training_file=order.training_file,
            created_at=int(time.time()),
            metadata={"rmft_key": order.key},
        )

    async def find_jobs(self, order: JobOrder) -> list[Job]:
        """The job of the order's name, where it is the order's own."""
        try:
            found = await self._job(_name(order))
        except ProviderFault as fault:
            if _is_missing(fault):
                return []
            raise
        ours = found.client_request_token == order.key
        same = found.training_data_config.s3_uri == order.training_file
        return [found.record()] if ours or same else []

    async def job(self, job_id: str) -> Job:
        """The job as it stands."""
        return (await self._job(job_id)).record()

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """There is no log; the phases of the job are reported as they change, and its loss."""
        job = await self._job(job_id)
        last_news = _News.of(after)
        stated = [
            JobEvent(f"{place}/{phase.status}", _seconds(phase.last_modified_time), "info", said)
            for place, (name, phase) in enumerate(job.status_details.named())
            if phase.status != "NotStarted" and (said := f"{name}: {phase.status}")
        ]
        loss = job.training_metrics.training_loss
        if job.status == "Completed" and loss is not None:
            ended = max((event.created_at for event in stated), default=_seconds(job.end_time))
            metrics = {"training_loss": loss}
            stated.append(JobEvent("9/loss", ended, "info", f"training loss {loss:g}", metrics))
        return [event for event in stated if _is_new(_News.of(event.id), last_news)]

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Bedrock keeps none that can be named."""
        await self._job(job_id)
        return []

    async def cancel_job(self, job_id: str) -> Job:
        """Ask for the job's end. Repeating it is harmless."""
        request = self._request(f"stop job {job_id}", repeatable=True)
        await self._rest.send(request, "POST", f"{_PATH}/{segment(job_id)}/stop")
        return await self.job(job_id)

    async def model_ready(self, model: str) -> bool:
        """Whether the custom model is active; `deployments/` checks whether it answers."""
        _, arn = names.split(model)
        if not arn:
            return False
        request = self._request("get a model", model=model, repeatable=True)
        try:
            raw = await self._rest.send(request, "GET", f"custom-models/{segment(arn)}")
        except ProviderFault as fault:
            if _is_missing(fault):
                return False
            raise
        return read(request, raw, _Model).model_status == "Active"

    def _body(self, order: JobOrder) -> dict[str, Any]:
        """The request of a job. Raises ConfigError for what cannot be asked for."""
        wanted = order.hyperparameters
        self._profile.check_training(order.model, order.method, wanted)
        base, arn = names.split(order.model)
        hyperparameters: dict[str, str] = {**self._traits.extra.get("hyperParameters", {})}
        if wanted.n_epochs is not None:
            hyperparameters["epochCount"] = str(wanted.n_epochs)
        if wanted.learning_rate is not None:
            hyperparameters["learningRate"] = f"{wanted.learning_rate:g}"
        tags = [{"key": name, "value": value} for name, value in order.metadata.items()]
        return {
            **self._traits.extra,
            "jobName": _name(order),
            "customModelName": _name(order),
            "roleArn": self._role,
            "clientRequestToken": order.key,
            "baseModelIdentifier": arn or self._profile.job_model(base),
            "customizationType": "FINE_TUNING",
            "trainingDataConfig": {"s3Uri": order.training_file},
            "outputDataConfig": {"s3Uri": f"{self._bucket.uri}output/"},
            "hyperParameters": hyperparameters,
            "jobTags": tags,
            "customModelTags": tags,
        }

    async def _job(self, job_id: str) -> _WireJob:
        request = self._request(f"get job {job_id}", repeatable=True)
        path = f"{_PATH}/{segment(job_id)}"
        return read(request, await self._rest.send(request, "GET", path), _WireJob)

    def _request(self, action: str, *, model: str = "", repeatable: bool = False) -> faults.Request:
        return faults.Request(
            self._profile.name,
            action,
            model=model,
            repeatable=repeatable,
            key_name=access.KEY_NAME,
        )


def control(profile: Profile, environ: Mapping[str, str]) -> AwsRest:
    """Requests to Bedrock's control plane: jobs, models, deployments. Raises ConfigError."""
    hosting = profile.hosting
    given = environ.get(hosting.base_url_env or "", "").strip()
    return AwsRest(profile, environ, "bedrock", given or hosting.base_url)


def _name(order: JobOrder) -> str:
    """A job's and its model's name: letters and digits, single dashes, no other order's."""
    room = _LONGEST_NAME - 25
    readable = _NOT_IN_NAMES.sub("-", order.suffix)[:room].strip("-")
    return f"{readable}-{order.key[:24]}".strip("-")


def _is_taken(fault: ProviderFault) -> bool:
    code = (fault.code or "").lower()
    return fault.status in (400, 409) and (
        code in _TAKEN_CODES or _TAKEN.search(str(fault)) is not None
    )


def _is_missing(fault: ProviderFault) -> bool:
    return fault.status == 404 or (fault.code or "").lower() == "resourcenotfoundexception"


def _is_new(now: _News, last_news: _News) -> bool:
    """A later phase, or the last reported one, which has progressed."""
    return now.place > last_news.place or (
        now.place == last_news.place and now.status != last_news.status
    )


def _seconds(stated: str) -> int:
    try:
        at = datetime.fromisoformat(stated)
    except ValueError:
        return 0
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
