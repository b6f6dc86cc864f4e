"""Files and fine-tuning jobs on the OpenAI wire: OpenAI, our local server, and others.

The openai package builds the requests (`openai_client.py`, `openai_order.py`); the replies are read
by our own types (`openai_shapes.py`), because its objects check nothing (a `{}` becomes a job
without an id). Nothing retries here: `retries.py` does.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Mapping

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.records import Checkpoint, Job, JobEvent, JobOrder, UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.capabilities import TrainingCapabilities
from rmft_api.providers.openai_client import (
    MOST_PAGES,
    OMIT,
    PAGE,
    Cursor,
    OpenAIExchange,
    RawReply,
)
from rmft_api.providers.openai_order import job_request
from rmft_api.providers.openai_shapes import CHECKPOINT, WireCheckpoint, WireJob, event
from rmft_api.providers.profiles import Profile
from rmft_api.providers.validation import (
    KEY,
    Entry,
    WireFile,
    converted,
    decoded,
    is_ours,
)

_NO_SUCH_PAGE = (404, 405, 501)
"""The endpoint answered: it was reached, though it lists nothing."""
BOM = b"\xef\xbb\xbf"


class OpenAITuner:
    """A `FineTuner` on the OpenAI wire. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, *, environ: Mapping[str, str] = os.environ) -> None:
        if profile.training is None:
            raise ConfigError(
                f"profile {profile.name!r} cannot train; name another one as model.training_profile"
            )
        self._profile = profile
        self._traits: TrainingCapabilities = profile.training
        self._waits = profile.timeouts
        self._wire = OpenAIExchange(profile, environ)
        self._client = self._wire.openai

    async def close(self) -> None:
        """Let go of all connections."""
        await self._wire.close()

    async def reach(self) -> None:
        """Ask for one file's record, as a look-up of uploads does. Raises ProviderFault."""
        request = self._request("list files", repeatable=True)
        try:
            await self._wire.send(request, self._client.files.with_raw_response.list(limit=1))
        except ProviderFault as fault:
            if fault.status not in _NO_SUCH_PAGE:
                raise

    def stored(self, content: bytes) -> bytes:
        """The bytes that are uploaded: with a byte order mark where the endpoint requires one."""
        return BOM + content if self._traits.bom else content

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store a training file; the reply must name the same file and size."""
        request = self._request(f"store {filename}")
        body = self.stored(content)
        raw = await self._wire.send(
            request,
            self._client.files.with_raw_response.create(
                file=(filename, body, "application/jsonl"), purpose="fine-tune"
            ),
            self._waits.upload_s,
        )
        file = decoded(request, raw, WireFile).record()
        if (file.filename, file.bytes) != (filename, len(body)):
            why = f"it names {file.filename!r} of {file.bytes} bytes, not of {len(body)}"
            raise faults.malformed(request, why, raw)
        return file

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        request = self._request("list files", repeatable=True)

        def page(after: Cursor) -> Awaitable[RawReply]:
            return self._client.files.with_raw_response.list(
                purpose="fine-tune", limit=PAGE, after=after, order="desc"
            )

        found = [
            converted(request, entry, WireFile).record()
            async for entry in self._wire.entries(request, page)
            if entry.get("filename") == filename
        ]
        return found[::-1]

    async def file(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        request = self._request(f"get file {file_id}", repeatable=True, tuned=True)
        raw = await self._wire.send(request, self._client.files.with_raw_response.retrieve(file_id))
        return decoded(request, raw, WireFile).record()

    async def estimated_price(self, order: JobOrder) -> int | None:
        """The endpoint gives no estimate."""
        return None

    async def create_job(self, order: JobOrder) -> Job:
        """Start a job; the reply must be about our file and carry our key."""
        request = self._request(f"start a job on {order.training_file}", model=order.model)
        raw = await self._wire.send(
            request,
            self._client.fine_tuning.jobs.with_raw_response.create(
                **job_request(order, self._profile)
            ),
        )
        job = decoded(request, raw, WireJob).record()
        if job.training_file != order.training_file:
            why = f"it names file {job.training_file!r}"
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
                    job = converted(request, entry, WireJob).record()
                    found[job.id] = job
        return sorted(found.values(), key=lambda job: (job.created_at, job.id))

    async def job(self, job_id: str) -> Job:
        """The job as it stands."""
        request = self._request(f"get job {job_id}", repeatable=True)
        jobs = self._client.fine_tuning.jobs.with_raw_response
        raw = await self._wire.send(request, jobs.retrieve(job_id))
        return decoded(request, raw, WireJob).record()

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """The job's log since event `after`, oldest first. Entries of unknown form are left out."""
        request = self._request(f"list the events of {job_id}", repeatable=True)
        jobs = self._client.fine_tuning.jobs.with_raw_response

        def page(cursor: Cursor) -> Awaitable[RawReply]:
            return jobs.list_events(job_id, limit=PAGE, after=cursor)

        new: list[JobEvent] = []
        async for entry in self._wire.entries(request, page):  # the wire lists the newest first
            if after is not None and entry.get("id") == after:
                break
            new.extend(event(entry))
        return new[::-1]

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Models saved so far, oldest first; empty where the endpoint keeps none."""
        request = self._request(f"list the checkpoints of {job_id}", repeatable=True)
        checkpoints = self._client.fine_tuning.jobs.checkpoints.with_raw_response

        def page(cursor: Cursor) -> Awaitable[RawReply]:
            return checkpoints.list(job_id, limit=PAGE, after=cursor)

        try:
            wires = [
                converted(request, entry, WireCheckpoint)
                async for entry in self._wire.entries(request, page)
            ]
        except ProviderFault as fault:
            if fault.status in (404, 405, 501):
                return []
            raise
        base = (await self.job(job_id)).model if self._traits.result == "checkpoint" else ""
        saved = [wire.record(base, job_id) for wire in wires]
        return sorted(saved, key=lambda checkpoint: checkpoint.step)

    async def cancel_job(self, job_id: str) -> Job:
        """Ask for the job's end. Repeating it is harmless."""
        request = self._request(f"cancel job {job_id}", repeatable=True)
        jobs = self._client.fine_tuning.jobs.with_raw_response
        raw = await self._wire.send(request, jobs.cancel(job_id))
        return decoded(request, raw, WireJob).record()

    async def model_ready(self, model: str) -> bool:
        """Whether the endpoint lists the model; one that is not known yet is only not ready."""
        if self._traits.result == "checkpoint":
            return await self._is_saved(model)
        request = self._request("get a model", model=model, repeatable=True, tuned=True)
        try:
            await self._wire.send(request, self._client.models.with_raw_response.retrieve(model))
        except ProviderFault as fault:
            late = fault.kind is FaultKind.WAIT and fault.retry_after_s is None
            if late or fault.status == 404:
                return False
            raise
        return True

    async def _is_saved(self, model: str) -> bool:
        """Whether the job in the model's name holds this checkpoint."""
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

    def _jobs(self, request: faults.Request, key: str | None, pages: int) -> AsyncIterator[Entry]:
        jobs = self._client.fine_tuning.jobs.with_raw_response

        def page(after: Cursor) -> Awaitable[RawReply]:
            wanted = OMIT if key is None else {KEY: key}
            return jobs.list(limit=PAGE, after=after, metadata=wanted)

        return self._wire.entries(request, page, pages)

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
