"""What every algorithm of one's own keeps, as tests that a user's own inherits.

    class TestMine(AlgorithmContract):
        algorithm = "mine:Mine"

Run it with pytest; this module itself needs nothing but the package.
"""

from pathlib import Path

import numpy as np

from rmft_api import baselines, environments
from rmft_api.environments import Scenario
from rmft_api.selection.regret import PlayArrays

NOT_REPRODUCIBLE = "two plays of one address differ; take all chance from `known.chance`"
COMPANY = "a play depends on what is played beside it; keep the N trajectories apart"
PEEKS = "an action depends on rewards that were not shown before it"


class AlgorithmContract:
    """Inherit, name the `algorithm`, and run pytest."""

    algorithm: str = ""
    """`module:Class`."""
    folder: Path | None = None
    """Where its module lies; absent: the working folder."""
    problem: tuple[str, int, int] = ("contextual", 3, 20)
    """Environment, K and T of the scenarios it plays; contextual ones show features too."""

    def test_every_answer_can_be_played(self) -> None:
        """Actions are whole numbers below K, distributions sum to 1."""
        for play, scenario in zip(self._played(self._drawn(6)), self._drawn(6), strict=True):
            assert play.actions_T.shape == (scenario.T,)
            assert np.allclose(play.policies_TK.sum(axis=1), 1.0)

    def test_one_address_gives_one_play(self) -> None:
        """A report that is made again shows the same figures."""
        assert _same(self._played(self._drawn(4)), self._played(self._drawn(4))), NOT_REPRODUCIBLE

    def test_a_play_does_not_depend_on_its_company(self) -> None:
        """N trajectories are played at once, and none may know of another."""
        alone, together = self._played(self._drawn(2)), self._played(self._drawn(6))
        assert _same(alone, together[:2]), COMPANY

    def test_nothing_is_known_before_it_is_observed(self) -> None:
        """Other rewards in the last round change no action."""
        (scenario,) = self._drawn(1)
        changed = scenario.rewards.copy()
        changed[-1] = 1.0 - changed[-1]
        other = Scenario(
            changed, scenario.means, scenario.feedback, scenario.regret,
            contexts=scenario.contexts, features=scenario.features,
        )  # fmt: skip
        one, two = self._played([scenario])[0], self._played([other])[0]
        assert np.array_equal(one.actions_T, two.actions_T), PEEKS

    def _drawn(self, count: int) -> list[Scenario]:
        name, K, T = self.problem
        made = environments.make(name, K, T, {})
        return [made.draw(np.random.default_rng(i)) for i in range(count)]

    def _played(self, scenarios: list[Scenario]) -> list[PlayArrays]:
        return baselines.play(self.algorithm, scenarios, 1, folder=self.folder)


def _same(one: list[PlayArrays], other: list[PlayArrays]) -> bool:
    return all(np.array_equal(a.actions_T, b.actions_T) for a, b in zip(one, other, strict=True))
