"""Answers that are so far alike are continued once: a tree whose leaves are the batch's slots.

Decision problems are asked in few different prompts, and answers begin alike ("<Answer>"), so a
batch of many rows has few different texts to continue. Each row still draws by its own number.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Growth(NamedTuple):
    """What the next step is fed."""

    sources: list[int] | None
    """For each slot of the next step, the slot that it continues; None: all stay as they are."""
    tokens: list[int]
    """One a slot."""


class Branches:
    """The slot that each row under way reads."""

    def __init__(self, slots: Sequence[int]) -> None:
        self.slots = list(slots)
        """By row, those that ended left out."""
        self._count = max(slots, default=-1) + 1

    def grow(self, going: Sequence[int], tokens: Sequence[int]) -> Growth:
        """Continue with some of the rows, by their places, each with its next token."""
        leaves: dict[tuple[int, int], int] = {}
        slots = [
            leaves.setdefault((self.slots[place], token), len(leaves))
            for place, token in zip(going, tokens, strict=True)
        ]
        sources = [source for source, _ in leaves]
        if len(set(sources)) == len(sources) and 4 * len(sources) > 3 * self._count:
            fed = [0] * self._count  # a slot that nobody reads is cheaper than a copy of the rest
            for source, token in leaves:
                fed[source] = token
            self.slots = [sources[slot] for slot in slots]
            return Growth(None, fed)
        self.slots, self._count = slots, len(sources)
        return Growth(sources, [token for _, token in leaves])
