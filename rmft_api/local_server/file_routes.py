"""`/v1/files`: upload, list, get, content, delete."""

import re
from collections.abc import AsyncIterator

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from rmft_api.local_server.files import FileStore, StoredFile, UploadPart
from rmft_api.local_server.paging import listing, page
from rmft_api.local_server.refusals import RequestError, invalid

PURPOSES = ("fine-tune", "assistants", "batch", "vision", "user_data", "evals")
_FIELD_LIMIT = 1000
"""Bytes of a form field that is not the file."""
_EXPIRY_S = range(3600, 2_592_001)


class FileRoutes:
    """Handlers over a `FileStore`."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    async def upload(self, request: web.Request) -> web.Response:
        """POST /v1/files, a multipart form with `file` and `purpose`."""
        if not request.content_type.startswith("multipart/"):
            message = f"Expected a multipart/form-data body, but got {request.content_type}."
            raise invalid(message, None, "invalid_content_type")
        part = self._files.begin()
        try:
            file = await self._received(request, part)
        except BaseException:
            part.drop()
            raise
        return web.json_response(file.json())

    async def _received(self, request: web.Request, part: UploadPart) -> StoredFile:
        fields, filename = await _read_form(request, part)
        purpose = _purpose(fields)
        expiry_s = _expiry(fields)
        if filename is None:
            raise invalid(
                "Missing required parameter: 'file'.", "file", "missing_required_parameter"
            )
        return await self._files.keep(part, filename, purpose, expiry_s)

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/files?purpose&limit&order&after, newest first unless `order=asc`."""
        query = request.query
        order = query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise invalid(f"Invalid 'order': expected asc or desc, but got {order!r}.", "order")
        files = [file for file in self._files.all() if _has(file, query.get("purpose"))]
        if order == "desc":
            files.reverse()
        found, more = page(files, query, default=10_000, most=10_000)
        return listing([file.json() for file in found], more)

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/files/{id}."""
        return web.json_response(self._files.get(request.match_info["id"]).json())

    async def content(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/files/{id}/content, the bytes as they came."""
        path = self._files.content(request.match_info["id"])
        return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v1/files/{id}. A job that trains on it keeps its own copy."""
        file_id = request.match_info["id"]
        self._files.delete(file_id)
        return web.json_response({"id": file_id, "object": "file", "deleted": True})


def _has(file: StoredFile, purpose: str | None) -> bool:
    return purpose is None or file.purpose == purpose


async def _read_form(request: web.Request, part: UploadPart) -> tuple[dict[str, str], str | None]:
    fields: dict[str, str] = {}
    filename: str | None = None
    try:
        async for field in await request.multipart():
            if not isinstance(field, BodyPartReader):
                raise invalid("A form field must not be a form itself.", None)
            if field.name == "file":
                if filename is not None:
                    raise invalid("Only one 'file' can be uploaded at a time.", "file")
                filename = field.filename or "file"
                await part.receive(_chunks(field))
            else:
                fields[field.name or ""] = await _short(field)
    except (ValueError, HttpProcessingError) as error:  # no boundary, no end, wild headers
        raise RequestError(400, f"The multipart form cannot be read: {error}.") from error
    return fields, filename


async def _chunks(field: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await field.read_chunk(2**16):
        yield chunk


async def _short(field: BodyPartReader) -> str:
    content = b""
    while chunk := await field.read_chunk(_FIELD_LIMIT):
        content += chunk
        if len(content) > _FIELD_LIMIT:
            raise invalid(f"Invalid '{field.name}': the value is too long.", field.name)
    return content.decode("utf-8", "replace")


def _purpose(fields: dict[str, str]) -> str:
    if "purpose" not in fields:
        raise invalid(
            "Missing required parameter: 'purpose'.", "purpose", "missing_required_parameter"
        )
    if fields["purpose"] not in PURPOSES:
        known = ", ".join(PURPOSES)
        message = f"Invalid value: {fields['purpose']!r}. Supported values are: {known}."
        raise invalid(message, "purpose")
    return fields["purpose"]


def _expiry(fields: dict[str, str]) -> int | None:
    text = fields.get("expires_after[seconds]")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) not in _EXPIRY_S:
        least, most = _EXPIRY_S.start, _EXPIRY_S.stop - 1
        message = f"Invalid 'expires_after.seconds': expected {least} to {most}, but got {text!r}."
        raise invalid(message, "expires_after.seconds")
    return int(text)
