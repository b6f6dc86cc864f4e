"""Batches of token ids as protobuf: the messages of `tinker_public.proto` that a step needs.

The package's own classes need protobuf's runtime; what is sent is four nested messages of strings,
numbers and arrays, so it is written here. Field numbers and types are the descriptor's in
tinker 0.38.0 (`tinker/proto/tinker_public_pb2.py`), which a test reads these bytes with.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

MEDIA_TYPE = "application/x-protobuf"
_VARINT, _BYTES = 0, 2
_FLOAT32, _INT64 = 1, 2


class Example(NamedTuple):
    """Token ids, and of each whether it is learned."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def billed(self) -> int:
        """Tokens that go through the model: each predicts the next one."""
        return len(self.tokens) - 1


def forward_backward(run: str, seq_id: int, examples: Sequence[Example]) -> bytes:
    """The body of a request: cross entropy on the examples."""
    return b"".join(
        (
            _field(1, run.encode()),
            _number(2, seq_id),
            *(_field(3, _datum(one)) for one in examples),
            _field(4, b"cross_entropy"),
        )
    )


def chunks(
    examples: Sequence[Example], most_bytes: int = 5_000_000, most: int = 1024
) -> Iterator[Sequence[Example]]:
    """A batch in as many requests as it takes, as the package cuts it."""
    start = size = 0
    for place, one in enumerate(examples):
        bytes_ = one.billed * (4 + 8 + 4)
        if place > start and (size + bytes_ > most_bytes or place - start == most):
            yield examples[start:place]
            start, size = place, 0
        size += bytes_
    yield examples[start:]


def _datum(example: Example) -> bytes:
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
