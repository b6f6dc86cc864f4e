"""A way through an HTTP proxy: CONNECT, and TLS with the server behind it."""

import asyncio
import socket

import httptools

from rmft_api.providers.network import Proxy, Route


class ProxyRefusedError(Exception):
    """The proxy answered CONNECT with something else than success: nothing went further."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status} from the proxy")
        self.status = status


class _Opening(asyncio.Protocol):
    """Sends one CONNECT, and returns the status of its reply."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.status: asyncio.Future[int] = loop.create_future()
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        if self.status.done():
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"the proxy speaks no HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self.status.done():
            self.status.set_result(status)

    def _fail(self, why: str) -> None:
        if not self.status.done():
            self.status.set_exception(ConnectionError(why))


async def opened(
    loop: asyncio.AbstractEventLoop,
    reached: socket.socket,
    route: Route,
    protocol: asyncio.Protocol,
) -> None:
    """Make `protocol` speak TLS with the route's host, over a socket that reached the proxy.

    Raises ProxyRefusedError, OSError (the proxy broke off) or ssl.SSLError.
    """
    host, proxy = route.url.raw_host or "", route.proxy
    assert proxy is not None
    over_tls = proxy.scheme == "https"
    transport, opening = await loop.create_connection(
        lambda: _Opening(loop),
        sock=reached,
        ssl=route.tls if over_tls else None,
        server_hostname=proxy.host if over_tls else None,
    )
    try:
        transport.write(_connect(host, route.url.port or 443, proxy))
        status = await opening.status
        if not 200 <= status < 300:
            raise ProxyRefusedError(status)
        secured = await loop.start_tls(transport, protocol, route.tls, server_hostname=host)
        if secured is None:
            raise ConnectionError("the proxy closed the connection")
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(secured)


def _connect(host: str, port: int, proxy: Proxy) -> bytes:
    name = f"[{host}]" if ":" in host else host
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
    lines += [f"{key}: {value}" for key, value in proxy.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
