"""HTTP/1.1 by hand, because half of the faults are below HTTP: resets, silence, torn bodies."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.message import Message
from enum import StrEnum
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


class Manner(StrEnum):
    """How a reply leaves, or fails to."""

    WHOLE = "whole"
    RST_BEFORE_HEADERS = "rst_before_headers"
    RST_AFTER_HEADERS = "rst_after_headers"
    EOF = "eof"
    """The connection is closed in good order, with nothing sent."""
    SLOW_DRIP = "slow_drip"
    """One byte at a time, for ever slower than any patience."""
    TRUNCATED = "truncated"
    """Half of the body, then the connection is closed."""
    HELD = "held"
    """Nothing is ever sent: the client's own time-out ends it."""


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as an object; ValueError where it is none."""
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError("the body is no JSON object")
        return cast("dict[str, Any]", value)


@dataclass(frozen=True)
class Response:
    """One reply and its manner of leaving."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    manner: Manner = Manner.WHOLE


Handler = Callable[[Request], Awaitable[Response]]


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`value` as JSON, ASCII only. NaN is written as NaN, as careless servers do."""
    body = json.dumps(value).encode()
    return Response(status, body, {"content-type": "application/json", **(headers or {})})


async def serve_connection(
    handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection's requests until either side is done with it."""
    try:
        while (request := await read_request(reader, writer)) is not None:
            if not await send(writer, await handler(request)):
                break
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client went away; what was done stays done and billed
    finally:
        writer.close()


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """The next request, or None where the client closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = line.split(" ", 2)
    pairs = (text.split(":", 1) for text in lines)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, headers)
    parts = urlsplit(target)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    chunks: list[bytes] = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(chunks)


async def send(writer: asyncio.StreamWriter, response: Response) -> bool:
    """Let the reply leave in its manner. True where the connection may serve another request."""
    head = _head(response)
    match response.manner:
        case Manner.WHOLE:
            writer.write(head + response.body)
            await writer.drain()
            return True
        case Manner.RST_BEFORE_HEADERS:
            _reset(writer)
        case Manner.RST_AFTER_HEADERS:
            writer.write(head)
            await writer.drain()
            await asyncio.sleep(0.02)  # or the reset overtakes the headers
            _reset(writer)
        case Manner.TRUNCATED:
            writer.write(head + response.body[: len(response.body) // 2])
            await writer.drain()
        case Manner.SLOW_DRIP:
            await _drip(writer, head, response.body)
        case Manner.HELD:
            await asyncio.sleep(3600)
        case Manner.EOF:
            pass
    return False


def _head(response: Response) -> bytes:
    reason = REASONS.get(response.status, "Status")
    headers = {**response.headers, "content-length": str(len(response.body))}
    lines = [f"HTTP/1.1 {response.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _drip(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
    writer.write(head)
    for i in range(len(body)):
        writer.write(body[i : i + 1])
        await writer.drain()
        await asyncio.sleep(0.5)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: a linger of zero drops what is unsent and resets the peer."""
    connection = cast("socket.socket", writer.get_extra_info("socket"))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass(frozen=True)
class Part:
    """One field of a form."""

    name: str
    filename: str | None
    content: bytes


def form(request: Request) -> dict[str, Part]:
    """The fields of a multipart/form-data body. Raises ValueError where it is none."""
    boundary = _parameter(request.headers.get("content-type", ""), "boundary")
    if boundary is None:
        raise ValueError("the body is no multipart form")
    pieces = (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())
    parts = [_part(piece) for piece in pieces[1:-1]]
    return {part.name: part for part in parts}


def _part(piece: bytes) -> Part:
    head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    for line in head.decode().split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-disposition":
            field_name = _parameter(value.strip(), "name") or ""
            return Part(field_name, _parameter(value.strip(), "filename"), content)
    raise ValueError("a part has no content-disposition")


def _parameter(header: str, name: str) -> str | None:
    message = Message()
    message["content-type"] = header
    value = message.get_param(name)
    return value if isinstance(value, str) else None
