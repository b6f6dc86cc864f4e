"""The built-in models and how they count tokens, for plans: no weights, no torch are loaded."""

import re
from collections.abc import Callable, Iterable

from rmft_api.core import scripted_players
from rmft_api.datasets.tokens import TokenCounter, TokenizedMessage

NUMERIC = (
    "rmft-linear-attention",
    "rmft-linear-attention-2",
    "rmft-linear-attention-3",
    "rmft-linear-attention-worst",
    "rmft-matrix-attention",
    "rmft-matrix-attention-2",
    "rmft-matrix-attention-3",
    "rmft-matrix-attention-4",
    "rmft-matrix-attention-5",
    "rmft-transformer",
)
BASES = ("rmft-tiny", *NUMERIC, *scripted_players.BASES)
"""The models that a server has by itself."""
_NUMBER = re.compile(r"-?[0-9]+(?:[.][0-9]+)?(?:[eE][-+]?[0-9]+)?")


class _OwnCounter(TokenCounter):
    """A vocabulary with frames of its own around the turns of a chat."""

    def __init__(
        self, basis: str, count: Callable[[str], int], *, turn: int, end: int, opening: int
    ) -> None:
        super().__init__(basis, 0.0, count)
        self._turn, self._end, self._opening = turn, end, opening

    def chat(self, messages: Iterable[TokenizedMessage]) -> int:
        """Tokens of a chat; one that does not end with an answer opens one."""
        said = list(messages)
        answers = sum(message.role == "assistant" for message in said)
        opens = not said or said[-1].role != "assistant"
        texts = sum(self.text(message.content) for message in said)
        return texts + self._turn * len(said) + self._end * answers + self._opening * opens


def counter_of(base: str) -> TokenCounter | None:
    """The counter of a model that this server brings; None for any other."""
    if base == "rmft-tiny":
        from rmft_api.local_server.tiny import tokenizer

        def pieces(text: str) -> int:
            return len(tokenizer.encode(text))

        return _OwnCounter("the model's own vocabulary", pieces, turn=1, end=1, opening=1)
    if base in NUMERIC:
        return _OwnCounter("the numbers shown", _numbers, turn=0, end=0, opening=0)
    if base in scripted_players.BASES:
        return _OwnCounter("words", lambda text: len(text.split()), turn=0, end=0, opening=0)
    return None


def _numbers(text: str) -> int:
    """A token is a number: K, each reward, each probability."""
    return len(_NUMBER.findall(text))
