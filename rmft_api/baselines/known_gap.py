"""Bandits of 0 and 1 with one best action, whose two chances of reward are known.

Before play each action is as likely the best as any other, so a belief is K numbers, and to choose
the action that is most likely the best is optimal for every horizon: Feldman (Ann. Math. Stat.
33:847, 1962) for two actions, Rodman (Ann. Prob. 6:491, 1978) for more.
"""

import math

import numpy as np

from rmft_api.baselines.bandits import Counting
from rmft_api.baselines.game import GameInfo
from rmft_api.environments.bandit import Bandit
from rmft_api.environments.registry import ConcreteProblem
from rmft_api.selection.regret import Ints

SMALLEST = 1e-9
"""A chance of 0 or 1 is taken this far from it, so that logarithms are finite."""


class LikeliestBest(Counting):
    """The action that is most likely the best one; the lowest of equals.

    By logarithms: a reward of 1 says log(best / low) for its action, one of 0 says
    log((1 - best) / (1 - low)).
    """

    def __init__(self, table: GameInfo, best: float, low: float) -> None:
        super().__init__(table)
        best, low = (min(max(p, SMALLEST), 1 - SMALLEST) for p in (best, low))
        self._one = math.log(best / low)
        self._zero = math.log((1 - best) / (1 - low))

    def choose(self, t: int) -> Ints:
        """The largest sum of logarithms."""
        zeros_NK = self.counts_NK - self.sums_NK
        said_NK = self._one * self.sums_NK + self._zero * zeros_NK
        return np.round(said_NK, 9).argmax(axis=1)


def chances(problem: ConcreteProblem) -> tuple[float, float] | None:
    """The best action's chance of reward and that of all others; None where they are not such."""
    if problem.environment != "bandit":
        return None
    bandit = Bandit(K=problem.K, T=problem.T, **problem.options)
    return bandit.two_means if bandit.reward == "bernoulli" else None
