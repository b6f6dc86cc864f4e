"""Pieces of an answer, sent while it grows: each once, and none that a stop text could swallow."""

from collections.abc import Sequence

from rmft_api.local_server.engine import AnswerToken, Prompt, TokenLogprob


class TokenStream:
    """What the listener of one prompt has received; without a listener nothing is done."""

    def __init__(self, prompt: Prompt) -> None:
        self._listener = prompt.listener
        self._stops = prompt.stop
        self._sent = 0

    def grown(self, pieces: Sequence[str], logprobs: Sequence[TokenLogprob]) -> None:
        """Send the pieces that are sure, of those that will not change any more."""
        if self._listener is not None:
            self.ended(pieces[: sure(pieces, self._stops)], logprobs)

    def ended(self, pieces: Sequence[str], logprobs: Sequence[TokenLogprob]) -> None:
        """Send all that was not sent yet."""
        if self._listener is None:
            return
        for place in range(self._sent, len(pieces)):
            logprob = logprobs[place] if place < len(logprobs) else None
            self._listener(place, AnswerToken(pieces[place], logprob))
        self._sent = max(self._sent, len(pieces))


def sure(pieces: Sequence[str], stops: Sequence[str]) -> int:
    """How many of the pieces end before anything that could be the beginning of a stop text."""
    text = "".join(pieces)
    doubtful = max((_partial_stop(text, stop) for stop in stops), default=0)
    count = len(pieces)
    while count and (doubtful > 0 or not pieces[count - 1]):  # half a character waits for its end
        count -= 1
        doubtful -= len(pieces[count])
    return count


def _partial_stop(text: str, stop: str) -> int:
    """Characters at the text's end that are the stop's first ones."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
