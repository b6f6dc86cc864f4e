"""An answer that grows token by token, and how it ends."""

from collections.abc import Sequence
from typing import Literal

from rmft_api.local_server.engine import Completion, Prompt, TokenLogprob
from rmft_api.local_server.hf.chats import Chats

UNFINISHED = "\ufffd"
"""What bytes decode to that are not yet a whole character."""


class Answer:
    """What was sampled so far; `reason` is None until it ends."""

    def __init__(self, prompt: Prompt, prompt_tokens: int, chats: Chats) -> None:
        self._prompt = prompt
        self._prompt_tokens = prompt_tokens
        self._chats = chats
        self._room = min(prompt.max_tokens, chats.context - prompt_tokens)
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self.reason: Literal["stop", "length"] | None = None

    def add(self, token: int, logprob: TokenLogprob | None) -> None:
        """Take the next token."""
        if token in self._chats.ends:
            self.reason = "stop"
            return
        self._tokens.append(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        if len(self._tokens) >= self._room:
            self.reason = "length"
        if self._prompt.stop and self._has_stop():
            self.reason = "stop"

    def _has_stop(self) -> bool:
        text = self._chats.text(self._tokens)
        return any(stop in text for stop in self._prompt.stop)

    def completion(self) -> Completion:
        """The finished answer."""
        pieces = cut(pieces_of(self._chats, self._tokens), self._prompt.stop)
        wanted = self._prompt.top_logprobs is not None
        return Completion(
            pieces=pieces,
            finish_reason=self.reason or "length",
            prompt_tokens=self._prompt_tokens,
            completion_tokens=len(self._tokens),
            logprobs=tuple(self._logprobs[: len(pieces)]) if wanted else None,
        )


def pieces_of(chats: Chats, tokens: Sequence[int]) -> tuple[str, ...]:
    """The text of each token; a character of several tokens comes with its last one.

    A token's text depends on the one before it (some tokenizers write a space between), so each is
    decoded with what was told last and only the growth is told.
    """
    pieces: list[str] = []
    told, shown = 0, 0
    for end in range(1, len(tokens) + 1):
        before = chats.text(tokens[told:shown])
        after = chats.text(tokens[told:end])
        if after.endswith(UNFINISHED) and end < len(tokens):
            pieces.append("")
            continue
        pieces.append(after[len(before) :])
        told, shown = shown, end
    return tuple(pieces)


def cut(pieces: Sequence[str], stops: Sequence[str]) -> tuple[str, ...]:
    """The pieces before the first stop text; those after it are dropped."""
    text = "".join(pieces)
    room = min((at for at in (text.find(stop) for stop in stops) if at >= 0), default=None)
    if room is None:
        return tuple(pieces)
    kept: list[str] = []
    for piece in pieces:
        if room <= 0:
            break
        kept.append(piece[:room])
        room -= len(kept[-1])
    return tuple(kept)
