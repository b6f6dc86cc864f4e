"""Batches on disk: `batches/<id>/record.json`, replaced whole, and as the wire shows them."""

import asyncio
import time
from pathlib import Path
from secrets import token_hex
from typing import Literal

import msgspec

from rmft_api.core.files import fsync_directory, replace_file
from rmft_api.local_server import storage
from rmft_api.local_server.paging import without_nulls
from rmft_api.local_server.refusals import RequestError

ENDPOINT = "/v1/chat/completions"
Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "cancelled"]
FINAL: tuple[Status, ...] = ("failed", "completed", "cancelled")
DAY_S = 24 * 3600


class FileProblem(msgspec.Struct, frozen=True):
    """What is wrong with a batch's file."""

    code: str
    message: str
    line: int | None = None
    """Its line in the file, from 1; None where the whole file is meant."""
    param: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a batch that survives a restart."""

    number: int
    """Order of creation in this server's life."""
    id: str
    created_at: int
    input_file: str
    metadata: dict[str, str] | None
    status: Status = "validating"
    ended_at: int | None = None
    output_file: str | None = None
    error_file: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    problem: str | None = None
    """Why its file was refused, in records of older servers."""
    problems: tuple[FileProblem, ...] = ()
    """Why its file was refused."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in FINAL

    def json(self) -> dict[str, object]:
        """The batch object of the wire."""
        old = () if self.problem is None else (FileProblem("invalid_request", self.problem),)
        data = [msgspec.to_builtins(one) for one in self.problems or old]
        ended = {f"{self.status}_at": self.ended_at} if self.is_over else {}
        fields = {
            "id": self.id,
            "object": "batch",
            "endpoint": ENDPOINT,
            "errors": {"object": "list", "data": data} if data else None,
            "input_file_id": self.input_file,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_file,
            "error_file_id": self.error_file,
            "created_at": self.created_at,
            "expires_at": self.created_at + DAY_S,
            **ended,
            "request_counts": {
                "total": self.total,
                "completed": self.completed,
                "failed": self.failed,
            },
            "metadata": self.metadata,
        }
        return without_nulls(fields, "metadata")


class BatchStore:
    """The batches of one server, under `root`. Changes are on the disk before they are seen."""

    def __init__(self, root: Path) -> None:
        self._root = root
        decode = msgspec.json.Decoder(Batch).decode
        found = storage.read_records(root, "record.json", decode)
        self._batches = {one.id: one for one in sorted(found, key=lambda one: one.number)}
        self._last = max((one.number for one in found), default=0)

    def all(self) -> list[Batch]:
        """Oldest first."""
        return list(self._batches.values())

    def get(self, batch_id: str) -> Batch:
        """Raises Refusal (404) for a batch that is not here."""
        if batch_id not in self._batches:
            raise RequestError(404, f"No batch found with id '{batch_id}'.", param="batch_id")
        return self._batches[batch_id]

    async def add(self, input_file: str, metadata: dict[str, str] | None) -> Batch:
        """Make a new batch durable."""
        self._last += 1
        batch = Batch(
            number=self._last,
            id=f"batch_{token_hex(12)}",
            created_at=int(time.time()),
            input_file=input_file,
            metadata=metadata,
        )
        await self.save(batch)
        return batch

    async def save(self, batch: Batch) -> None:
        """Replace what is kept of a batch."""
        await asyncio.to_thread(self._write, batch)
        self._batches[batch.id] = batch

    def _write(self, batch: Batch) -> None:
        folder = self._root / batch.id
        folder.mkdir(exist_ok=True)
        replace_file(folder / "record.json", msgspec.json.encode(batch))
        fsync_directory(self._root)
