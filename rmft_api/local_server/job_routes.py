"""`/v1/fine_tuning/jobs`: create, list, get, cancel, pause, resume, events, checkpoints."""

import re
import secrets
import time
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from rmft_api.local_server.engine import JobHyperparameters
from rmft_api.local_server.files import FileStore
from rmft_api.local_server.job_records import Content, Job, JobCheckpoint
from rmft_api.local_server.jobs import JobStore
from rmft_api.local_server.models import Catalogue
from rmft_api.local_server.paging import listing, page
from rmft_api.local_server.refusals import RequestError, decode, invalid, unsupported
from rmft_api.local_server.supervisor import Supervisor
from rmft_api.local_server.weight_store import WeightStore

AUTO_BETA = 0.1
"""Beta where a job leaves it open: the value of the DPO paper's own experiments."""
Auto = Literal["auto"]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Factor = Annotated[float, Meta(gt=0, le=1_000_000)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]


class _Numbers(msgspec.Struct, forbid_unknown_fields=True):
    n_epochs: Count | Auto | None = None
    batch_size: Count | Auto | None = None
    learning_rate_multiplier: Factor | Auto | None = None

    def read(self) -> JobHyperparameters:
        return JobHyperparameters(
            *(None if value == "auto" else value for value in msgspec.structs.astuple(self))
        )


class _PreferenceNumbers(_Numbers, forbid_unknown_fields=True):
    beta: Annotated[float, Meta(gt=0, le=2)] | Auto | None = None

    def read(self) -> JobHyperparameters:
        return _Numbers(self.n_epochs, self.batch_size, self.learning_rate_multiplier).read()


class _Dpo(msgspec.Struct, forbid_unknown_fields=True):
    hyperparameters: _PreferenceNumbers | None = None

    @property
    def beta(self) -> float:
        """OpenAI's "auto" is not published; ours is `AUTO_BETA`."""
        wanted = None if self.hyperparameters is None else self.hyperparameters.beta
        return wanted if isinstance(wanted, float | int) else AUTO_BETA


class _Supervised(msgspec.Struct, forbid_unknown_fields=True):
    hyperparameters: _Numbers | None = None


class _Method(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: _Supervised | None = None
    dpo: _Dpo | None = None
    reinforcement: object = None


class _Create(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: _Numbers | None = None
    """Deprecated at OpenAI; `method` goes before it."""
    method: _Method | None = None
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    suffix: Annotated[str, Meta(max_length=64)] | None = None
    metadata: Metadata | None = None
    integrations: list[object] | None = None

    def numbers(self) -> JobHyperparameters:
        """The hyperparameters, wherever they stand. Raises Refusal."""
        if self.method is None:
            chosen = None
        elif self.method.type == "reinforcement":
            raise _no_method("reinforcement", ("supervised", "dpo"))
        else:
            chosen = self.method.dpo if self.method.type == "dpo" else self.method.supervised
        numbers = None if chosen is None else chosen.hyperparameters
        return (numbers or self.hyperparameters or _Numbers()).read()

    @property
    def beta(self) -> float | None:
        """Set where it is to be trained by DPO."""
        if self.method is None or self.method.type != "dpo":
            return None
        return (self.method.dpo or _Dpo()).beta


_CREATE = msgspec.json.Decoder(_Create)
_FILTER = re.compile(r"metadata\[(.*)\]", re.DOTALL)


class JobRoutes:
    """Handlers over the jobs."""

    def __init__(
        self,
        files: FileStore,
        jobs: JobStore,
        catalogue: Catalogue,
        supervisor: Supervisor,
        shelf: WeightStore,
    ) -> None:
        self._files = files
        self._jobs = jobs
        self._catalogue = catalogue
        self._supervisor = supervisor
        self._shelf = shelf
        self._targets = {job.target for job in jobs.all()}

    async def create(self, request: web.Request) -> web.Response:
        """POST /v1/fine_tuning/jobs. The job is on the disk before it is acknowledged."""
        asked = decode(_CREATE, await request.read())
        if asked.validation_file is not None:
            raise unsupported("validation_file")
        if asked.integrations:
            raise unsupported("integrations")
        job = self._job(asked)
        await self._jobs.add(job, self._files.content(job.training_file))
        self._jobs.log(job.id, f"Created fine-tuning job: {job.id}")
        self._jobs.log(job.id, f"Validating training file: {job.training_file}")
        self._supervisor.start(job.id)
        return web.json_response(job.json())

    def _job(self, asked: _Create) -> Job:
        numbers = asked.numbers()
        served, beta = self._catalogue.find(asked.model), asked.beta
        if beta is not None and not self._catalogue.learns_from_preferences(served):
            raise _no_method("dpo", ("supervised",))
        seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
        key = (asked.metadata or {}).get("rmft_key")
        sha256 = self._trainable(asked.training_file)
        self._shelf.require_room(served, numbers)
        content = Content(asked.model, sha256, numbers, seed, key, beta)
        number, job_id = self._jobs.next_place()
        return Job(
            number=number,
            id=job_id,
            created_at=int(time.time()),
            model=asked.model,
            base=served.base,
            training_file=asked.training_file,
            requested=numbers,
            seed=seed,
            beta=beta,
            metadata=asked.metadata,
            target=self._free_target(content, served.base, asked.suffix or ""),
        )

    def _trainable(self, file_id: str) -> str:
        """The file's hash. Raises Refusal for a file that cannot be a training file."""
        try:
            file = self._files.get(file_id)
        except RequestError as refusal:
            message = f"invalid training_file: {file_id}; {refusal.message}"
            raise invalid(message, "training_file", "invalid_training_file") from refusal
        if file.purpose != "fine-tune":
            message = f"File {file_id} has purpose {file.purpose!r}; it must be 'fine-tune'."
            raise invalid(message, "training_file", "invalid_training_file")
        return file.sha256

    def _free_target(self, content: Content, base: str, suffix: str) -> str:
        twin = 0
        while (target := content.target(base, suffix, twin)) in self._targets:
            twin += 1
        self._targets.add(target)
        return target

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/fine_tuning/jobs?after&limit&metadata[k]=v, newest first."""
        jobs = [job for job in reversed(self._jobs.all()) if _matches(job, request)]
        found, more = page(jobs, request.query, default=20, most=100)
        return listing([self._json(job) for job in found], more)

    def _json(self, job: Job) -> dict[str, object]:
        return job.json(self._supervisor.estimated_finish(job.id))

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/fine_tuning/jobs/{id}."""
        return web.json_response(self._json(self._jobs.get(request.match_info["id"])))

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /v1/fine_tuning/jobs/{id}/cancel."""
        job = await self._supervisor.cancel(request.match_info["id"])
        return web.json_response(self._json(job))

    async def pause(self, request: web.Request) -> web.Response:
        """POST /v1/fine_tuning/jobs/{id}/pause."""
        job = await self._supervisor.pause(request.match_info["id"])
        return web.json_response(self._json(job))

    async def resume(self, request: web.Request) -> web.Response:
        """POST /v1/fine_tuning/jobs/{id}/resume."""
        job = await self._supervisor.resume(request.match_info["id"])
        return web.json_response(self._json(job))

    async def events(self, request: web.Request) -> web.Response:
        """GET /v1/fine_tuning/jobs/{id}/events?after&limit, newest first."""
        events = self._jobs.events(request.match_info["id"])[::-1]
        found, more = page(events, request.query, default=20, most=1000)
        return listing([event.json() for event in found], more)

    async def checkpoints(self, request: web.Request) -> web.Response:
        """GET /v1/fine_tuning/jobs/{id}/checkpoints?after&limit, newest first."""
        job = self._jobs.get(request.match_info["id"])
        checkpoints = [JobCheckpoint(job, saved) for saved in reversed(job.checkpoints)]
        found, more = page(checkpoints, request.query, default=10, most=100)
        return listing([checkpoint.json() for checkpoint in found], more)


def _no_method(asked: str, known: Sequence[str]) -> RequestError:
    supported = ", ".join(map(repr, known))
    message = f"Invalid value: {asked!r}. Supported values are: {supported}."
    return invalid(message, "method.type")


def _matches(job: Job, request: web.Request) -> bool:
    """Whether the job carries all the metadata that the query asks for."""
    for name, value in request.query.items():
        key = _FILTER.fullmatch(name)
        if key is not None and (job.metadata or {}).get(key[1]) != value:
            return False
        if name == "metadata" and value == "null" and job.metadata is not None:
            return False
    return True
