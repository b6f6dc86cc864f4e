"""Online learning with all rewards shown: Hedge, AdaHedge, optimistic Hedge, FTRL, FTPL.

AdaHedge: de Rooij, van Erven, Grunwald, Koolen, "Follow the leader if you can, hedge if you must"
(JMLR 15, 2014). Optimistic Hedge: Rakhlin, Sridharan, "Online learning with predictable sequences"
(COLT 2013), which expects that a round is like the one before.
"""

import numpy as np

from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.selection.regret import Floats, Ints


class Summing(Algorithm):
    """The sum of all rewards so far: what these algorithms remember."""

    def __init__(self, table: GameInfo) -> None:
        self.sums_NK = np.zeros((table.N, table.K))

    def learn_all(self, t: int, faced_NK: Floats) -> None:
        """Add this round's."""
        self.sums_NK += faced_NK

    @property
    def behind_NK(self) -> Floats:
        """How far each action is behind the leader: 0 or less."""
        return self.sums_NK - self.sums_NK.max(axis=1, keepdims=True)


class Hedge(Summing):
    """p ~ exp(eta_t sum R), eta_t = sqrt(4 ln K / t): needs no horizon."""

    def mix(self, t: int) -> Floats:
        """The exponential weights."""
        weights_NK = np.exp(step(self.sums_NK.shape[1], t) * self.behind_NK)
        return weights_NK / weights_NK.sum(axis=1, keepdims=True)


class AdaHedge(Summing):
    """p ~ exp(eta_t sum R) with eta_t = ln K / (all mixability gaps so far); needs no scale.

    While no gap has opened it follows the leaders, all alike.
    """

    def __init__(self, table: GameInfo) -> None:
        super().__init__(table)
        self._gaps_N1 = np.zeros((table.N, 1))
        self._policies_NK = self.sums_NK

    def mix(self, t: int) -> Floats:
        """The exponential weights."""
        self._policies_NK, _ = self._mixed()
        return self._policies_NK

    def learn_all(self, t: int, faced_NK: Floats) -> None:
        """Add this round's, and the gap between the mix that was expected and that was earned."""
        eta_N1 = self._eta_N1
        _, before_N1 = self._mixed()
        earned_N1 = (self._policies_NK * faced_NK).sum(axis=1, keepdims=True)
        super().learn_all(t, faced_NK)
        _, after_N1 = self._mixed(eta_N1)
        self._gaps_N1 += np.maximum(after_N1 - before_N1 - earned_N1, 0.0)

    @property
    def _eta_N1(self) -> Floats:
        """The step; infinite while there is no gap."""
        gaps_N1 = self._gaps_N1
        open_N1 = gaps_N1 > 0.0
        return np.where(
            open_N1, np.log(self.sums_NK.shape[1]) / np.where(open_N1, gaps_N1, 1), np.inf
        )

    def _mixed(self, eta_N1: Floats | None = None) -> tuple[Floats, Floats]:
        """The weights, and the mix reward ln(mean of exp(eta sum R)) / eta."""
        eta_N1 = self._eta_N1 if eta_N1 is None else eta_N1
        finite_N1 = np.isfinite(eta_N1)
        some_N1 = np.where(finite_N1, eta_N1, 1.0)
        behind_NK = self.behind_NK
        weights_NK = np.where(finite_N1, np.exp(some_N1 * behind_NK), behind_NK == 0.0)
        sums_N1 = weights_NK.sum(axis=1, keepdims=True)
        mean_N1 = np.log(sums_N1 / behind_NK.shape[1]) / some_N1
        most_N1 = self.sums_NK.max(axis=1, keepdims=True)
        return weights_NK / sums_N1, most_N1 + np.where(finite_N1, mean_N1, 0.0)


class OptimisticHedge(Summing):
    """p ~ exp(eta_t (sum R + the last R)): the last rewards are expected to come again.

    With V_t the sum of max_a (R_s(a) - R_{s-1}(a))^2 up to round t, eta_t =
    sqrt(ln K) min(1, 1 / (sqrt(V_{t-1}) + sqrt(V_{t-2}))).
    """

    def __init__(self, table: GameInfo) -> None:
        super().__init__(table)
        self._last_NK = np.zeros((table.N, table.K))
        self._moved_N1, self._moved_before_N1 = np.zeros((2, table.N, 1))

    def mix(self, t: int) -> Floats:
        """The exponential weights."""
        roots_N1 = np.sqrt(self._moved_N1) + np.sqrt(self._moved_before_N1)
        K = self.sums_NK.shape[1]
        eta_N1 = np.sqrt(np.log(K)) / np.maximum(roots_N1, 1.0)
        expected_NK = self.sums_NK + self._last_NK
        behind_NK = expected_NK - expected_NK.max(axis=1, keepdims=True)
        weights_NK = np.exp(eta_N1 * behind_NK)
        return weights_NK / weights_NK.sum(axis=1, keepdims=True)

    def learn_all(self, t: int, faced_NK: Floats) -> None:
        """Add this round's, and how far it was from the one before."""
        super().learn_all(t, faced_NK)
        self._moved_before_N1 = self._moved_N1
        missed_NK = faced_NK - self._last_NK
        self._moved_N1 = self._moved_N1 + (missed_NK**2).max(axis=1, keepdims=True)
        self._last_NK = faced_NK.copy()


class FTRL(Summing):
    """The point of the simplex nearest to sum R / sqrt(t)."""

    def mix(self, t: int) -> Floats:
        """The projection."""
        return project(self.sums_NK / np.sqrt(t + 1))


class FTPL(Summing):
    """argmax(sum R + noise), exponential noise of scale 1 / eta_t, drawn again every round.

    Its distribution is known in closed form, so it is acted from and reported as a policy.
    """

    def mix(self, t: int) -> Floats:
        """Each action's chance to lead."""
        K = self.sums_NK.shape[1]
        return leading(np.exp(step(K, t) * self.behind_NK))


def step(K: int, t: int) -> float:
    """Return eta for round t (from 0)."""
    return float(np.sqrt(4.0 * np.log(K) / (t + 1)))


def project(points_NK: Floats) -> Floats:
    """Euclidean projection on the probability simplex, row by row."""
    ranks_K = np.arange(1, len(points_NK[0]) + 1)
    sorted_NK: Floats = -np.sort(-points_NK, axis=1)
    excess_NK = (sorted_NK.cumsum(axis=1) - 1.0) / ranks_K
    support_N1: Ints = (sorted_NK > excess_NK).sum(axis=1, keepdims=True)
    cut_N1: Floats = np.take_along_axis(excess_NK, support_N1 - 1, axis=1)
    return np.maximum(points_NK - cut_N1, 0.0)


def leading(c_NK: Floats) -> Floats:
    """P(action i leads) where c = exp(eta (sum R - max sum R)) and the noise is exponential.

    With u = exp(-eta (value - max sum R)) it is the integral over u in (0, 1) of
    c_i prod_{j != i} (1 - c_j u): a polynomial of degree K - 1, for which Gauss-Legendre nodes are
    exact.
    """
    nodes, weights = np.polynomial.legendre.leggauss((c_NK.shape[1] + 1) // 2)
    chances_NK = np.zeros_like(c_NK)
    for node, weight in zip((nodes + 1.0) / 2.0, weights / 2.0, strict=True):
        below_NK = 1.0 - c_NK * node
        chances_NK += weight * c_NK * below_NK.prod(axis=1, keepdims=True) / below_NK
    return chances_NK / chances_NK.sum(axis=1, keepdims=True)
