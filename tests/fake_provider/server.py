"""The listening port: open, shut, or silent."""

import asyncio
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.fake_provider.app import App
from tests.fake_provider.wire import Request, Response, serve_connection

HEAD_LIMIT = 1 << 16


@dataclass
class Server:
    """Serves an app on one loopback port, and shuts the port when the app says so."""

    app: App
    port: int
    _open: dict[asyncio.StreamWriter, int] = field(default_factory=dict[asyncio.StreamWriter, int])
    """Connections, with the number of requests in work on each."""
    _shut: bool = False

    async def run(self, ready: Path | None) -> None:
        """Serve for ever; the port is written to `ready` once it listens."""
        server = await self._listen()
        self.port = server.sockets[0].getsockname()[1]
        if ready:
            announce(ready, self.port)
        while True:
            kind, seconds = await self.app.outages.get()
            await asyncio.sleep(0.05)  # the struck request's own reply leaves first
            server.close()
            self._shut = True
            await self._outage(kind, seconds)
            server = await self._listen()

    async def _listen(self) -> asyncio.Server:
        self._shut = False
        return await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, limit=HEAD_LIMIT, reuse_address=True
        )

    async def _outage(self, kind: str, seconds: float) -> None:
        for writer in [one for one, busy in self._open.items() if not busy]:
            writer.close()
        silence = _silence(self.port) if kind == "ignore" else []
        await asyncio.sleep(seconds)
        for one in silence:
            one.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def handle(request: Request) -> Response:
            self._open[writer] = 1
            try:
                return await self.app.handle(request)
            finally:
                self._open[writer] = 0
                if self._shut:  # once the reply, written in this very step, has left
                    asyncio.get_running_loop().call_soon(writer.close)

        self._open[writer] = 0
        try:
            await serve_connection(handle, reader, writer)
        finally:
            del self._open[writer]


def _silence(port: int) -> list[socket.socket]:
    """A port whose queue is full: the kernel drops whoever knocks, so that connecting hangs."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    return [listener, *fillers]


def announce(ready: Path, port: int) -> None:
    """Tell the port by a file that is never seen half written."""
    draft = ready.with_suffix(".draft")
    draft.write_text(f"{port}\n")
    draft.replace(ready)


async def watch_parent() -> None:
    """End with the process that started this one, however that one ends."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  nothing tells of a parent's end but asking
        await asyncio.sleep(0.5)
    sys.exit(0)
