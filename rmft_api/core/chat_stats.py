"""Sums over a chat that grows: a round of it costs what is new in it, not all that was said before.

Whoever grows a chat keeps its `Sums` and hands them on with each `Ask`; for any other chat they are
summed when they are needed.
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from rmft_api.core.records import ChatRequest, ChatStats, Message

NOTHING = ChatStats(0, 0, b"")
_encode = msgspec.json.Encoder().encode


def extended(sums: ChatStats, messages: Iterable[Message]) -> ChatStats:
    """The sums of a chat that goes on with `messages`."""
    chars, size, digest = sums.chars, sums.size, sums.digest
    for message in messages:
        chars += len(message.content)
        size += size_of(message.content)
        digest = sha256(digest + _encode(message)).digest()[:16]
    return ChatStats(chars, size, digest)


def of(ask: ChatRequest) -> ChatStats:
    """The sums of what is asked."""
    return ask.sums or extended(NOTHING, ask.messages)


def size_of(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
