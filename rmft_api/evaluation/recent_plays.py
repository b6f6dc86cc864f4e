"""Plays of known algorithms, kept for a while: one page asks for the same ones several times.

A table, its page and its figures, and the pages of several runs of one seed, have the same
algorithms on the same scenarios. Plays are found again by everything that they follow from, so
what is kept is never another's.
"""

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

from rmft_api.environments import Scenario
from rmft_api.selection.regret import PlayArrays

MOST_BYTES = 64_000_000


class RecentPlays:
    """The plays that were asked for last, up to `most` bytes of arrays."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[list[PlayArrays], int]] = OrderedDict()
        self._lock = Lock()

    def get(
        self,
        name: str,
        seed: int,
        scenarios: Sequence[Scenario],
        play: Callable[[], list[PlayArrays]],
    ) -> list[PlayArrays]:
        """What algorithm `name` plays of these scenarios; `play` is called where it is not kept."""
        try:
            key = hashlib.sha256(pickle.dumps((name, seed, list(scenarios)))).digest()
        except (pickle.PicklingError, TypeError, AttributeError):  # a world of somebody's own
            return play()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return list(self._kept[key][0])
        plays = play()
        with self._lock:
            self._keep(key, plays)
        return list(plays)

    def _keep(self, key: bytes, plays: list[PlayArrays]) -> None:
        self._kept[key] = (plays, _size(plays))
        while sum(size for _, size in self._kept.values()) > self._most:
            self._kept.popitem(last=False)


def _size(plays: Sequence[PlayArrays]) -> int:
    """The bytes that plays hold on to: all of what an array is a view of."""
    wholes = (one if one.base is None else one.base for play in plays for one in play)
    return sum(getattr(one, "nbytes", 0) for one in {id(one): one for one in wholes}.values())
