"""Batches on the OpenAI wire: a file of chats, one creation, a file of answers.

The replies are read strictly, as everywhere. Nothing retries: `retries.py` does.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx2
import msgspec

from rmft_api.core.records import (
    Batch,
    BatchAnswer,
    BatchOrder,
    ChatRequest,
    ChatResponse,
    UploadedFile,
)
from rmft_api.providers import faults
from rmft_api.providers.chat import WireChat
from rmft_api.providers.network import Network, watched
from rmft_api.providers.profiles import Profile
from rmft_api.providers.validation import (
    KEY,
    Entry,
    WireFile,
    WirePage,
    converted,
    decoded,
    is_ours,
)

ENDPOINT = "/v1/chat/completions"
PURPOSE = "batch"
PAGE = 100
MOST_PAGES = 20
"""A list is read no further: 2,000 batches or files."""


class _WireProblem(msgspec.Struct):
    code: str | None = None
    message: str | None = None
    line: int | None = None


class _WireProblems(msgspec.Struct):
    data: list[_WireProblem] = []

    def __str__(self) -> str:
        return "; ".join(f"line {p.line}: {p.code}: {p.message}" for p in self.data[:3])


class _WireCounts(msgspec.Struct):
    total: int = 0
    completed: int = 0
    failed: int = 0


class _WireBatch(msgspec.Struct):
    id: str
    status: str
    input_file_id: str
    created_at: int | float
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _WireCounts | None = None
    errors: _WireProblems | None = None
    metadata: Entry | None = None

    def record(self) -> Batch:
        counts = self.request_counts or _WireCounts()
        return Batch(
            id=self.id,
            status=self.status,
            input_file=self.input_file_id,
            created_at=int(self.created_at),
            output_file=self.output_file_id or None,
            error_file=self.error_file_id or None,
            total=counts.total,
            completed=counts.completed,
            errors=str(self.errors or "") or None,
            metadata={name: str(value) for name, value in (self.metadata or {}).items()},
        )


class _WireResponse(msgspec.Struct):
    status_code: int
    body: msgspec.Raw = msgspec.Raw(b"null")


class _WireFailure(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _WireLine(msgspec.Struct):
    custom_id: str
    response: _WireResponse | None = None
    error: _WireFailure | None = None

    def record(self) -> BatchAnswer:
        why = f"{self.error.code}: {self.error.message}" if self.error else ""
        if self.response is None:
            return BatchAnswer(self.custom_id, 0, b"", why)
        return BatchAnswer(
            self.custom_id, self.response.status_code, bytes(self.response.body), why
        )


class WireBatches:
    """`ports.BatchClient` on the OpenAI wire. `chat` writes the requests and reads the replies."""

    def __init__(
        self, profile: Profile, chat: WireChat, *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._profile = profile
        self._chat = chat
        waits, key = profile.timeouts, profile.key(environ)
        bearer = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        self._route = Network(environ).route(profile.base_url)
        self._client = self._route.client(
            base_url=profile.base_url.rstrip("/") + "/",
            headers={"User-Agent": "rmft-api", **profile.headers(environ), **bearer},
            timeout=httpx2.Timeout(waits.upload_s, connect=waits.connect_s, pool=None),
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()

    def line(self, request: ChatRequest) -> bytes:
        """The request as a line of a batch's file."""
        body = msgspec.Raw(self._chat.body(request))
        line = {"custom_id": request.key, "method": "POST", "url": ENDPOINT, "body": body}
        return msgspec.json.encode(line)

    def read(self, request: ChatRequest, answer: BatchAnswer) -> ChatResponse:
        """The reply that an answer holds. Raises ProviderFault."""
        return self._chat.read(request, answer.status, answer.body)

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store the lines of a batch; the reply must name the same file and size."""
        request = self._request(f"store {filename}")
        raw = await self._send(
            request,
            "POST",
            "files",
            self._profile.timeouts.upload_s,
            data={"purpose": PURPOSE},
            files={"file": (filename, content, "application/jsonl")},
        )
        file = decoded(request, raw, WireFile).record()
        if (file.filename, file.bytes) != (filename, len(content)):
            why = f"it names {file.filename!r} of {file.bytes} bytes, not of {len(content)}"
            raise faults.malformed(request, why, raw)
        return file

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        request = self._request("list files", repeatable=True)
        query = {"purpose": PURPOSE, "order": "desc"}
        found = [
            converted(request, entry, WireFile).record()
            async for entry in self._entries(request, "files", query)
            if entry.get("filename") == filename
        ]
        return found[::-1]

    async def create(self, order: BatchOrder) -> Batch:
        """Start a batch; the reply must be about our file."""
        request = self._request(f"start a batch of {order.input_file}")
        body = {
            "input_file_id": order.input_file,
            "endpoint": ENDPOINT,
            "completion_window": order.window,
            "metadata": {KEY: order.key, **order.metadata},
        }
        raw = await self._send(request, "POST", "batches", json=body)
        batch = decoded(request, raw, _WireBatch).record()
        if batch.input_file != order.input_file:
            raise faults.malformed(request, f"it names file {batch.input_file!r}", raw)
        return batch

    async def find(self, order: BatchOrder) -> list[Batch]:
        """Batches that carry the order's key or read its file, oldest first."""
        request = self._request("list batches", repeatable=True)
        found = [
            converted(request, entry, _WireBatch).record()
            async for entry in self._entries(request, "batches", {})
            if is_ours(entry, order.key, "input_file_id", order.input_file)
        ]
        return sorted(found, key=lambda batch: (batch.created_at, batch.id))

    async def batch(self, batch_id: str) -> Batch:
        """The batch as it stands."""
        request = self._request(f"get batch {batch_id}", repeatable=True)
        raw = await self._send(request, "GET", f"batches/{batch_id}")
        return decoded(request, raw, _WireBatch).record()

    async def cancel(self, batch_id: str) -> Batch:
        """Ask for the batch's end. Repeating it is harmless."""
        request = self._request(f"cancel batch {batch_id}", repeatable=True)
        raw = await self._send(request, "POST", f"batches/{batch_id}/cancel")
        return decoded(request, raw, _WireBatch).record()

    async def answers(self, batch: Batch) -> list[BatchAnswer]:
        """What became of each request; lines that cannot be read are left out."""
        found: list[BatchAnswer] = []
        for file in (batch.output_file, batch.error_file):
            if file:
                request = self._request(f"hand out {file}", repeatable=True)
                waits_s = self._profile.timeouts.chat_s
                raw = await self._send(request, "GET", f"files/{file}/content", waits_s)
                found += _answers(raw)
        return found

    async def _entries(
        self, request: faults.Request, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[Entry]:
        """Every entry of a list, newest first, page by page."""
        asked = {**query, "limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            raw = await self._send(request, "GET", path, params=asked)
            page = decoded(request, raw, WirePage)
            for entry in page.data:
                yield entry
            last = str(page.data[-1].get("id", "")) if page.data else ""
            if not page.has_more or not last or last == asked.get("after"):
                return
            asked["after"] = last

    async def _send(
        self,
        request: faults.Request,
        method: str,
        path: str,
        limit_s: float | None = None,
        **more: Any,
    ) -> bytes:
        """The reply's bytes. The whole exchange must end in time, however slowly it drips."""
        with watched() as passage:
            try:
                async with asyncio.timeout(limit_s or self._profile.timeouts.list_s):
                    response = await self._client.request(method, path, **more)
            except (httpx2.HTTPError, TimeoutError) as error:
                raise faults.unanswered(request, error, passage, self._route.proxy) from error
        if response.status_code != 200:
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise faults.refused(request, response.status_code, headers, response.content)
        return response.content

    def _request(self, action: str, *, repeatable: bool = False) -> faults.Request:
        return faults.Request(
            self._profile.name,
            action,
            repeatable=repeatable,
            key_name=self._profile.api_key_env or "the key",
        )


def _answers(raw: bytes) -> Iterator[BatchAnswer]:
    for line in raw.splitlines():
        try:
            yield msgspec.json.decode(line, type=_WireLine).record()
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
