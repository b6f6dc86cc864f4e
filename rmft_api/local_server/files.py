"""Uploaded files: `files/<id>/content`, and `record.json`, which is written last.

So a folder without a record is an upload that never ended; it is swept at the next start.
"""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

import msgspec

from rmft_api.core.files import fsync_directory, replace_file
from rmft_api.local_server import storage
from rmft_api.local_server.paging import without_nulls
from rmft_api.local_server.refusals import RequestError, too_large

LARGEST = 512 * 2**20
"""Bytes of a file at most, as at OpenAI."""
_FLUSH = 2**20


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an uploaded file."""

    number: int
    """Order of arrival in this server's life."""
    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    sha256: str
    expires_at: int | None = None

    def json(self) -> dict[str, object]:
        """The file object of the wire."""
        return without_nulls(
            {
                "id": self.id,
                "object": "file",
                "bytes": self.bytes,
                "created_at": self.created_at,
                "expires_at": self.expires_at,
                "filename": self.filename,
                "purpose": self.purpose,
                "status": "processed",
            }
        )


class UploadPart:
    """An upload on its way to the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size = 0
        self._hash = hashlib.sha256()

    async def receive(self, chunks: AsyncIterator[bytes]) -> None:
        """Write the content down. Raises Refusal above the size limit."""
        self.folder.mkdir()
        with (self.folder / "content").open("wb", buffering=_FLUSH) as file:
            async for chunk in chunks:
                self._take(chunk, file)

    def _take(self, chunk: bytes, file: BinaryIO) -> None:
        self.size += len(chunk)
        if self.size > LARGEST:
            raise too_large(LARGEST)
        self._hash.update(chunk)
        file.write(chunk)

    @property
    def sha256(self) -> str:
        """Of the bytes received so far."""
        return self._hash.hexdigest()

    def drop(self) -> None:
        """Forget the upload."""
        shutil.rmtree(self.folder, ignore_errors=True)


class FileStore:
    """The files of one server, under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = {
            file.id: file
            for file in storage.read_records(
                root, "record.json", msgspec.json.Decoder(StoredFile).decode
            )
        }
        self._last = max((file.number for file in self._files.values()), default=0)

    def all(self) -> list[StoredFile]:
        """Oldest first."""
        self._sweep_expired()
        return sorted(self._files.values(), key=lambda file: file.number)

    def get(self, file_id: str) -> StoredFile:
        """Raises Refusal (404) for a file that is not here."""
        self._sweep_expired()
        if file_id not in self._files:
            raise RequestError(404, f"No such File object: {file_id}", param="id")
        return self._files[file_id]

    def content(self, file_id: str) -> Path:
        """Where the bytes are. Raises Refusal (404)."""
        return self._root / self.get(file_id).id / "content"

    def begin(self) -> UploadPart:
        """A place for an upload."""
        return UploadPart(self._root / f"file-{token_hex(12)}")

    async def keep(
        self, part: UploadPart, filename: str, purpose: str, expires_after_s: int | None
    ) -> StoredFile:
        """Make an upload durable; afterwards it is listed."""
        now = int(time.time())
        self._last += 1
        file = StoredFile(
            number=self._last,
            id=part.folder.name,
            bytes=part.size,
            created_at=now,
            filename=filename,
            purpose=purpose,
            sha256=part.sha256,
            expires_at=None if expires_after_s is None else now + expires_after_s,
        )
        await asyncio.to_thread(self._write, part, file)
        self._files[file.id] = file
        return file

    def _write(self, part: UploadPart, file: StoredFile) -> None:
        fsync_directory(part.folder / "content")
        replace_file(part.folder / "record.json", msgspec.json.encode(file))
        fsync_directory(self._root)

    def delete(self, file_id: str) -> None:
        """Raises Refusal (404)."""
        self._remove(self.get(file_id).id)

    def _sweep_expired(self) -> None:
        now = time.time()
        ended = [f.id for f in self._files.values() if f.expires_at and f.expires_at <= now]
        for file_id in ended:
            self._remove(file_id)

    def _remove(self, file_id: str) -> None:
        (self._root / file_id / "record.json").unlink()
        del self._files[file_id]
        shutil.rmtree(self._root / file_id)


def link_or_copy(source: Path, target: Path) -> None:
    """Give `target` the bytes of `source`, for nothing where the disk can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
