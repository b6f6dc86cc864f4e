"""`/v1/batches`: create, list, get, cancel."""

from typing import Literal

import msgspec
from aiohttp import web

from rmft_api.local_server.batch_records import BatchStore
from rmft_api.local_server.batch_runner import BatchRunner
from rmft_api.local_server.files import FileStore
from rmft_api.local_server.job_routes import Metadata
from rmft_api.local_server.paging import listing, page
from rmft_api.local_server.refusals import RequestError, decode, invalid


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/batches."""

    input_file_id: str
    endpoint: Literal["/v1/chat/completions"]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: object = None
    """Taken and without effect."""


class BatchRoutes:
    """Handlers over batches and who carries them out."""

    def __init__(self, files: FileStore, store: BatchStore, runner: BatchRunner) -> None:
        self._files = files
        self._store = store
        self._runner = runner

    async def create(self, request: web.Request) -> web.Response:
        """POST /v1/batches."""
        asked = decode(_requests, await request.read())
        file = self._files.get(asked.input_file_id)
        if file.purpose != "batch":
            message = f"Invalid 'input_file_id': its purpose is {file.purpose!r}, not 'batch'."
            raise invalid(message, "input_file_id")
        batch = await self._store.add(file.id, asked.metadata)
        self._runner.begin(batch)
        return web.json_response(batch.json())

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/batches?after&limit, newest first."""
        found, more = page(self._store.all()[::-1], request.query, default=20, most=100)
        return listing([batch.json() for batch in found], more)

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/batches/{id}."""
        return web.json_response(self._store.get(request.match_info["id"]).json())

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /v1/batches/{id}/cancel."""
        batch = self._store.get(request.match_info["id"])
        if batch.is_over:
            raise RequestError(400, f"Batch {batch.id} is {batch.status} and cannot be cancelled.")
        return web.json_response((await self._runner.cancel(batch)).json())


_requests = msgspec.json.Decoder(BatchRequest)
