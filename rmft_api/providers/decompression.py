"""Bodies that were compressed without a request for it."""

import gzip
import importlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any

_ZSTD = b"\x28\xb5\x2f\xfd"


class EncodedError(Exception):
    """A body that cannot be undone; the text says its encoding, and what would help."""


def plain(headers: Mapping[str, str], body: bytes) -> bytes:
    """The body, its Content-Encoding undone, the last one first. Raises EncodedError."""
    encoding = headers.get("content-encoding", "")
    names = [name for part in reversed(encoding.split(",")) if (name := part.strip().lower())]
    for name in names or _guessed(body):
        if name not in ("identity", "gzip", "x-gzip") or _is_gzip(body):
            body = _undone(name, body)
    return body


def _undone(name: str, body: bytes) -> bytes:
    undo = _WAYS.get(name)
    if undo is None:
        raise EncodedError(f"its Content-Encoding is {name!r}, though identity was asked for")
    try:
        return undo(body)
    except ImportError:
        package = {"br": "brotli", "zstd": "zstandard"}[name]
        raise EncodedError(
            f"its Content-Encoding is {name!r}, though identity was asked for; "
            f"`pip install {package}` undoes it, or let the gateway honour Accept-Encoding"
        ) from None
    except Exception as error:  # noqa: BLE001 - each library has errors of its own
        if body.lstrip()[:1] in (b"{", b"["):  # stated, and not done
            return body
        raise EncodedError(f"its Content-Encoding {name!r} cannot be undone: {error}") from None


def _deflate(body: bytes) -> bytes:
    """With the header of zlib, as the standard says, or without, as some servers do."""
    try:
        return zlib.decompress(body)
    except zlib.error:
        return zlib.decompress(body, -zlib.MAX_WBITS)


def _brotli(body: bytes) -> bytes:
    return _library("brotli", "brotlicffi").decompress(body)


def _zstd(body: bytes) -> bytes:
    try:
        return _library("compression.zstd", "backports.zstd").decompress(body)
    except ImportError:
        return _library("zstandard").ZstdDecompressor().decompressobj().decompress(body)


def _library(*names: str) -> Any:
    """The first of these that is installed. Raises ImportError."""
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return importlib.import_module(names[-1])


def _guessed(body: bytes) -> tuple[str, ...]:
    """By its first bytes, where no header states it; JSON never begins so."""
    if body.startswith(_ZSTD):
        return ("zstd",)
    return ("gzip",) if _is_gzip(body) else ()


def _is_gzip(body: bytes) -> bool:
    return body.startswith(b"\x1f\x8b")


_WAYS: Mapping[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
