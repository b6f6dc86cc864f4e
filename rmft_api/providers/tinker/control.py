"""Requests to Tinker that are no chats: with the key, and results that come later."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.providers import faults
from rmft_api.providers.control_client import ControlClient
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.providers.tinker import wire

SDK_VERSION = "0.38.0"
"""Of the package whose wire this is; Tinker asks for it."""
HEARTBEAT_S = 10.0
"""How often the package sends a heartbeat."""
_LONG_POLL_S = 45.0
_TRY_AGAIN = 408
"""A result that is not there yet."""


class _Later(msgspec.Struct):
    request_id: str
    model_id: str | None = None


class _Session(msgspec.Struct):
    session_id: str


class TinkerControl(ControlClient):
    """One account's requests. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        key = profile.key(environ)
        super().__init__(
            profile,
            environ,
            profile.base_url.rstrip("/").removesuffix("/oai/api/v1"),
            {"X-API-Key": key.reveal()} if key else {},
        )

    async def session(self, metadata: Mapping[str, str]) -> str:
        """A new session's id. It costs nothing, whether it is used or not."""
        request = self.request("begin a session", repeatable=True)
        body = {
            "tags": ["rmft-api"],
            "user_metadata": dict(metadata),
            "sdk_version": SDK_VERSION,
            "type": "create_session",
        }
        raw = await self.rest.send(request, "POST", "api/v1/create_session", json=body)
        return read(request, raw, _Session).session_id

    async def later(self, request: faults.Request, what: str, body: Mapping[str, Any]) -> str:
        """Send what is worked on later; the id of its result."""
        raw = await self.rest.send(request, "POST", f"api/v1/{what}", json={**body, "type": what})
        return read(request, raw, _Later).request_id

    async def packed(self, request: faults.Request, path: str, body: bytes, kind: str) -> str:
        """The same, of a body that is no JSON."""
        raw = await self.rest.send(
            request, "POST", f"api/v1/{path}", data=body, headers={"Content-Type": kind}
        )
        return read(request, raw, _Later).request_id

    async def result(
        self, request: faults.Request, request_id: str, *, packed: bool = False
    ) -> dict[str, Any]:
        """What became of it, once it is done; `packed`: the package asks for it as protobuf.

        Raises ProviderFault, with Tinker's reason.
        """
        accepted = {"Accept": wire.MEDIA_TYPE} if packed else {}
        while True:
            status, headers, raw = await self.rest.exchange(
                request,
                "POST",
                "api/v1/retrieve_future",
                data=msgspec.json.encode({"request_id": request_id}),
                headers={"Content-Type": "application/json", **accepted},
                total_s=_LONG_POLL_S,
            )
            if status == _TRY_AGAIN:
                await asyncio.sleep(0)
                continue
            if status != 200:
                raise faults.refused(request, status, headers, raw)
            if wire.MEDIA_TYPE in headers.get("content-type", ""):
                return {"metrics": wire.metrics(raw)}
            found = read(request, raw, dict[str, Any])
            if found.get("type") == "try_again":
                await asyncio.sleep(
                    self._profile.training.poll_every_s if self._profile.training else 1
                )
                continue
            if "error" in found:
                raise _failed(request, found)
            return found

    @asynccontextmanager
    async def alive(self, session_id: str) -> AsyncGenerator[None]:
        """Send heartbeats for the session for as long as this lasts."""
        beating = asyncio.create_task(self._beat(session_id))
        try:
            yield
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self, session_id: str) -> None:
        request = self.request("keep a session alive", repeatable=True)
        body = {"session_id": session_id, "type": "session_heartbeat"}
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            with suppress(ProviderFault):
                await self.rest.send(request, "POST", "api/v1/session_heartbeat", json=body)


def _failed(request: faults.Request, found: Mapping[str, Any]) -> ProviderFault:
    """A result that is an error. What the user caused comes again; what the server did may not."""
    own = str(found.get("category")).lower() == "user"
    why = " ".join(str(found["error"]).split())[:300]
    advice = "mend what it names" if own else "`rmft-api resume RUN` asks again"
    return ProviderFault(
        f"{request.provider} did not {request.action}: {why}; {advice}",
        FaultKind.REJECTED if own else FaultKind.AMBIGUOUS,
        status=400 if own else 500,
        code="request_failed",
    )
