"""Training files: a signed address is asked for, the bytes go there, and the file is processed.

Together stores a content once: a second upload, under any name, is answered with the file
that holds it (409).
"""

from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec
from yarl import URL

from rmft_api.core.records import UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest, fixed, read
from rmft_api.providers.together.control import TogetherControl, segment

_FAILED = ("FAILED", "INVALID_FORMAT")
_BOUNDARY = "rmft-4f2c9d1be7a85036"


class _Report(msgspec.Struct):
    error: str | None = None


class _File(msgspec.Struct):
    id: str
    filename: str = ""
    bytes: int = 0
    created_at: int = 0
    processing_status: str | None = None
    validation_report: _Report | None = None

    def record(self) -> UploadedFile:
        """The file as we know it. One that was never to be validated is ready."""
        status = self.processing_status or "COMPLETED"
        report = self.validation_report
        return UploadedFile(
            self.id,
            self.filename,
            self.bytes,
            {"COMPLETED": "processed"}.get(status, "error" if status in _FAILED else "pending"),
            detail=(report.error or "" if report else "") if status in _FAILED else "",
        )


class _Files(msgspec.Struct):
    data: list[_File]


class _Known(msgspec.Struct):
    file_id: str


class _SignedAddress(Rest):
    """Where the bytes go: its query is its signature, so it is sent as it stands."""

    def _target(self, url: str, query: Mapping[str, str] | None) -> URL:
        return URL(url, encoded=True)


class TogetherFiles:
    """Files of one account. Raises ProviderFault, classified."""

    def __init__(
        self, profile: Profile, control: TogetherControl, environ: Mapping[str, str]
    ) -> None:
        self._control = control
        self._environ = environ
        self._waits = profile.timeouts

    async def put(self, filename: str, content: bytes) -> UploadedFile:
        """Store a file, or find the one that holds the same content already."""
        request = self._control.request(f"store {filename}", repeatable=True)
        body, kind = _form(
            purpose="fine-tune",
            file_name=filename,
            file_type="jsonl",
            checksum=sha256(content).hexdigest(),
        )
        status, headers, raw = await self._control.rest.exchange(
            request, "POST", "v1/files", data=body, headers={"Content-Type": kind}
        )
        if status == 409:
            return await self._known(request, raw, len(content))
        address, file_id = headers.get("location", ""), headers.get("x-together-file-id", "")
        if status not in (301, 302, 303, 307):
            raise faults.refused(request, status, headers, raw)
        if not address.startswith(("https://", "http://")) or not file_id:
            raise faults.malformed(request, "it names no address or no file", raw, status)
        await self._send(request, address, content)
        path = f"v1/files/{segment(file_id)}/preprocess"
        answer = read(request, await self._control.rest.send(request, "POST", path), _File).record()
        if (answer.filename, answer.bytes) != (filename, len(content)):
            why = f"it names {answer.filename!r} of {answer.bytes} bytes, not of {len(content)}"
            raise faults.malformed(request, why, raw)
        return answer

    async def find(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        request = self._control.request("list files", repeatable=True)
        listed = read(request, await self._control.rest.send(request, "GET", "v1/files"), _Files)
        found = [one for one in listed.data if one.filename == filename]
        return [one.record() for one in sorted(found, key=lambda one: (one.created_at, one.id))]

    async def get(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        request = self._control.request(f"get file {file_id}", repeatable=True, tuned=True)
        path = f"v1/files/{segment(file_id)}"
        return read(request, await self._control.rest.send(request, "GET", path), _File).record()

    async def _known(self, request: faults.Request, raw: bytes, size: int) -> UploadedFile:
        """The file that holds this content, under the name that it was first given."""
        known = await self.get(read(request, raw, _Known).file_id)
        if known.bytes != size:
            why = f"the same content is file {known.id} of {known.bytes} bytes"
            raise faults.malformed(request, why, raw, 409)
        return known

    async def _send(self, request: faults.Request, address: str, content: bytes) -> None:
        """PUT the bytes; the address carries its own permission, and gets no key of ours."""
        parts = urlsplit(address)
        rest = _SignedAddress(
            f"{parts.scheme}://{parts.netloc}",
            fixed({}),
            environ=self._environ,
            connect_s=self._waits.connect_s,
            total_s=self._waits.upload_s,
        )
        try:
            await rest.send(request, "PUT", address, data=content)
        finally:
            await rest.close()


def _form(**fields: str) -> tuple[bytes, str]:
    """The fields as multipart/form-data, and its content type."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    body = "".join(parts) + f"--{_BOUNDARY}--\r\n"
    return body.encode(), f"multipart/form-data; boundary={_BOUNDARY}"
