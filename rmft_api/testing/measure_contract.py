"""What every measure of one's own keeps, as tests that a user's own inherits.

    class TestMine(MeasureContract):
        measure = "mine:measure"

Run it with pytest; this module itself needs nothing but the package.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rmft_api.selection import own_measures, regret
from rmft_api.selection.regret import UNREAD, PlayArrays

NOT_STEADY = "two looks at one play gave {first} and {again}; a measure depends on the play alone"
CHANGED = "the measure changed the play that it looked at; copy what you change"


class MeasureContract:
    """Inherit, name the `measure`, and run pytest."""

    measure: str = ""
    """`module:function`, from a play to a number, or to None where it has no meaning."""
    folder: Path | None = None
    """Where its module lies; absent: the working folder."""

    def test_every_play_has_a_finite_number_or_none(self) -> None:
        """Any K and T, rewards of any size, and plays of which nothing could be read."""
        for play in _plays():
            self._measured(play)

    def test_a_figure_depends_on_its_play_alone(self) -> None:
        """A report that is made again shows the same figures."""
        first = [self._measured(play) for play in _plays()]
        again = [self._measured(play) for play in reversed(list(_plays()))][::-1]
        assert np.array_equal(first, again, equal_nan=True), NOT_STEADY.format(
            first=first, again=again
        )

    def test_the_play_is_left_as_it_was(self) -> None:
        """Other measures look at it too."""
        found = own_measures.load([self.measure], self.folder)[self.measure]
        for play, kept in zip(_plays(), _plays(), strict=True):
            found(play)
            assert all(map(np.array_equal, play, kept)), CHANGED

    def _measured(self, play: PlayArrays) -> float:
        own = own_measures.load([self.measure], self.folder)
        return float(own_measures.of_plays(own, [[play]])[self.measure][0])


def _plays() -> Iterator[PlayArrays]:
    for seed, (T, K, scale) in enumerate(((1, 2, 1.0), (6, 3, 1.0), (25, 5, 1.0), (8, 2, -300.0))):
        rng = np.random.default_rng(seed)
        rewards_TK = scale * rng.random((T, K))
        actions_T = rng.integers(K, size=T)
        policies_TK = regret.one_hot(actions_T, K)
        yield PlayArrays(rewards_TK, rewards_TK.copy(), actions_T, policies_TK)
        yield PlayArrays(rewards_TK, rewards_TK.copy(), np.full(T, UNREAD), policies_TK)
