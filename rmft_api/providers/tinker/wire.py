"""Batches of token ids as protobuf: the messages of `tinker_public.proto` that a step needs.

The package's own classes need protobuf's runtime; what is sent is four nested messages of strings,
numbers and arrays, so it is written here. Field numbers and types are the descriptor's in
tinker 0.38.0 (`tinker/proto/tinker_public_pb2.py`), which a test reads these bytes with.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

MEDIA_TYPE = "application/x-protobuf"
_VARINT, _DOUBLE, _BYTES, _FIXED = 0, 1, 2, 5
_FLOAT32, _INT64 = 1, 2


class WeightedTokens(NamedTuple):
    """Token ids, and of each whether it is learned."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def billed(self) -> int:
        """Tokens that go through the model: each predicts the next one."""
        return len(self.tokens) - 1


def forward_backward(run: str, seq_id: int, examples: Sequence[WeightedTokens]) -> bytes:
    """The body of a request: cross entropy on the examples."""
    return b"".join(
        (
            _field(1, run.encode()),
            _number(2, seq_id),
            *(_field(3, _datum(one)) for one in examples),
            _field(4, b"cross_entropy"),
        )
    )


def metrics(raw: bytes) -> dict[str, float]:
    """The metrics of a batch's result; a result that cannot be read has none."""
    found: dict[str, float] = {}
    try:
        for number, value in _fields(raw):
            if number == 3 and isinstance(value, bytes):
                entry = dict(_fields(value))
                name, amount = entry.get(1), entry.get(2)
                if isinstance(name, bytes) and isinstance(amount, bytes):
                    found[name.decode()] = struct.unpack("<d", amount)[0]
    except (IndexError, UnicodeDecodeError, ValueError, struct.error):
        return {}
    return found


def chunks(
    examples: Sequence[WeightedTokens], most_bytes: int = 5_000_000, most: int = 1024
) -> Iterator[Sequence[WeightedTokens]]:
    """A batch in as many requests as it takes, as the package cuts it."""
    start = size = 0
    for place, one in enumerate(examples):
        bytes_ = one.billed * (4 + 8 + 4)
        if place > start and (size + bytes_ > most_bytes or place - start == most):
            yield examples[start:place]
            start, size = place, 0
        size += bytes_
    yield examples[start:]


def _datum(example: WeightedTokens) -> bytes:
    tokens = np.asarray(example.tokens, dtype=np.int32)
    encoded_text = _field(1, tokens[:-1].tobytes())
    targets = _tensor(tokens[1:].astype(np.int64), _INT64)
    weights = _tensor(np.asarray(example.weights[1:], dtype=np.float32), _FLOAT32)
    return b"".join(
        (
            _field(1, _field(1, encoded_text)),
            _field(2, _field(1, b"target_tokens") + _field(2, targets)),
            _field(2, _field(1, b"weights") + _field(2, weights)),
        )
    )


def _tensor(values: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", dtype: int) -> bytes:
    shape = _field(4, _varint(len(values)))
    return _field(1, values.tobytes()) + _number(3, dtype) + shape


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """A message's fields. Raises ValueError or IndexError for what is none."""
    at = 0
    while at < len(raw):
        key, at = _read_varint(raw, at)
        size = {_DOUBLE: 8, _FIXED: 4}.get(key & 7)
        if key & 7 == _VARINT:
            value, at = _read_varint(raw, at)
            yield key >> 3, value
            continue
        if key & 7 == _BYTES:
            size, at = _read_varint(raw, at)
        if size is None or at + size > len(raw):
            raise ValueError("no protobuf message")
        yield key >> 3, raw[at : at + size]
        at += size


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte <= 0x7F:
            return value, at


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
