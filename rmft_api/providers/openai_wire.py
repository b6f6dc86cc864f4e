"""Files and fine-tuning jobs on the OpenAI wire: OpenAI, our local server, and whoever speaks it.

The openai package builds the requests; the replies are read here, strictly, because its objects
check nothing (a `{}` becomes a job without an id). It never retries: `retries.py` does.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Protocol, cast

import httpx2
import msgspec
import openai

from rmft_api.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.strict import KEY, Entry, WireFile, WirePage, converted, decoded, is_ours
from rmft_api.providers.traits import TrainingTraits
from rmft_api.records import (
    Checkpoint,
    Job,
    JobEvent,
    JobOrder,
    UploadedFile,
)

PAGE = 100
"""Entries asked for at once."""
MOST_PAGES = 50
"""A list is read no further: 5,000 jobs or files."""
CHECKPOINT = re.compile(r"(?P<base>.+):(?P<job>ftjob-[^:]+):(?P<checkpoint>[^:]+)")
"""How a checkpoint is called where its endpoint has no name for it."""
BOM = b"\xef\xbb\xbf"


class _WireError(msgspec.Struct):
    code: str | None = None
    message: str | None = None
    param: str | None = None

    def __str__(self) -> str:
        named = ": ".join(part for part in (self.code, self.message) if part)
        return f"{named} ({self.param})" if named and self.param else named


class _WireJob(msgspec.Struct):
    id: str
    status: str
    model: str
    training_file: str
    created_at: int | float
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    error: _WireError | str | None = None
    metadata: Entry | None = None

    def record(self) -> Job:
        return Job(
            id=self.id,
            status=self.status,
            model=self.model,
            training_file=self.training_file,
            created_at=int(self.created_at),
            fine_tuned_model=self.fine_tuned_model or None,
            trained_tokens=self.trained_tokens,
            error=str(self.error or "") or None,
            metadata={name: str(value) for name, value in (self.metadata or {}).items()},
        )


class _WireCheckpoint(msgspec.Struct):
    id: str
    fine_tuned_model_checkpoint: str | None = None
    step_number: int = 0

    def record(self, base: str, job_id: str) -> Checkpoint:
        """With a model of our naming where the endpoint has no name for it.

        Its base comes first, so that price and calendar are found by it.
        """
        model = self.fine_tuned_model_checkpoint or f"{base}:{job_id}:{self.id}"
        return Checkpoint(self.id, model, self.step_number)


class _Response(Protocol):
    """What the package's raw responses have."""

    @property
    def http_response(self) -> httpx2.Response: ...


class OpenAITuner:
    """A `FineTuner` on the OpenAI wire. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, *, environ: Mapping[str, str] = os.environ) -> None:
        if profile.training is None:
            raise ConfigError(
                f"profile {profile.name!r} cannot train; name another one as model.training_profile"
            )
        self._profile = profile
        self._traits: TrainingTraits = profile.training
        self._waits = profile.timeouts
        self._client = _client(profile, environ)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.close()

    def stored(self, content: bytes) -> bytes:
        """The bytes that are uploaded: with a byte order mark where the endpoint wants one."""
        return BOM + content if self._traits.bom else content

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store a training file; the reply must tell its very name and size."""
        request = self._request(f"store {filename}")
        body = self.stored(content)
        raw = await self._send(
            request,
            self._client.files.with_raw_response.create(
                file=(filename, body, "application/jsonl"), purpose="fine-tune"
            ),
            self._waits.upload_s,
        )
        file = decoded(request, raw, WireFile).record()
        if (file.filename, file.bytes) != (filename, len(body)):
            why = f"it tells {file.filename!r} of {file.bytes} bytes, not of {len(body)}"
            raise faults.malformed(request, why, raw)
        return file

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        request = self._request("list files", repeatable=True)

        def page(after: str | openai.Omit) -> Awaitable[_Response]:
            return self._client.files.with_raw_response.list(
                purpose="fine-tune", limit=PAGE, after=after, order="desc"
            )

        found = [
            converted(request, entry, WireFile).record()
            async for entry in self._entries(request, page)
            if entry.get("filename") == filename
        ]
        return found[::-1]

    async def file(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        request = self._request(f"tell of file {file_id}", repeatable=True, tuned=True)
        raw = await self._send(request, self._client.files.with_raw_response.retrieve(file_id))
        return decoded(request, raw, WireFile).record()

    async def create_job(self, order: JobOrder) -> Job:
        """Start a job; the reply must be about our file and carry our key."""
        request = self._request(f"start a job on {order.training_file}", model=order.model)
        raw = await self._send(
            request,
            self._client.fine_tuning.jobs.with_raw_response.create(**self._body(order)),
        )
        job = decoded(request, raw, _WireJob).record()
        if job.training_file != order.training_file:
            why = f"it tells of file {job.training_file!r}"
            raise faults.malformed(request, why, raw)
        if job.metadata.get(KEY, order.key) != order.key:
            raise faults.malformed(request, f"it carries {job.metadata}", raw)
        return job

    async def find_jobs(self, order: JobOrder) -> list[Job]:
        """Jobs that carry the order's key or train on its file, oldest first.

        Where the endpoint filters by metadata, the newest page of all jobs is read besides, so
        that one of the two finds the job whichever index lags.
        """
        request = self._request("list jobs", repeatable=True)
        found: dict[str, Job] = {}
        by_key = self._traits.look_up == "metadata"
        for query, pages in (
            ((order.key, MOST_PAGES), (None, 1)) if by_key else ((None, MOST_PAGES),)
        ):
            async for entry in self._jobs(request, query, pages):
                if is_ours(entry, order.key, "training_file", order.training_file):
                    job = converted(request, entry, _WireJob).record()
                    found[job.id] = job
        return sorted(found.values(), key=lambda job: (job.created_at, job.id))

    async def job(self, job_id: str) -> Job:
        """The job as it stands."""
        request = self._request(f"tell of job {job_id}", repeatable=True)
        jobs = self._client.fine_tuning.jobs.with_raw_response
        raw = await self._send(request, jobs.retrieve(job_id))
        return decoded(request, raw, _WireJob).record()

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """The job's log since event `after`, oldest first. Entries of unknown form are left out."""
        request = self._request(f"tell the events of {job_id}", repeatable=True)
        jobs = self._client.fine_tuning.jobs.with_raw_response

        def page(cursor: str | openai.Omit) -> Awaitable[_Response]:
            return jobs.list_events(job_id, limit=PAGE, after=cursor)

        new: list[JobEvent] = []
        async for entry in self._entries(request, page):  # the wire tells the newest first
            if after is not None and entry.get("id") == after:
                break
            new.extend(_event(entry))
        return new[::-1]

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Models saved so far, oldest first; empty where the endpoint keeps none."""
        request = self._request(f"tell the checkpoints of {job_id}", repeatable=True)
        checkpoints = self._client.fine_tuning.jobs.checkpoints.with_raw_response

        def page(cursor: str | openai.Omit) -> Awaitable[_Response]:
            return checkpoints.list(job_id, limit=PAGE, after=cursor)

        try:
            wires = [
                converted(request, entry, _WireCheckpoint)
                async for entry in self._entries(request, page)
            ]
        except ProviderFault as fault:
            if fault.status in (404, 405, 501):
                return []
            raise
        base = (await self.job(job_id)).model if self._traits.result == "checkpoint" else ""
        saved = [wire.record(base, job_id) for wire in wires]
        return sorted(saved, key=lambda checkpoint: checkpoint.step)

    async def cancel_job(self, job_id: str) -> Job:
        """Ask for the job's end. Asking twice is harmless."""
        request = self._request(f"cancel job {job_id}", repeatable=True)
        jobs = self._client.fine_tuning.jobs.with_raw_response
        raw = await self._send(request, jobs.cancel(job_id))
        return decoded(request, raw, _WireJob).record()

    async def model_ready(self, model: str) -> bool:
        """Whether the model answers yet; a model that is not known yet is only not ready."""
        if self._traits.result == "checkpoint":
            return await self._is_saved(model)
        request = self._request("tell of a model", model=model, repeatable=True, tuned=True)
        try:
            await self._send(request, self._probe(model))
        except ProviderFault as fault:
            if fault.kind is FaultKind.WAIT or fault.status == 404:
                return False
            raise
        return True

    async def _is_saved(self, model: str) -> bool:
        """Whether the job that the model's name tells of holds this checkpoint."""
        named = CHECKPOINT.fullmatch(model)
        if named is None:
            return False
        try:
            saved = await self.checkpoints(named["job"])
        except ProviderFault as fault:
            if fault.status == 404:
                return False
            raise
        return model in [checkpoint.model for checkpoint in saved]

    def _probe(self, model: str) -> Awaitable[_Response]:
        if self._traits.readiness == "models":
            return self._client.models.with_raw_response.retrieve(model)
        return self._client.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": "1"}], max_tokens=1
        )

    def _body(self, order: JobOrder) -> dict[str, Any]:
        """The request of a job, as this endpoint understands it. Raises ConfigError."""
        traits = self._profile.check_training(order.model, order.method, order.hyperparameters)
        body: dict[str, Any] = {
            "model": order.model,
            "training_file": order.training_file,
            "seed": order.seed,
            "method": {
                "type": order.method,
                order.method: {"hyperparameters": _hyperparameters(order, traits)},
            },
            "extra_headers": {"X-Client-Request-Id": order.key},
        }
        if traits.look_up == "token":
            body["extra_headers"]["Idempotency-Key"] = order.key
        if traits.extra:
            body["extra_body"] = traits.extra
        if traits.metadata:
            body["metadata"] = {KEY: order.key, **order.metadata}
        if order.suffix and traits.suffix_length:
            body["suffix"] = _suffix(order.suffix, traits)
        return body

    def _jobs(self, request: faults.Request, key: str | None, pages: int) -> AsyncIterator[Entry]:
        jobs = self._client.fine_tuning.jobs.with_raw_response

        def page(after: str | openai.Omit) -> Awaitable[_Response]:
            wanted = openai.omit if key is None else {KEY: key}
            return jobs.list(limit=PAGE, after=after, metadata=wanted)

        return self._entries(request, page, pages)

    async def _entries(
        self, request: faults.Request, page: "_Page", pages: int = MOST_PAGES
    ) -> AsyncIterator[Entry]:
        """Every entry of a list, newest first, page by page."""
        after: str | openai.Omit = openai.omit
        for _ in range(pages):
            raw = await self._send(request, page(after))
            wire = decoded(request, raw, WirePage)
            for entry in wire.data:
                yield entry
            last = str(wire.data[-1].get("id", "")) if wire.data else ""
            if not wire.has_more or not last or last == after:
                return
            after = last

    async def _send(
        self, request: faults.Request, sent: Awaitable[_Response], limit_s: float | None = None
    ) -> bytes:
        """The reply's bytes. The whole exchange must end in time, however slowly it drips."""
        try:
            async with asyncio.timeout(limit_s or self._waits.list_s):
                return (await sent).http_response.content
        except openai.APIStatusError as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            raise faults.refused(
                request, error.status_code, headers, error.response.content
            ) from error
        except openai.APIConnectionError as error:
            raise _unanswered(request, error) from error
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            raise faults.lost(request, error) from error

    def _request(
        self, action: str, *, model: str = "", repeatable: bool = False, tuned: bool = False
    ) -> faults.Request:
        return faults.Request(
            self._profile.name,
            action,
            model=model,
            tuned=tuned,
            repeatable=repeatable,
            key_name=self._profile.api_key_env or "the key",
        )


class _Page(Protocol):
    """Asks for the page after an entry."""

    def __call__(self, after: str | openai.Omit, /) -> Awaitable[_Response]: ...


def _client(profile: Profile, environ: Mapping[str, str]) -> openai.AsyncOpenAI:
    """The package's client, told everything, so that it takes nothing from the environment."""
    key = profile.key(environ)
    by_bearer = key is not None and profile.key_header == "Authorization"
    told = profile.headers(environ) | ({} if by_bearer else profile.authorization(key))
    own = ("OpenAI-Organization", "OpenAI-Project")
    headers: dict[str, Any] = {name: told.get(name, openai.omit) for name in own} | told
    waits = profile.timeouts
    return openai.AsyncOpenAI(
        api_key=key.reveal() if key and by_bearer else "none",  # the package insists on one
        base_url=profile.base_url,
        max_retries=0,
        default_headers=headers,
        http_client=httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(keepalive_expiry=5.0),
            event_hooks={} if by_bearer else {"request": [_without_bearer]},
        ),
        timeout=httpx2.Timeout(waits.upload_s, connect=waits.connect_s, pool=None),
    )


async def _without_bearer(request: httpx2.Request) -> None:
    """The package always sends a bearer; an endpoint that takes none gets none."""
    request.headers.pop("authorization", None)


def _unanswered(request: faults.Request, error: openai.APIConnectionError) -> ProviderFault:
    cause = error.__cause__
    if isinstance(cause, httpx2.ConnectError) and "certificate" in str(cause).lower():
        return faults.untrusted(request, error)
    if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)):
        return faults.not_sent(request, error)
    return faults.lost(request, error)


def _hyperparameters(order: JobOrder, traits: TrainingTraits) -> dict[str, int | float | str]:
    """Numbers; "auto" or nothing where the order leaves the choice."""
    wanted = order.hyperparameters
    chosen: dict[str, int | float | None] = {
        "n_epochs": wanted.n_epochs,
        "batch_size": wanted.batch_size,
    }
    if traits.learning_rate == "multiplier":
        chosen["learning_rate_multiplier"] = wanted.learning_rate_multiplier
    else:
        chosen["learning_rate"] = wanted.learning_rate
    if order.method == "dpo":
        chosen["beta"] = wanted.beta
    if not traits.auto:
        return {name: value for name, value in chosen.items() if value is not None}
    return {name: "auto" if value is None else value for name, value in chosen.items()}


def _suffix(suffix: str, traits: TrainingTraits) -> str:
    if not re.fullmatch(traits.suffix_pattern, suffix):
        raise ConfigError(f"suffix {suffix!r} must match {traits.suffix_pattern}")
    return suffix[: traits.suffix_length]


def _event(entry: Entry) -> Sequence[JobEvent]:
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
