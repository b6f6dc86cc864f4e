"""HTTP/1.1 as the hot path needs it: POSTs to one address, over kept connections, replies whole.

A general client spends most of its time on what a JSON endpoint never needs: cookies, redirects,
streamed bodies. This one writes one buffer, feeds what comes to llhttp (the parser of
Node.js) and wakes the caller once. It never sends anything twice, and reports for every failure
whether the request can have been seen:

    NotConnectedError   nothing was sent
    LostError           it was sent, and no whole reply came
"""

import asyncio
import gzip
import socket
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import aiohappyeyeballs
import httptools

from rmft_api.core.errors import ConfigError
from rmft_api.providers import tunnel
from rmft_api.providers.network import KEEP_ALIVE_S, Route

_ADDRESSES_S = 60.0
"""How long a name's addresses are remembered."""
_SECOND_ADDRESS_S = 0.25
"""Head start of a host's first address, where it has several."""
_Address = tuple[int, int, int, str, tuple[Any, ...]]
"""As `getaddrinfo` returns it."""
_GZIP = b"\x1f\x8b"
_LOOKS = 10
"""How often a request's age is looked at before it is given up."""
_AT_A_TIME = 16
"""Callers woken in one turn of the event loop: a thousand replies may come together."""


class NotConnectedError(Exception):
    """No connection, so nothing was sent; its cause says why."""


class LostError(Exception):
    """The request went out, and no whole reply came."""


class Headers(Mapping[str, str]):
    """A reply's headers by lower-case name, read only when they are used."""

    def __init__(self, head: bytes) -> None:
        """`head`: the reply from its first byte on, at least to the blank line."""
        self._head = head
        self._known: dict[str, str] | None = None

    def _read(self) -> dict[str, str]:
        if self._known is None:
            _, *lines = _lines(self._head)
            pairs = (line.partition(":") for line in lines)
            self._known = {name.lower(): value.strip() for name, colon, value in pairs if colon}
        return self._known

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


class Response(NamedTuple):
    """A whole reply."""

    status: int
    headers: Headers
    body: bytes


class HttpClient:
    """POSTs to a route's url. Belongs to one event loop; its callers bound how many at once."""

    def __init__(
        self, route: Route, headers: Mapping[str, str], *, connect_s: float, reply_s: float
    ) -> None:
        self._route = route
        self._head = _head(route, headers)
        self._connect_s = connect_s
        self._reply_s = reply_s
        self._idle: list[_Connection] = []
        """The longest idle first."""
        self._busy: set[_Connection] = set()
        self._patrol: asyncio.TimerHandle | None = None
        self._addresses: list[_Address] = []
        self._addresses_until = 0.0
        self._replies = _Replies()

    async def post(self, body: bytes) -> Response:
        """Send once. Raises NotConnectedError or LostError; a reply of any status is a reply."""
        connection = self._kept() or await self._connect()
        reply = connection.ask(b"%s%d\r\n\r\n" % (self._head, len(body)), body)
        self._busy.add(connection)
        if self._patrol is None:
            self._watch()
        try:
            return await reply
        finally:
            self._busy.discard(connection)
            if connection.is_free:
                self._idle.append(connection)
            else:
                connection.close()

    async def reach(self) -> None:
        """Open a connection, TLS and proxy included, and send nothing. Raises NotConnectedError."""
        connection = self._kept() or await self._connect()
        connection.since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    async def close(self) -> None:
        """Let go of idle connections."""
        if self._patrol is not None:
            self._patrol.cancel()
            self._patrol = None
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _kept(self) -> "_Connection | None":
        """The connection used last, if it is fresh: then those below it may be, too."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_free and now - connection.since < KEEP_ALIVE_S:
                return connection
            connection.close()
        return None

    def _watch(self) -> None:
        """Give up what is late, now and then, for as long as anything is under way.

        One timer for all: one for each request would cost more than its parsing.
        """
        self._patrol = None
        loop = asyncio.get_running_loop()
        late = loop.time() - self._reply_s
        for connection in [one for one in self._busy if one.since <= late]:
            connection.give_up(self._reply_s)
        if self._busy:
            self._patrol = loop.call_later(min(1.0, self._reply_s / _LOOKS), self._watch)

    async def _connect(self) -> "_Connection":
        try:
            async with asyncio.timeout(self._connect_s):
                reached = await _connected(await self._resolve())
                return await self._introduced(reached)
        # A name that cannot be one is a ValueError.
        except (OSError, ValueError, tunnel.ProxyRefusedError) as error:
            raise NotConnectedError(str(error)) from error

    async def _introduced(self, reached: socket.socket) -> "_Connection":
        """TLS over a socket, straight or through the proxy that it reached."""
        loop = asyncio.get_running_loop()
        url, proxy = self._route.url, self._route.proxy
        if proxy is not None and url.scheme == "https":
            tunnelled = _Connection(loop, self._replies)
            await tunnel.opened(loop, reached, self._route, tunnelled)
            return tunnelled
        scheme, host = (proxy.scheme, proxy.host) if proxy else (url.scheme, url.raw_host)
        over_tls = scheme == "https"
        _, connection = await loop.create_connection(
            lambda: _Connection(loop, self._replies),
            sock=reached,
            ssl=self._route.tls if over_tls else None,
            server_hostname=host if over_tls else None,
        )
        return connection

    async def _resolve(self) -> list[_Address]:
        loop = asyncio.get_running_loop()
        if loop.time() > self._addresses_until:
            url, proxy = self._route.url, self._route.proxy
            host, port = (proxy.host, proxy.port) if proxy else (url.raw_host, url.port)
            self._addresses = list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            self._addresses_until = loop.time() + _ADDRESSES_S
        return self._addresses


class _Replies:
    """Replies on their way to those who asked, a few in each turn of the event loop."""

    def __init__(self) -> None:
        self._whole: deque[tuple[asyncio.Future[Response], Response]] = deque()

    def hand(self, waiter: "asyncio.Future[Response]", response: Response) -> None:
        """Wake `waiter` soon."""
        if not self._whole:
            waiter.get_loop().call_soon(self._wake)
        self._whole.append((waiter, response))

    def _wake(self) -> None:
        for _ in range(min(_AT_A_TIME, len(self._whole))):
            waiter, response = self._whole.popleft()
            if not waiter.done():  # else its caller was cancelled
                waiter.set_result(response)
        if self._whole:
            asyncio.get_running_loop().call_soon(self._wake)


class _Connection(asyncio.Protocol):
    """One connection: at most one request under way, `is_free` when another may be sent."""

    def __init__(self, loop: asyncio.AbstractEventLoop, replies: _Replies) -> None:
        self._loop = loop
        self._replies = replies
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Response] | None = None
        self._head = b""
        """What came so far, at least to the end of the headers."""
        self._body: list[bytes] = []
        self._started = False
        """Whether a reply is coming in, its head read."""
        self.is_free = True
        self.since = 0.0
        """When the last request was sent, or its reply was whole."""

    def ask(self, head: bytes, body: bytes) -> "asyncio.Future[Response]":
        """Send one request; its reply."""
        self.is_free = False
        self.since = self._loop.time()
        self._waiter = self._loop.create_future()
        self._transport.writelines((head, body))
        return self._waiter

    def close(self) -> None:
        """Break off at once: what still came would be the reply to nothing."""
        self.is_free = False
        self._transport.abort()

    def give_up(self, within_s: float) -> None:
        """Its reply took too long."""
        self._fail(LostError(f"no whole reply within {within_s:g} s"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # nothing was asked
            self.close()
            return
        if not self._started:
            self._head += data
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(LostError(f"no HTTP: {error}"))

    def eof_received(self) -> None:
        if self._started and not _is_delimited(Headers(self._head)):
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(LostError(str(exc) if exc and str(exc) else "the connection was closed"))

    def on_message_begin(self) -> None:
        if self._waiter is None:  # a second reply to one request
            self.is_free = False

    def on_headers_complete(self) -> None:
        self._started = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # "continue" and the like: the reply comes after
            self._head, self._started = _after_headers(self._head), False
            return
        all_is_sent = not self._transport.get_write_buffer_size()
        self._finish(reuse=self._parser.should_keep_alive() and all_is_sent)

    def _finish(self, *, reuse: bool = False) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        response = Response(self._parser.get_status_code(), Headers(self._head), _plain(body))
        self._head, self._body, self._started = b"", [], False
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            self.is_free = reuse
            self.since = self._loop.time()
            self._replies.hand(waiter, response)

    def _fail(self, error: Exception) -> None:
        self.is_free = False
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


async def _connected(addresses: list[_Address]) -> socket.socket:
    """A socket to the first address that answers; the next one starts while one is silent."""
    return await aiohappyeyeballs.start_connection(  # pyright: ignore[reportUnknownMemberType]
        addresses, happy_eyeballs_delay=_SECOND_ADDRESS_S, interleave=1
    )


def _head(route: Route, headers: Mapping[str, str]) -> bytes:
    """All of a request's head but its length. Raises ConfigError for what is no header."""
    url = route.url
    plainly = route.proxy is not None and url.scheme == "http"
    target = str(url) if plainly else url.raw_path  # a proxy needs the whole address
    lines = [f"POST {target} HTTP/1.1", f"Host: {url.host_port_subcomponent}"]
    sent_headers = {**headers, **route.proxy_headers()}
    lines += [f"{name}: {value}" for name, value in sent_headers.items()]
    for line in lines:
        if not (line.isascii() and line.isprintable()):
            raise ConfigError(
                f"header {line.partition(':')[0]!r} holds a character that headers do not allow; "
                "correct the environment variable that fills it"
            )
    return "\r\n".join([*lines, "Content-Length: "]).encode()


def _is_delimited(headers: Headers) -> bool:
    """Whether a reply says how long it is, so that a closed connection does not end it."""
    return "content-length" in headers or "transfer-encoding" in headers


def _lines(head: bytes) -> list[str]:
    """The first line and the headers; some servers end lines as UNIX does."""
    return head.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("latin-1").split("\n")


def _after_headers(head: bytes) -> bytes:
    """What follows the blank line."""
    ends = (head.find(blank) + len(blank) for blank in (b"\r\n\r\n", b"\n\n") if blank in head)
    return head[min(ends, default=len(head)) :]


def _plain(body: bytes) -> bytes:
    """Some gateways compress unasked; JSON never begins like that."""
    if not body.startswith(_GZIP):
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return body
