"""An answer that grows token by token, and how it ends."""

from collections.abc import Sequence
from typing import Literal

from rmft_api.local_server.engine import Prompt, SampledText, TokenLogprob
from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.thoughts import Thoughts
from rmft_api.local_server.token_stream import TokenStream

UNFINISHED = "\ufffd"
"""What bytes decode to that are not yet a whole character."""


class Spelling:
    """The text of each token; a character of several tokens comes with its last one.

    A token's text depends on the one before it (some tokenizers write a space between), so each is
    decoded with what was settled last and only the growth is sent.
    """

    def __init__(self, chats: ChatTokenizer) -> None:
        self._chats = chats
        self._tokens: list[int] = []
        self._begin = 0
        self.settled = 0
        """Pieces that will not change."""
        self.pieces: list[str] = []

    def add(self, token: int) -> None:
        """Take the next token."""
        self._tokens.append(token)
        self.pieces.append("")
        growth = self._growth()
        if not growth.endswith(UNFINISHED):
            self.pieces[-1] = growth
            self._begin, self.settled = self.settled, len(self._tokens)

    def finish(self) -> None:
        """No token comes after the last."""
        if self.settled < len(self._tokens):
            self.pieces[-1] = self._growth()
            self.settled = len(self._tokens)

    def _growth(self) -> str:
        before = self._chats.text(self._tokens[self._begin : self.settled])
        return self._chats.text(self._tokens[self._begin :])[len(before) :]


class SampledAnswer:
    """What was sampled so far; `reason` is None until it ends."""

    def __init__(self, prompt: Prompt, prompt_tokens: int, chats: ChatTokenizer) -> None:
        self._prompt = prompt
        self._prompt_tokens = prompt_tokens
        self._ends = chats.ends
        self._room = min(prompt.max_tokens, chats.context - prompt_tokens)
        self._spelling = Spelling(chats)
        self._logprobs: list[TokenLogprob] = []
        self._stream = TokenStream(prompt)
        self._thoughts = Thoughts(chats)
        self._sampled = 0
        self.reason: Literal["stop", "length"] | None = None

    @property
    def rivals(self) -> int | None:
        """How many other tokens' odds are wanted beside each; None: no odds at all."""
        return self._prompt.top_logprobs

    def add(self, token: int, logprob: TokenLogprob | None) -> None:
        """Take the next token, and send what is sure by now."""
        if token in self._ends or self._prompt.is_gone():
            self.reason = "stop"
        else:
            self._grow(token, logprob)
        if self.reason is None:
            spelt = self._spelling
            self._stream.grown(spelt.pieces[: spelt.settled], self._logprobs)
        else:
            self._spelling.finish()
            self._stream.ended(self._kept(), self._logprobs)

    def _grow(self, token: int, logprob: TokenLogprob | None) -> None:
        self._sampled += 1
        if self._sampled >= self._room:
            self.reason = "length"
        if self._thoughts.swallow(token):
            return
        self._spelling.add(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        if self._prompt.stop and self._has_stop():
            self.reason = "stop"

    def _has_stop(self) -> bool:
        text = "".join(self._spelling.pieces)
        return any(stop in text for stop in self._prompt.stop)

    def _kept(self) -> tuple[str, ...]:
        return cut(self._spelling.pieces, self._prompt.stop)

    def completion(self) -> SampledText:
        """The finished answer."""
        pieces = self._kept()
        wanted = self._prompt.top_logprobs is not None
        return SampledText(
            pieces=pieces,
            finish_reason=self.reason or "length",
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._sampled,
            logprobs=tuple(self._logprobs[: len(pieces)]) if wanted else None,
        )


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
