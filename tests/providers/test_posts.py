"""HTTP of the hot path against a server that says exactly what each test writes."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from rmft_api.core.errors import ConfigError
from rmft_api.providers import http_client
from rmft_api.providers.http_client import HttpClient, LostError, NotConnectedError
from rmft_api.providers.network import Network

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Told: Yes\r\n\r\nok"


@dataclass
class Server:
    """Answers each whole request with the next of `says`; "" closes the connection."""

    says: list[bytes] = field(default_factory=list[bytes])
    seen: list[bytes] = field(default_factory=list[bytes])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                self.seen.append(head + await reader.readexactly(length))
                self.asked.set()
                reply = self.says.pop(0) if self.says else OK
                writer.write(reply.removesuffix(b"<close>"))
                await writer.drain()
                if not reply or reply.endswith(b"<close>"):
                    return
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    listening = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    yield one
    listening.close()


@pytest.fixture
async def sender(server: Server) -> AsyncIterator[HttpClient]:
    one = HttpClient(Network({}).route(server.url), {"X-Mine": "1"}, connect_s=2, reply_s=2)
    yield one
    await one.close()


async def test_a_request_is_its_head_its_length_and_its_body(
    server: Server, sender: HttpClient
) -> None:
    status, headers, body = await sender.post(b"asked")
    host = server.url.removeprefix("http://").removesuffix("/v1")
    head = f"POST /v1 HTTP/1.1\r\nHost: {host}\r\nX-Mine: 1\r\nContent-Length: 5\r\n\r\n"
    assert server.seen == [head.encode() + b"asked"]
    assert (status, body, headers["x-told"], headers.get("x-other")) == (200, b"ok", "Yes", None)


async def test_requests_one_after_another_share_a_connection(
    server: Server, sender: HttpClient
) -> None:
    for _ in range(3):
        await sender.post(b"")
    assert server.connections == 1


async def test_requests_at_once_have_connections_of_their_own(
    server: Server, sender: HttpClient
) -> None:
    await asyncio.gather(*(sender.post(b"") for _ in range(5)))
    assert server.connections == 5


async def test_an_idle_connection_is_not_trusted_for_long(
    server: Server, sender: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "KEEP_ALIVE_S", 0.0)
    await sender.post(b"")
    await sender.post(b"")
    assert server.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        OK.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")[:-2]
        + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.0 200 OK\r\n\r\nok<close>",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok<close>",
        OK.replace(b"\r\n\r\nok", b"\r\nConnection: close\r\n\r\nok"),
    ],
    ids=["chunked", "continued", "old and until closed", "until closed", "to be closed"],
)
async def test_replies_of_every_framing_are_read_whole(
    server: Server, sender: HttpClient, reply: bytes
) -> None:
    server.says = [reply]
    assert (await sender.post(b"")).body == b"ok"
    assert (await sender.post(b"")).body == b"ok"
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "reply",
    [
        OK,
        b"HTTP/1.1 100 Continue\r\nX-Told: No\r\n\r\n" + OK,
        OK.replace(b"X-Told: Yes", b"x-told:Yes \r\nX-Empty:"),
    ],
    ids=["plain", "continued", "spaced"],
)
async def test_headers_are_those_of_the_reply_itself(
    server: Server, sender: HttpClient, reply: bytes
) -> None:
    server.says = [reply]
    headers = (await sender.post(b"")).headers
    assert (headers["x-told"], headers.get("x-other")) == ("Yes", None)
    assert headers["content-length"] == "2"


async def test_a_reply_that_comes_too_late_is_given_up_and_others_are_not(
    server: Server,
) -> None:
    silent = asyncio.Event()
    hasty = HttpClient(Network({}).route(server.url), {}, connect_s=2, reply_s=0.2)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    holding = await asyncio.start_server(hold, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{holding.sockets[0].getsockname()[1]}/"
    mute = HttpClient(Network({}).route(url), {}, connect_s=2, reply_s=0.2)
    late = [asyncio.create_task(mute.post(b"")) for _ in range(3)]
    while not all(task.done() for task in late):
        assert (await hasty.post(b"")).status == 200
        await asyncio.sleep(0.01)
    for task in late:
        with pytest.raises(LostError, match=r"no whole reply within 0\.2 s"):
            await task
    silent.set()
    holding.close()
    await hasty.close()


async def test_a_compressed_reply_is_read_though_none_was_asked_for(
    server: Server, sender: HttpClient
) -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    server.says = [head.encode() + packed]
    assert (await sender.post(b"")).body == b'{"a": 1}'


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf<close>",
        OK.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")[:-2] + b"1\r\no\r\n<close>",
        b"HTTP/1.1 200 OK\r\nContent-Le<close>",
        b"SSH-2.0-OpenSSH_9\r\n<close>",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n<close>",
    ],
    ids=["nothing", "half a body", "half the chunks", "half a head", "no http", "another protocol"],
)
async def test_what_is_no_whole_reply_is_lost_and_not_asked_again(
    server: Server, sender: HttpClient, reply: bytes
) -> None:
    server.says = [reply]
    with pytest.raises(LostError):
        await sender.post(b"")
    assert len(server.seen) == 1


async def test_a_second_reply_to_one_request_answers_no_other(
    server: Server, sender: HttpClient
) -> None:
    server.says = [OK + OK.replace(b"ok", b"no"), OK]
    assert (await sender.post(b"")).body == b"ok"
    assert (await sender.post(b"")).body == b"ok"
    assert server.connections == 2


async def test_half_a_second_reply_answers_no_other(server: Server, sender: HttpClient) -> None:
    server.says = [OK + b"HTTP/1.1 200 OK\r\nContent-", OK]
    await sender.post(b"")
    assert (await sender.post(b"")).body == b"ok"
    assert server.connections == 2


async def test_a_caller_that_leaves_takes_its_connection_along(
    server: Server, sender: HttpClient
) -> None:
    server.says = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
    task = asyncio.create_task(sender.post(b""))
    async with asyncio.timeout(5):
        await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await sender.post(b"")).body == b"ok"
    assert server.connections == 2


async def test_tls_with_a_server_that_has_none_sends_nothing() -> None:
    heard: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        sender = HttpClient(
            Network({}).route(f"https://127.0.0.1:{port}/v1"), {}, connect_s=5, reply_s=5
        )
        with pytest.raises(NotConnectedError) as caught:
            await sender.post(b"secret")
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert b"secret" not in b"".join(heard)


def test_a_header_of_two_lines_is_refused() -> None:
    with pytest.raises(ConfigError, match="X-Org"):
        HttpClient(
            Network({}).route("http://127.0.0.1/v1"),
            {"X-Org": "a\r\nX-Evil: b"},
            connect_s=1,
            reply_s=1,
        )
