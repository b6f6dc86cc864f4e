"""Training files: a dataset is made under a name of ours, then its file is sent.

A dataset reports no file name and no size, so both stand in its display name.
"""

import msgspec

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.core.records import UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.fireworks import convert, names
from rmft_api.providers.fireworks.control import FireworksControl
from rmft_api.providers.rest import read

_BOUNDARY = "rmft-4f2c9d1be7a85036"


class _Status(msgspec.Struct):
    code: str = "OK"
    message: str = ""


class _Dataset(msgspec.Struct, rename="camel"):
    name: str
    display_name: str = ""
    state: str = ""
    status: _Status | None = None

    @property
    def is_refused(self) -> bool:
        """Whether its file was found to be of no use."""
        return self.status is not None and self.status.code not in ("OK", "")

    def record(self) -> UploadedFile:
        """The file as we know it."""
        filename, _, size = self.display_name.rpartition(" ")
        ready = "processed" if self.state == "READY" else "pending"
        return UploadedFile(
            self.name,
            filename,
            int(size) if size.isdigit() else 0,
            "error" if self.is_refused else ready,
            detail=self.status.message if self.status and self.is_refused else "",
        )


class Datasets:
    """Datasets of one account. Raises ProviderFault, classified."""

    def __init__(self, control: FireworksControl, upload_s: float) -> None:
        self._control = control
        self._upload_s = upload_s

    async def put(self, filename: str, content: bytes) -> UploadedFile:
        """Store a file; one that stands there already is not sent again."""
        wanted = names.dataset_id(filename)
        known = await self._made(wanted, filename, content)
        if known.state == "READY":
            return self._whole(known, filename, content)
        await self._send(wanted, filename, content)
        return self._whole(await self._get(wanted), filename, content)

    async def find(self, filename: str) -> list[UploadedFile]:
        """The dataset of this very name, once its file has arrived."""
        try:
            found = (await self._get(names.dataset_id(filename))).record()
        except ProviderFault as fault:
            if fault.status == 404:
                return []
            raise
        return [found] if (found.filename, found.status) == (filename, "processed") else []

    async def get(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        return (await self._get(file_id)).record()

    async def _made(self, wanted: str, filename: str, content: bytes) -> _Dataset:
        """The dataset, made now or before."""
        request = self._control.request(f"store {filename}", repeatable=True)
        described: dict[str, object] = {
            "displayName": f"{filename} {len(content)}",
            "exampleCount": str(convert.count(content)),
            "format": "CHAT",
            "userUploaded": {},
        }
        body = {"datasetId": wanted, "dataset": described}
        path = f"{self._control.account}/datasets"
        try:
            raw = await self._control.rest.send(request, "POST", path, json=body)
        except ProviderFault as fault:
            if fault.status != 409:
                raise
            return await self._get(wanted)
        return read(request, raw, _Dataset)

    async def _send(self, wanted: str, filename: str, content: bytes) -> None:
        request = self._control.request(f"store {filename}", repeatable=True)
        try:
            await self._control.rest.send(
                request,
                "POST",
                self._control.path("datasets", wanted, ":upload"),
                data=_form(filename, content),
                headers={"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
                total_s=self._upload_s,
            )
        except ProviderFault as fault:
            if fault.status != 400:
                raise
            raise ProviderFault(str(fault), FaultKind.REJECTED, status=400) from fault

    async def _get(self, name: str) -> _Dataset:
        request = self._control.request(f"get dataset {name}", repeatable=True, tuned=True)
        path = self._control.path("datasets", name)
        return read(request, await self._control.rest.send(request, "GET", path), _Dataset)

    def _whole(self, known: _Dataset, filename: str, content: bytes) -> UploadedFile:
        """The record, which must be of this file."""
        record = known.record()
        if (record.filename, record.bytes) != (filename, len(content)):
            why = f"dataset {known.name} holds {known.display_name!r}"
            raise faults.malformed(self._control.request(f"store {filename}"), why)
        return record


def _form(filename: str, content: bytes) -> bytes:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    return b"".join((head.encode(), content, f"\r\n--{_BOUNDARY}--\r\n".encode()))
