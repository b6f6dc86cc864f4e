"""An answer that grows token by token."""

import codecs
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from torch import Tensor

from rmft_api.local_server.engine import Prompt, SampledText, TokenLogprob
from rmft_api.local_server.tiny import token_sampling, tokenizer
from rmft_api.local_server.token_stream import TokenStream


@lru_cache(maxsize=1 << 14)
def as_pieces(tokens: tuple[int, ...]) -> tuple[str, ...]:
    """The text of each token; bytes of one character come with its last byte."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = [decoder.decode(tokenizer.token_bytes(token)) for token in tokens]
    rest = decoder.decode(b"", final=True)
    return (*pieces[:-1], pieces[-1] + rest) if pieces else ()


def cut(pieces: Sequence[str], stops: Sequence[str]) -> tuple[str, ...]:
    """The pieces before the first stop text."""
    if not stops:
        return tuple(pieces)
    text = "".join(pieces)
    room = min((at for at in (text.find(stop) for stop in stops) if at >= 0), default=len(text))
    kept: list[str] = []
    for piece in pieces:
        kept.append(piece[:room])
        room -= len(kept[-1])
    return tuple(kept)


class TinyAnswer:
    """What was sampled so far; `reason` is None until it ends."""

    def __init__(self, prompt: Prompt, prompt_tokens: int) -> None:
        self._prompt = prompt
        self._prompt_tokens = prompt_tokens
        self._room = min(prompt.max_tokens, tokenizer.CONTEXT - prompt_tokens)
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._stream = TokenStream(prompt)
        self.reason: Literal["stop", "length"] | None = None

    def add(self, token: int, logits: Tensor, place: int) -> None:
        """Take the next token, drawn from row `place` of the logits [R, SIZE].

        Copies that only fill up a batch may add to an ended answer.
        """
        if self.reason is not None:
            return
        if self._prompt.is_gone():
            self.reason = "stop"
            return
        if token == tokenizer.END:
            self.reason = "stop"
        else:
            self._grow(token, logits, place)
        if self._prompt.listener is not None:
            self._send()

    def _send(self) -> None:
        pieces = as_pieces(tuple(self._tokens))
        if self.reason is not None:
            self._stream.ended(cut(pieces, self._prompt.stop), self._logprobs)
        elif pieces and not pieces[-1].endswith("\ufffd"):  # half a character is not sent
            self._stream.grown(pieces, self._logprobs)

    def _grow(self, token: int, logits: Tensor, place: int) -> None:
        self._tokens.append(token)
        if self._prompt.top_logprobs is not None:
            self._logprobs.append(
                token_sampling.logprob(logits[place], token, self._prompt.top_logprobs)
            )
        if len(self._tokens) >= self._room:
            self.reason = "length"
        if self._prompt.stop and self._has_stop():
            self.reason = "stop"

    def _has_stop(self) -> bool:
        text = tokenizer.decode(self._tokens)
        return any(stop in text for stop in self._prompt.stop)

    def completion(self) -> SampledText:
        """The finished answer."""
        wanted = self._prompt.top_logprobs is not None
        return SampledText(
            pieces=cut(as_pieces(tuple(self._tokens)), self._prompt.stop),
            finish_reason=self.reason or "length",
            prompt_tokens=self._prompt_tokens,
            completion_tokens=len(self._tokens),
            logprobs=tuple(self._logprobs) if wanted else None,
        )
