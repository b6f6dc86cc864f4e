"""GLR-klUCB: kl-UCB that starts again when a test says that an action has changed.

Besson, Kaufmann, Maillard, Seznec, "Efficient change-point detection for tackling
piecewise-stationary bandits" (JMLR 23, 2022), with global restarts.
"""

import numpy as np

from rmft_api.baselines.bandits import Counting, kl_bound
from rmft_api.baselines.game import GameInfo
from rmft_api.selection.regret import Floats, Ints

EXPLORATION = 0.1
"""The scale alpha_0 of forced exploration, as in the authors' library SMPyBandits."""


class GLRKLUCB(Counting):
    """kl-UCB since the last restart, with a forced round-robin in a share alpha of the rounds.

    After k - 1 restarts alpha = alpha_0 sqrt(k K log T / T). All actions are forgotten when, for a
    cut s of the n rewards of the chosen one, s kl(mean before, mean) + (n - s) kl(mean after, mean)
    is at least log(3 n^(3/2) / delta), delta = 1 / sqrt(T).
    """

    def __init__(self, table: GameInfo, exploration: float = EXPLORATION) -> None:
        super().__init__(table)
        self._T, self._K = table.T, table.K
        self._exploration = exploration
        self._since_N = np.zeros(table.N)
        self._episodes_N = np.ones(table.N)
        self._prefix_NKT = np.zeros((table.N, table.K, table.T))

    def choose(self, t: int) -> Ints:
        """The forced one, or the largest bound; an action never tried since has no bound."""
        means_NK = self.means_NK.clip(0.0, 1.0)
        reach_NK = np.log(np.maximum(self._since_N, 1.0))[:, None] / np.maximum(self.counts_NK, 1.0)
        bounds_NK = kl_bound(means_NK, reach_NK)
        bounds_NK[self.counts_NK == 0] = np.inf
        forced_N = t % self._period_N
        return np.where(forced_N < self._K, forced_N, bounds_NK.argmax(axis=1)).astype(np.int64)

    @property
    def _period_N(self) -> Floats:
        """Rounds from one forced round-robin to the next."""
        share_N = np.sqrt(self._episodes_N * self._K * np.log(max(self._T, 2)) / self._T)
        return np.floor(self._K / np.minimum(self._exploration * share_N, 1.0))

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """One more try, and the test of the chosen action."""
        super().learn(t, actions_N, earned_N.clip(0.0, 1.0))
        self._since_N += 1.0
        place = (self._rows_N, actions_N)
        counts_N: Floats = self.counts_NK[place]
        self._prefix_NKT[(*place, counts_N.astype(np.int64) - 1)] = self.sums_NK[place]
        longest = int(counts_N.max())
        statistic_N = likelihood_ratio(self._prefix_NKT[place][:, :longest], counts_N)
        bound_N = np.log(3.0 * counts_N**1.5 * np.sqrt(self._T))
        changed_N = (counts_N > 1.0) & (statistic_N >= bound_N)
        for memory in (self.counts_NK, self.sums_NK, self._since_N):
            memory[changed_N] = 0.0
        self._episodes_N[changed_N] += 1.0


def likelihood_ratio(prefix_NT: Floats, counts_N: Floats) -> Floats:
    """The largest s kl(before, all) + (n - s) kl(after, all) over cuts s; `prefix` sums rewards."""
    cuts_T = np.arange(1.0, prefix_NT.shape[1] + 1.0)
    left_NT = counts_N[:, None] - cuts_T
    total_N1 = np.take_along_axis(prefix_NT, counts_N.astype(np.int64)[:, None] - 1, axis=1)
    mean_N1 = total_N1 / counts_N[:, None]
    before_NT = prefix_NT / cuts_T
    after_NT = (total_N1 - prefix_NT) / np.maximum(left_NT, 1.0)
    apart_NT = cuts_T * _kl(before_NT, mean_N1) + left_NT * _kl(after_NT, mean_N1)
    return np.where(left_NT > 0.0, apart_NT, 0.0).max(axis=1)


def _kl(p: Floats, q: Floats) -> Floats:
    """Relative entropy of coins; 0 where q is 0 or 1, for then p is as well."""
    p, q = p.clip(1e-12, 1.0 - 1e-12), q.clip(1e-12, 1.0 - 1e-12)
    return p * np.log(p / q) + (1.0 - p) * np.log((1.0 - p) / (1.0 - q))
