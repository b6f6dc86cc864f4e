"""Online learning with all rewards told: Hedge, FTRL with an L2 regulariser, FTPL."""

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


class FTRL(Summing):
    """The point of the simplex nearest to sum R / sqrt(t)."""

    def mix(self, t: int) -> Floats:
        """The projection."""
        return project(self.sums_NK / np.sqrt(t + 1))


class FTPL(Summing):
    """argmax(sum R + noise), exponential noise of scale 1 / eta_t, drawn anew every round.

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
