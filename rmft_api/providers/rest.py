"""JSON over HTTP for the endpoints beside the OpenAI wire: one request, its bytes or its fault."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from rmft_api.core.errors import ProviderFault
from rmft_api.providers import faults, refusals
from rmft_api.providers.network import Network, watched

T = TypeVar("T")
Authorize = Callable[[], Awaitable[Mapping[str, str]]]
"""The headers that carry a key or a token, fresh for every request."""


class Rest:
    """Requests to one address. Never retries or follows a redirect."""

    def __init__(
        self,
        base_url: str,
        authorize: Authorize,
        *,
        environ: Mapping[str, str],
        connect_s: float,
        total_s: float,
    ) -> None:
        """`environ` names proxies and certificates. Raises ConfigError for those of no use."""
        self._base_url = base_url.rstrip("/")
        self._route = Network(environ).route(self._base_url)
        self._authorize = authorize
        self._patience = aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s)
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        request: faults.Request,
        method: str,
        path: str,
        *,
        json: object = None,
        data: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        total_s: float | None = None,
    ) -> bytes:
        """The reply's bytes. Raises ProviderFault, classified."""
        status, reply_headers, raw = await self.exchange(
            request,
            method,
            path,
            data=msgspec.json.encode(json) if json is not None else data,
            query=query,
            headers={**({"Content-Type": "application/json"} if json is not None else {})}
            | dict(headers or {}),
            total_s=total_s,
        )
        if not 200 <= status < 300:
            raise faults.refused(request, status, reply_headers, raw)
        return raw

    async def exchange(
        self,
        request: faults.Request,
        method: str,
        path: str,
        *,
        data: bytes | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        total_s: float | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, and body, whatever the status is."""
        target = self._target(self._url(request, path), query)
        authorized = await self._authorized(method, target, headers or {}, data)
        reply_headers = {**authorized, **self._route.proxy_headers()}
        patience = (
            self._patience
            if total_s is None
            else aiohttp.ClientTimeout(total=total_s, sock_connect=self._patience.sock_connect)
        )
        sending = self._connected().request(
            method,
            target,
            data=data,
            headers=reply_headers,
            timeout=patience,
            **self._route.session_options(),
        )
        with watched() as passage:
            try:
                async with sending as response:
                    raw = await response.read()
                    lowered = {name.lower(): value for name, value in response.headers.items()}
                    return response.status, lowered, raw
            except aiohttp.ClientHttpProxyError as error:
                passage.refused = error.status
                raise faults.unanswered(request, error, passage, self._route.proxy) from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise faults.unanswered(request, error, passage, self._route.proxy) from error

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session:
            await self._session.close()

    def _target(self, url: str, query: Mapping[str, str] | None) -> URL:
        """The whole address."""
        return URL(url).extend_query(query or {})

    async def _headers(
        self, method: str, target: URL, headers: Mapping[str, str], data: bytes | None
    ) -> Mapping[str, str]:
        """All headers of a request, with those that say who asks."""
        return {**headers, **await self._authorize()}

    async def _authorized(
        self, method: str, target: URL, headers: Mapping[str, str], data: bytes | None
    ) -> Mapping[str, str]:
        """Where no token is to be had, what it was for is not sent."""
        try:
            return await self._headers(method, target, headers, data)
        except ProviderFault as fault:
            fault.never_sent = True
            raise

    def _url(self, request: faults.Request, path: str) -> str:
        """A path, or a link to a next page, which must not take our token elsewhere."""
        if not path.startswith("http"):
            return f"{self._base_url}/{path}"
        if not path.startswith(f"{self._base_url}/"):
            raise faults.malformed(request, f"its next page is elsewhere, at {path[:80]}")
        return path

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._route.session()
        return self._session


def read(request: faults.Request, raw: bytes, kind: type[T]) -> T:
    """Decode a reply strictly. Raises ProviderFault."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        if refusals.is_error(raw):
            raise faults.refused(request, 200, {}, raw) from error
        raise faults.malformed(request, str(error), raw) from error


def fixed(headers: Mapping[str, str]) -> Authorize:
    """The same headers for every request."""

    async def authorize() -> Mapping[str, str]:
        return headers

    return authorize
