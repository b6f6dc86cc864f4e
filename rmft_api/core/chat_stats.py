"""Sizes and a digest of a growing chat, updated with the new messages only.

Code that extends a chat keeps its `ChatStats` and passes them with each `ChatRequest`. For any
other chat they are computed when they are needed.
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from rmft_api.core.records import ChatRequest, ChatStats, Message

NOTHING = ChatStats(0, 0, b"")
_encode = msgspec.json.Encoder().encode


def extended(stats: ChatStats, messages: Iterable[Message]) -> ChatStats:
    """The stats of a chat after `messages` are added to it."""
    chars, size, digest = stats.chars, stats.size, stats.digest
    for message in messages:
        chars += len(message.content)
        size += size_of(message.content)
        digest = sha256(digest + _encode(message)).digest()[:16]
    return ChatStats(chars, size, digest)


def of(request: ChatRequest) -> ChatStats:
    """The sums of what is asked."""
    return request.stats or extended(NOTHING, request.messages)


def size_of(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
