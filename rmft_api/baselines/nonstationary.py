"""Bandits that forget: sliding window, discount, discounted Thompson.

`switches` of a scenario's facts tunes window and discount: these algorithms know how often the
best action changes.
"""

import numpy as np

from rmft_api.baselines.bandits import Counting, GaussianThompson
from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.selection.regret import Floats, Ints

XI = 0.6


class SlidingWindowUCB(Counting):
    """UCB over the last tau = 2 sqrt(T ln T / S) rounds: mean + sqrt(xi log min(t, tau) / n)."""

    def __init__(self, table: GameInfo) -> None:
        super().__init__(table)
        log_T = np.log(max(table.T, 2))
        tau_N = 2.0 * np.sqrt(table.T * log_T / table.switches_N)
        self._tau_N = np.ceil(tau_N).astype(np.int64)
        self._actions_TN = np.zeros((table.T, table.N), dtype=np.int64)
        self._earned_TN = np.zeros((table.T, table.N))

    def choose(self, t: int) -> Ints:
        """The largest bound of what is remembered; anything forgotten is tried again."""
        log_N1 = np.log(np.minimum(t + 1, self._tau_N))[:, None]
        width_NK = np.sqrt(XI * log_N1 / np.maximum(self.counts_NK, 1.0))
        return (self.means_NK + width_NK).argmax(axis=1)

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Remember this round, forget the one that left the window."""
        super().learn(t, actions_N, earned_N)
        self._actions_TN[t], self._earned_TN[t] = actions_N, earned_N
        rows = self._rows_N[self._tau_N <= t]
        left = t - self._tau_N[rows]
        place = (rows, self._actions_TN[left, rows])
        self.counts_NK[place] -= 1.0
        self.sums_NK[place] -= self._earned_TN[left, rows]


class DiscountedUCB(Counting):
    """UCB with gamma = 1 - sqrt(S / T) / 4: mean + 2 sqrt(xi log(sum n) / n), all discounted."""

    def __init__(self, table: GameInfo) -> None:
        super().__init__(table)
        self._gamma_N1 = (1.0 - np.sqrt(table.switches_N / table.T) / 4.0)[:, None]

    def choose(self, t: int) -> Ints:
        """The largest bound."""
        total_N1 = np.maximum(self.counts_NK.sum(axis=1, keepdims=True), 1.0)
        tried_NK = np.where(self.counts_NK > 0, self.counts_NK, 1.0)
        return (self.means_NK + 2.0 * np.sqrt(XI * np.log(total_N1) / tried_NK)).argmax(axis=1)

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Let all fade, then one more try."""
        for memory_NK in (self.counts_NK, self.sums_NK):
            np.multiply(memory_NK, self._gamma_N1, out=memory_NK)
        super().learn(t, actions_N, earned_N)


class DiscountedBetaThompson(Algorithm):
    """Beta(1 + wins, 1 + losses), both discounted every round."""

    def __init__(self, table: GameInfo, discount: float) -> None:
        self._chance, self._discount = table.chance, discount
        self._wins_NK, self._losses_NK = np.zeros((2, table.N, table.K))
        self._rows_N = np.arange(table.N)

    def choose(self, t: int) -> Ints:
        """The best of one draw of each belief."""
        return self._chance.beta(t, self._wins_NK + 1.0, self._losses_NK + 1.0).argmax(axis=1)

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Let all fade, then count a win or a loss."""
        self._wins_NK *= self._discount
        self._losses_NK *= self._discount
        self._wins_NK[self._rows_N, actions_N] += earned_N
        self._losses_NK[self._rows_N, actions_N] += 1.0 - earned_N


def discounted_thompson(
    table: GameInfo, discount: float = 0.95
) -> DiscountedBetaThompson | GaussianThompson:
    """Discounted Beta for coins, discounted Gaussian for anything else."""
    if table.binary:
        return DiscountedBetaThompson(table, discount)
    return GaussianThompson(table, discount)
