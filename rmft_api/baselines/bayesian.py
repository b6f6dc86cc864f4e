"""Bandits that act on a belief about every action: Bayes-UCB, information-directed sampling.

Bayes-UCB: Kaufmann, Cappe, Garivier, "On Bayesian upper confidence bounds for bandit problems"
(AISTATS 2012), with the exponent c = 0 of their experiments. Information-directed sampling: Russo,
Van Roy, "Learning to optimize via information-directed sampling" (Operations Research 66, 2018), in
its variance-based form. Beliefs are those of Thompson sampling: Beta(1, 1) for coins, Gaussian for
anything else.
"""

import functools
from statistics import NormalDist

import numpy as np

from rmft_api.baselines.bandits import BetaThompson, GaussianThompson
from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.selection.regret import Floats, Ints

POINTS = 128
"""Points of the grid on which beliefs are compared."""
REACH = 4.5
"""How many deviations of a Gaussian belief the grid reaches."""


class BetaBayesUCB(BetaThompson):
    """The quantile 1 - 1/t of each belief, t the round from 1."""

    def choose(self, t: int) -> Ints:
        """The largest quantile."""
        counts = (self._wins_NK.ravel(), self._losses_NK.ravel())
        pairs, places = np.unique(np.stack(counts), axis=1, return_inverse=True)
        quantiles = beta_quantile(1.0 - 1.0 / (t + 1), pairs[0], pairs[1])
        return quantiles[places].reshape(self._wins_NK.shape).argmax(axis=1)


class GaussianBayesUCB(GaussianThompson):
    """The same of Gaussian beliefs."""

    def choose(self, t: int) -> Ints:
        """The largest quantile; in round 1 all are the lowest number there is."""
        if t == 0:
            return np.zeros(len(self._counts_NK), dtype=np.int64)
        means_NK, spread_NK = self.belief()
        reach = NormalDist().inv_cdf(1.0 - 1.0 / (t + 1))
        return (means_NK + reach * spread_NK).argmax(axis=1)


def bayes_ucb(table: GameInfo) -> BetaBayesUCB | GaussianBayesUCB:
    """Beta for coins, Gaussian for anything else."""
    return BetaBayesUCB(table) if table.binary else GaussianBayesUCB(table)


def beta_quantile(level: float, wins: Floats, losses: Floats) -> Floats:
    """Where a Beta(wins, losses), whole numbers of at least 1, has `level` below it.

    Newton's steps on the logarithm of what lies above, which is concave: after the first one all
    come from the right. Each stops by itself, whatever is asked beside it.
    """
    if level <= 0.0:
        return np.zeros_like(wins)
    total = wins + losses
    mean = wins / total
    reach = max(NormalDist().inv_cdf(level), 0.0)
    x = np.minimum(mean + reach * np.sqrt(mean * (1.0 - mean) / (total + 1.0)), (mean + 1.0) / 2.0)
    open_ = np.ones(x.shape, dtype=np.bool_)
    for _ in range(20):
        above, density = beta_tail(x, wins, losses)
        step = (np.log(above) - np.log1p(-level)) * above / density
        after = np.where(x + step < 1.0, x + step, (x + 1.0) / 2.0)
        after = np.maximum(after, x / 2.0)
        moved = np.abs(after - x)
        x = np.where(open_, after, x)
        open_ &= moved >= 1e-9
        if not open_.any():
            break
    return x


def beta_tail(x: Floats, wins: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """How much of Beta(wins, losses), whole numbers, lies above x, and its density there."""
    mirrored = x > (wins + 1.0) / (wins + losses + 2.0)
    a, b = np.where(mirrored, losses, wins), np.where(mirrored, wins, losses)
    y = np.where(mirrored, 1.0 - x, x)
    logs = _log_factorials(int((wins + losses).max()))
    of_beta = logs[(a - 1).astype(int)] + logs[(b - 1).astype(int)] - logs[(a + b - 1).astype(int)]
    front = np.exp(a * np.log(y) + b * np.log1p(-y) - of_beta)
    side = front * _fraction(y, a, b) / a
    return np.where(mirrored, side, 1.0 - side), front / (y * (1.0 - y))


@functools.cache
def _log_factorials(up_to: int) -> Floats:
    return np.concatenate([[0.0], np.log(np.arange(1.0, up_to + 1.0)).cumsum()])


def _fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c = np.ones_like(x)
    d = 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    value, open_ = d.copy(), np.ones(x.shape, dtype=np.bool_)
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2.0 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / (1.0 + term * d)
            c = 1.0 + term / c
            value = np.where(open_, value * c * d, value)
        open_ &= np.abs(c * d - 1.0) >= 1e-11
        if not open_.any():
            break
    return value


class IDS(Algorithm):
    """The mix of two actions with the least (expected regret)^2 / (its information about the best).

    An action's information is the variance of its mean over which action is best.
    """

    def __init__(self, table: GameInfo) -> None:
        self._belief = CoinGrid(table) if table.binary else GaussianGrid(table)
        self._rows_N = np.arange(table.N)

    def mix(self, t: int) -> Floats:
        """The two actions."""
        chances_NKG, points_NG = self._belief.grid()
        return directed(*regret_and_information(chances_NKG, points_NG))

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """One more reward."""
        self._belief.learn(t, actions_N, earned_N)


class CoinGrid:
    """Beta(1, 1) beliefs, as chances of the points of (0, 1)."""

    def __init__(self, table: GameInfo) -> None:
        points_G = (np.arange(POINTS) + 0.5) / POINTS
        self._points_NG = np.broadcast_to(points_G, (table.N, POINTS))
        self._chances_NKG = np.full((table.N, table.K, POINTS), 1.0 / POINTS)
        self._rows_N = np.arange(table.N)

    def grid(self) -> tuple[Floats, Floats]:
        """Chances N x K x G, and the points N x G."""
        return self._chances_NKG, self._points_NG

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Bayes' rule."""
        place, earned_N1 = (self._rows_N, actions_N), earned_N[:, None]
        likely_NG = earned_N1 * self._points_NG + (1.0 - earned_N1) * (1.0 - self._points_NG)
        after_NG: Floats = self._chances_NKG[place] * likely_NG
        self._chances_NKG[place] = after_NG / after_NG.sum(axis=1, keepdims=True)


class GaussianGrid(GaussianThompson):
    """The Gaussian beliefs of Thompson sampling, as chances of points that reach all of them."""

    def grid(self) -> tuple[Floats, Floats]:
        """Chances N x K x G, and the points N x G."""
        means_NK, spread_NK = self.belief()
        low_N1 = (means_NK - REACH * spread_NK).min(axis=1, keepdims=True)
        high_N1 = (means_NK + REACH * spread_NK).max(axis=1, keepdims=True)
        points_NG = low_N1 + (high_N1 - low_N1) * (np.arange(POINTS) + 0.5) / POINTS
        off_NKG = (points_NG[:, None, :] - means_NK[:, :, None]) / spread_NK[:, :, None]
        chances_NKG = np.exp(-0.5 * off_NKG**2)
        return chances_NKG / chances_NKG.sum(axis=2, keepdims=True), points_NG


def regret_and_information(chances_NKG: Floats, points_NG: Floats) -> tuple[Floats, Floats]:
    """N x K each: the expected regret of an action, and its information about the best one."""
    worth_NKG = chances_NKG * points_NG[:, None, :]
    means_NK: Floats = worth_NKG.sum(axis=2)
    below_NKG = np.maximum(chances_NKG.cumsum(axis=2) - chances_NKG / 2.0, 1e-300)
    mean_below_NKG = (worth_NKG.cumsum(axis=2) - worth_NKG / 2.0) / below_NKG
    leads_NKG = chances_NKG * (below_NKG.prod(axis=1, keepdims=True) / below_NKG)
    leads_NKG /= leads_NKG.sum(axis=(1, 2), keepdims=True)
    best_NK: Floats = np.maximum(leads_NKG.sum(axis=2), 1e-300)
    given_NKK = leads_NKG @ mean_below_NKG.transpose(0, 2, 1) / best_NK[:, :, None]
    led_NK = (leads_NKG * points_NG[:, None, :]).sum(axis=2)  # times the chance to be best
    for a in range(means_NK.shape[1]):
        given_NKK[:, a, a] = led_NK[:, a] / best_NK[:, a]
    known_NK = (best_NK[:, :, None] * (given_NKK - means_NK[:, None, :]) ** 2).sum(axis=1)
    return np.maximum(led_NK.sum(axis=1, keepdims=True) - means_NK, 0.0), known_NK


def directed(regret_NK: Floats, known_NK: Floats) -> Floats:
    """The mix of at most two actions with the least regret^2 / information."""
    i_P, j_P = np.triu_indices(regret_NK.shape[1], 1)
    slope_NP, gain_NP = regret_NK[:, i_P] - regret_NK[:, j_P], known_NK[:, i_P] - known_NK[:, j_P]
    with np.errstate(divide="ignore", invalid="ignore"):
        inner_NP = -regret_NK[:, j_P] / slope_NP - 2.0 * known_NK[:, j_P] / gain_NP
    share_SNP = np.stack(
        [np.nan_to_num(inner_NP).clip(0.0, 1.0), np.ones_like(slope_NP), np.zeros_like(slope_NP)]
    )
    lost_SNP = regret_NK[:, j_P] + share_SNP * slope_NP
    known_SNP = known_NK[:, j_P] + share_SNP * gain_NP
    ratio_SNP = lost_SNP**2 / np.maximum(known_SNP, 1e-30)
    rows = np.arange(len(regret_NK))
    pick_N = ratio_SNP.transpose(1, 0, 2).reshape(len(rows), -1).argmin(axis=1)
    side_N, pair_N = np.divmod(pick_N, len(i_P))
    share_N = share_SNP[side_N, rows, pair_N]
    policies_NK = np.zeros_like(regret_NK)
    policies_NK[rows, i_P[pair_N]] = share_N
    policies_NK[rows, j_P[pair_N]] = 1.0 - share_N
    return policies_NK
