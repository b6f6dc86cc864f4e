"""What a provider's prompt cache would answer: a beginning that a prompt shares with earlier ones.

Providers cache whole pieces of a prompt from its first token on. Beginnings are met here in steps
of characters and then counted in tokens, so a count is at most a step's tokens too low.
"""

import zlib
from collections.abc import Sequence

from rmft_api.core.records import Message
from rmft_api.datasets.tokens import TokenCounter

STEP = 64
"""Characters that beginnings are compared by."""
PIECE = 128
"""Tokens of a cached piece, as OpenAI documents it."""


class PromptCache:
    """The prompts that were sent. `from_tokens`: shorter ones are not cached; None: no cache."""

    def __init__(self, counter: TokenCounter, from_tokens: int | None) -> None:
        self._counter = counter
        self._from = from_tokens
        self._known: set[tuple[int, int]] = set()

    def cached(self, messages: Sequence[Message], prompt: int) -> int:
        """Tokens that an earlier prompt began with too; this one, of `prompt` tokens, is kept."""
        if self._from is None or prompt < self._from:
            return 0
        text = "\n".join(f"{message.role}\n{message.content}" for message in messages).encode()
        rest = text[self._meet(text) :].decode("utf-8", "ignore")
        tokens = prompt - self._counter.text(rest)
        pieces = tokens // PIECE * PIECE
        return pieces if pieces >= self._from else 0

    def _meet(self, text: bytes) -> int:
        """Bytes of the longest beginning that is known; every beginning is known from now on."""
        shared, hash_ = 0, 0
        for end in range(STEP, len(text) + 1, STEP):
            hash_ = zlib.crc32(text[end - STEP : end], hash_)
            if (end, hash_) not in self._known:
                self._known.add((end, hash_))
            elif shared == end - STEP:
                shared = end
        return shared
