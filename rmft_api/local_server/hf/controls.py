"""Control tokens of a checkpoint, which the text of a message never is.

A tokenizer takes `<|im_start|>` for the token that opens a turn wherever it stands, so anyone who
writes it in a message (a player, an environment, a line of a training file) could write turns of
others. Here such a word is hidden from template and tokenizer behind a mark, and spelt from the
tokens of ordinary text in its place.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

THOUGHTS = ("<think>", "</think>")
"""Written by checkpoints that think into their own answers: no control token there."""
_MARK = "\U000f0000"
"""Begins a hidden word; from planes that are for private use, so no template cuts it."""
_FIRST = 0xF0001
_JOINER = "\u2060"
"""Has no width: parts a word that goes to a server which tokenizes by itself."""


class Controls:
    """The control tokens of one tokenizer: its special ones, and those its template writes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added: dict[int, Any] = tokenizer.added_tokens_decoder
        template = str(tokenizer.chat_template)
        words = {
            token.content for token in added.values() if token.special or token.content in template
        }
        words = {word for word in words if word.strip()}
        self._words = [_MARK, *sorted(words, key=lambda word: (-len(word), word))]
        self._places = {word: place for place, word in enumerate(self._words)}
        self._ids = {number for number, token in added.items() if token.content in words}
        self._any = _any_of(self._words)
        self._any_but_thoughts = _any_of([one for one in self._words if one not in THOUGHTS])
        self._hidden = re.compile(f"{_MARK}(.)", re.DOTALL)
        self._opening = next(
            (t.content for t in added.values() if t.special and not (t.rstrip or t.lstrip)), ""
        )

    def hide(self, role: str, text: str) -> str:
        """The text of a message, as the template is given it."""
        return self._replaced(role, text, lambda word: _MARK + chr(_FIRST + self._places[word]))

    def part(self, role: str, text: str) -> str:
        """The text of a message, for a server that applies template and tokenizer by itself."""
        return self._replaced(role, text, lambda word: word[:1] + _JOINER + word[1:])

    def _replaced(self, role: str, text: str, change: Callable[[str], str]) -> str:
        words = self._any_but_thoughts if role == "assistant" else self._any
        return words.sub(lambda found: change(found[0]), text)

    def tokens(self, text: str, encode: Callable[[str], Sequence[int]]) -> list[int]:
        """Of a written chat. `encode` is the tokenizer's, without tokens of its own."""
        if _MARK not in text:
            return list(encode(text))
        ids: list[int] = []
        for place, part in enumerate(self._hidden.split(text)):
            if place % 2:
                ids += self._spelt(self._words[ord(part) - _FIRST], encode)
            elif part:
                ids += self._inside(part, encode) if place else encode(part)
        return ids

    def _spelt(self, word: str, encode: Callable[[str], Sequence[int]]) -> list[int]:
        """A word from the tokens of its parts: no part is a control token."""
        ids = self._inside(word[:1], encode)
        rest = self._inside(word[1:], encode) if len(word) > 1 else []
        if len(word) > 2 and not self._ids.isdisjoint(rest):
            rest = self._spelt(word[1:], encode)
        return ids + rest

    def _inside(self, part: str, encode: Callable[[str], Sequence[int]]) -> list[int]:
        """Text that does not begin the chat: some tokenizers write a space before what does."""
        opening = list(encode(self._opening)) if self._opening else []
        if len(opening) != 1:
            return list(encode(part))
        ids = list(encode(self._opening + part))
        return ids[1:] if ids[:1] == opening else list(encode(part))


def _any_of(words: Sequence[str]) -> re.Pattern[str]:
    """Longer words come first, so that none is taken for its own beginning."""
    return re.compile("|".join(map(re.escape, words)))
