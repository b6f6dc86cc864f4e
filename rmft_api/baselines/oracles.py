"""Plays by one who knows the tables: references for a chart, never competitors."""

from collections.abc import Sequence

import numpy as np

from rmft_api.baselines.game import Algorithm
from rmft_api.environments.scenario import Scenario
from rmft_api.selection.regret import Ints


class BestFixed(Algorithm):
    """The action that is best to keep: by rewards where static regret ranks, else by means."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        judged = [s.rewards if s.regret == "static" else s.means for s in scenarios]
        self._actions_N = np.stack([table.sum(axis=0) for table in judged]).argmax(axis=1)

    def choose(self, t: int) -> Ints:
        """The same in every round."""
        return self._actions_N


class BestDynamic(Algorithm):
    """The action with the best mean of each round."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self._actions_TN = np.stack([s.means.argmax(axis=1) for s in scenarios], axis=1)

    def choose(self, t: int) -> Ints:
        """The best of this round."""
        return self._actions_TN[t]
