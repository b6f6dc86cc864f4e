"""CPU of a POST over TLS, straight and through a CONNECT proxy; all three on this machine.

    python -m benchmarks.proxied

Server and proxy have processes of their own. Needs the extra `[dev]` (a certificate authority).
"""

import asyncio
import multiprocessing
import ssl
import tempfile
import time
from collections.abc import Coroutine
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, cast

import trustme
import uvloop

from rmft_api.providers.http_client import HttpClient
from rmft_api.providers.network import Network
from tests.providers.proxy import ConnectProxy, proxying

REQUESTS, AT_ONCE, TIMES, TURNS = 20_000, 64, 2, 5
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + b" " * 300
BODY = b"x" * 500


class Static(asyncio.Protocol):
    """Answers every POST with the same."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers."""
        self._transport, self._came = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        """Answer whole requests."""
        self._came += data
        while (head := self._came.find(b"\r\n\r\n")) >= 0:
            length = int(self._came[:head].split(b"Content-Length: ")[1].split(b"\r\n")[0])
            if len(self._came) < head + 4 + length:
                return
            self._came = self._came[head + 4 + length :]
            self._transport.write(REPLY)


def serve(ports: "Queue[int]", pem: str) -> None:
    """A TLS server; tells its port."""

    async def serving() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Static, "127.0.0.1", 0, ssl=tls)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    run(serving())


def carry(ports: "Queue[int]") -> None:
    """A proxy; tells its port."""

    async def carrying() -> None:
        async with proxying(ConnectProxy()) as proxy:
            ports.put(proxy.port)
            await asyncio.Event().wait()

    run(carrying())


def run(work: Coroutine[Any, Any, None]) -> None:
    """On uvloop, as a run does."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def measure(what: str, url: str, environ: dict[str, str]) -> None:
    """Print the CPU of a POST, the best of a few times."""
    posts = HttpClient(Network(environ).route(url), {"A": "b"}, connect_s=5, reply_s=30)

    async def some() -> None:
        for _ in range(REQUESTS // AT_ONCE):
            await posts.post(BODY)

    best = float("inf")
    for _ in range(TIMES):
        await asyncio.gather(*(posts.post(BODY) for _ in range(AT_ONCE)))
        began = time.process_time()
        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        best = min(best, (time.process_time() - began) / REQUESTS)
    print(f"{what}: {best * 1e6:.1f} us of CPU a POST")
    await posts.close()


def main() -> None:
    """Both ways, in turns."""
    processes = multiprocessing.get_context("spawn")
    ports: Queue[int] = processes.Queue()
    with tempfile.TemporaryDirectory() as folder:
        authority, pem, own = trustme.CA(), Path(folder) / "server.pem", Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(own))
        issued = authority.issue_cert("api.test", "localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
        processes.Process(target=serve, args=(ports, str(pem)), daemon=True).start()
        port = ports.get()
        processes.Process(target=carry, args=(ports,), daemon=True).start()
        environ = {"SSL_CERT_FILE": str(own), "ALL_PROXY": f"http://localhost:{ports.get()}"}
        for _ in range(TURNS):
            run(measure("straight", f"https://localhost:{port}/v1", environ))
            run(measure("proxied ", f"https://api.test:{port}/v1", environ))


if __name__ == "__main__":
    main()
