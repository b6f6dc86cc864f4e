"""Text and chats to token ids, and back. Every UTF-8 text round-trips.

Ids 0..255 are bytes, the next four open a turn or end an answer, the rest are the vocabulary's
pieces. Text never yields a role token, so no message can pose as another turn.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from rmft_api.local_server.engine import ChatMessage, ExampleError, beyond_context
from rmft_api.local_server.tiny import vocabulary

SYSTEM, USER, ASSISTANT, END = 256, 257, 258, 259
FIRST_PIECE = 260
CONTEXT = 512
"""Most tokens of one chat, its answer included."""

_ROLES = {"system": SYSTEM, "developer": SYSTEM, "user": USER, "assistant": ASSISTANT}
_PIECES = vocabulary.pieces()
_IDS = {text: FIRST_PIECE + n for n, text in enumerate(_PIECES)}
_BYTES = [bytes([n]) for n in range(256)] + [b""] * 4 + [text.encode() for text in _PIECES]
USED = len(_BYTES)
SIZE = -(-USED // 16) * 16
"""Rows of the embedding: a multiple of 16, so that vector code never meets a ragged end."""


def _lengths_by_first() -> dict[str, tuple[int, ...]]:
    lengths: defaultdict[str, set[int]] = defaultdict(set)
    for text in _PIECES:
        lengths[text[0]].add(len(text))
    return {first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()}


_LENGTHS = _lengths_by_first()


def piece_id(text: str) -> int:
    """The id of a piece of the vocabulary."""
    return _IDS[text]


@lru_cache(maxsize=1 << 17)
def _encode_line(line: str) -> tuple[int, ...]:
    ids: list[int] = []
    at = 0
    while at < len(line):
        for length in _LENGTHS.get(line[at], ()):
            known = _IDS.get(line[at : at + length])
            if known is not None:
                ids.append(known)
                at += length
                break
        else:
            ids += line[at].encode("utf-8", "surrogatepass")
            at += 1
    return tuple(ids)


def encode(text: str) -> list[int]:
    """Longest known piece first. Lines are encoded apart, for they repeat and are cached."""
    first, *others = text.split("\n")
    ids = list(_encode_line(first))
    for line in others:
        ids += _encode_line("\n" + line)
    return ids


def token_bytes(token: int) -> bytes:
    """What a token stands for; role tokens and unused ids are empty."""
    return _BYTES[token] if token < USED else b""


def decode(ids: Sequence[int]) -> str:
    """The text of some tokens."""
    return b"".join(map(token_bytes, ids)).decode("utf-8", "replace")


def role_token(message: ChatMessage) -> int:
    """The token that opens a turn."""
    try:
        return _ROLES[message.role]
    except KeyError:
        known = ", ".join(_ROLES)
        raise ExampleError(f"role {message.role!r} is unknown; use one of: {known}") from None


def encode_turn(message: ChatMessage) -> list[int]:
    """One turn: its role token, its text and, for an answer, the end token."""
    ids = [role_token(message), *encode(message.content)]
    return [*ids, END] if message.role == "assistant" else ids


def require_room(tokens: int) -> None:
    """Raise ExampleError when a chat does not fit the context."""
    if tokens > CONTEXT:
        raise beyond_context(tokens, CONTEXT)
