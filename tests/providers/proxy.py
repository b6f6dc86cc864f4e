"""A proxy that a test starts: CONNECT, plain requests, users, and ways to refuse.

It alone knows the names of `hosts`, so a request that found its way came through it.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

Manner = Literal["connect", "refuse", "break"]


@dataclass
class ConnectProxy:
    """Carries bytes between a client and the host that it asks for."""

    user: str = ""
    """`name:password` that it wants; empty: anybody may pass."""
    manner: Manner = "connect"
    status: int = 200
    """What it answers when it refuses."""
    hosts: dict[str, str] = field(default_factory=lambda: {"api.test": "127.0.0.1"})
    asked: list[str] = field(default_factory=list[str])
    """The first line of every request."""
    port: int = 0
    tasks: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    def address(self, scheme: str = "http") -> str:
        """What a variable would name."""
        return f"{scheme}://{self.user + '@' if self.user else ''}localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever cancels waits for nothing else
        finally:
            writer.transport.abort()
            self.tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line)
        if self.manner == "break":
            return
        status = self._refusal(head)
        if status:
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        method, target, _ = line.split()
        target = target.removeprefix("http://").partition("/")[0]
        host, _, port = target.rpartition(":")
        behind, onward = await asyncio.open_connection(self.hosts.get(host, host), int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            onward.write(head)
        pumps = [asyncio.create_task(_pump(*ends)) for ends in ((reader, onward), (behind, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            onward.transport.abort()
            for pump in pumps:
                pump.cancel()

    def _refusal(self, head: bytes) -> int:
        if self.manner == "refuse":
            return self.status
        told = base64.b64encode(self.user.encode()).decode()
        wanted = f"proxy-authorization: basic {told}".lower()
        lines = head.decode().lower().split("\r\n")
        return 407 if self.user and wanted not in lines else 0


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass


@asynccontextmanager
async def proxying(
    proxy: ConnectProxy, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[ConnectProxy]:
    """The proxy on a free port of loopback; with `tls` it is an https proxy."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(proxy.tasks):
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)
