"""The jobs on disk: `jobs/<id>/job.json` (replaced whole), `events.jsonl` (appended to).

A job's folder also holds its training file, its trainer's order, and its weights. A folder
without `job.json` is a creation that never ended; it is swept at the next start.
"""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import msgspec

from rmft_api.core.files import fsync_directory, replace_file
from rmft_api.local_server import storage
from rmft_api.local_server.files import link_or_copy
from rmft_api.local_server.job_records import Event, Job, Status
from rmft_api.local_server.refusals import RequestError
from rmft_api.local_server.training_messages import SCRATCH, TRAINING_FILE, weights_file

KEPT_CHECKPOINTS = 3
"""As at OpenAI: those of the last three epochs."""


class JobStore:
    """The jobs of one server, under `root`. Changes are on the disk before they are seen."""

    def __init__(self, root: Path) -> None:
        self._root = root
        jobs = sorted(
            storage.read_records(root, "job.json", msgspec.json.Decoder(Job).decode),
            key=lambda job: job.number,
        )
        self._jobs = {job.id: job for job in jobs}
        self._events: dict[str, list[Event]] = {}
        self._last = max((job.number for job in jobs), default=0)
        self._writing = asyncio.Lock()
        self._listeners: list[Callable[[Job], None]] = []

    def all(self) -> list[Job]:
        """Oldest first."""
        return list(self._jobs.values())

    def get(self, job_id: str) -> Job:
        """Raises Refusal (404) for a job that is not here."""
        if job_id not in self._jobs:
            message = f"Could not find fine tune: {job_id}"
            raise RequestError(404, message, param="fine_tuning_job_id", code="fine_tune_not_found")
        return self._jobs[job_id]

    def folder(self, job_id: str) -> Path:
        """Where the job's files are."""
        return self._root / job_id

    def weights(self, job_id: str, step: int) -> Path:
        """The weights saved after `step`."""
        return weights_file(self._root / job_id, step)

    def next_place(self) -> tuple[int, str]:
        """Number and id of a job to come."""
        self._last += 1
        return self._last, f"ftjob-{token_hex(12)}"

    async def add(self, job: Job, training_file: Path) -> None:
        """Make a new job durable; it keeps the training file, even if that is deleted."""
        await asyncio.to_thread(self._write_new, job, training_file)
        self._jobs[job.id] = job

    def _write_new(self, job: Job, training_file: Path) -> None:
        folder = self._root / job.id
        folder.mkdir()
        link_or_copy(training_file, folder / TRAINING_FILE)
        self._write(job)
        fsync_directory(self._root)

    def _write(self, job: Job) -> None:
        replace_file(self._root / job.id / "job.json", msgspec.json.encode(job))

    def watch(self, listener: Callable[[Job], None]) -> None:
        """Call `listener` with every job that has changed, before any other reader sees it."""
        self._listeners.append(listener)

    async def change(self, job_id: str, **changes: Any) -> Job | None:
        """Change a job; None, and nothing changed, when it is final."""
        return await asyncio.shield(self._change(job_id, False, changes))

    async def amend(self, job_id: str, **changes: Any) -> Job | None:
        """Change a job, final or not."""
        return await asyncio.shield(self._change(job_id, True, changes))

    async def end(self, job_id: str, status: Status, **changes: Any) -> Job | None:
        """Bring a job to its end; None when it was there already."""
        now = int(time.time())
        job = await self.change(job_id, status=status, finished_at=now, **changes)
        if job is not None:
            (self._root / job_id / TRAINING_FILE).unlink(missing_ok=True)
            await asyncio.to_thread(shutil.rmtree, self._root / job_id / SCRATCH, True)
        return job

    async def _change(self, job_id: str, even_final: bool, changes: dict[str, Any]) -> Job | None:
        async with self._writing:
            before = self._jobs[job_id]
            if before.final and not even_final:
                return None
            after = msgspec.structs.replace(before, **changes)
            await asyncio.to_thread(self._write, after)
            self._jobs[job_id] = after
            for listener in self._listeners:
                listener(after)
            for step in before.steps - after.steps:
                self.weights(job_id, step).unlink(missing_ok=True)
            return after

    def events(self, job_id: str) -> list[Event]:
        """The job's log, oldest first. Raises Refusal (404)."""
        self.get(job_id)
        if job_id not in self._events:
            self._events[job_id] = _read_events(self._root / job_id / "events.jsonl")
        return self._events[job_id]

    def log(
        self,
        job_id: str,
        message: str,
        *,
        level: Literal["info", "warn", "error"] = "info",
        data: dict[str, float] | None = None,
    ) -> None:
        """Append to a job's log."""
        events = self.events(job_id)
        name = f"ftevent-{job_id.removeprefix('ftjob-')}-{len(events):06d}"
        event = Event(name, int(time.time()), level, message, data or {})
        with (self._root / job_id / "events.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")
        events.append(event)


def _read_events(path: Path) -> list[Event]:
    if not path.exists():
        return []
    storage.repair(path)
    decoder = msgspec.json.Decoder(Event)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]
