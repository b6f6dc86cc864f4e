"""Stochastic bandits: greedy, upper confidence bounds, Thompson sampling.

All but Thompson try every action once first; equals are settled by the lowest index.
"""

import numpy as np

from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.selection.regret import Floats, Ints


class Random(Algorithm):
    """Every action with the same probability."""

    def __init__(self, table: GameInfo) -> None:
        self._policies_NK = np.full((table.N, table.K), 1.0 / table.K)

    def mix(self, t: int) -> Floats:
        """The uniform distribution."""
        return self._policies_NK


class Counting(Algorithm):
    """Counts and sums of each action: what index algorithms remember."""

    def __init__(self, table: GameInfo) -> None:
        self.counts_NK: Floats = np.zeros((table.N, table.K))
        self.sums_NK: Floats = np.zeros((table.N, table.K))
        self._rows_N = np.arange(table.N)

    @property
    def means_NK(self) -> Floats:
        """Empirical means; infinite for an action never tried, so that it is tried first."""
        tried = self.counts_NK > 0
        return np.where(tried, self.sums_NK / np.where(tried, self.counts_NK, 1.0), np.inf)

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """One more try."""
        self.counts_NK[self._rows_N, actions_N] += 1.0
        self.sums_NK[self._rows_N, actions_N] += earned_N


class Greedy(Counting):
    """Each action once, then the largest mean."""

    def choose(self, t: int) -> Ints:
        """The leader."""
        return self.means_NK.argmax(axis=1)


class EpsGreedy(Counting):
    """Greedy, with `eps` given evenly to all actions."""

    def __init__(self, table: GameInfo, eps: float = 0.1) -> None:
        super().__init__(table)
        self._eps, self._K = eps, table.K

    def mix(self, t: int) -> Floats:
        """Mostly the leader; certain while an action is untried."""
        leaders_N = self.means_NK.argmax(axis=1)
        policies_NK = np.full(self.counts_NK.shape, self._eps / self._K if t >= self._K else 0.0)
        policies_NK[self._rows_N, leaders_N] += 1.0 - self._eps if t >= self._K else 1.0
        untried_N = (self.counts_NK == 0).any(axis=1)
        policies_NK[untried_N] = np.eye(self._K)[leaders_N[untried_N]]
        return policies_NK


class UCB(Counting):
    """mean + sqrt(c log t / n), t the rounds played so far."""

    def __init__(self, table: GameInfo, c: float = 0.5) -> None:
        super().__init__(table)
        self._c = c

    def choose(self, t: int) -> Ints:
        """The largest bound."""
        width = np.sqrt(self._c * np.log(max(t, 1)) / np.maximum(self.counts_NK, 1.0))
        return (self.means_NK + width).argmax(axis=1)


def ucb1(table: GameInfo) -> UCB:
    """UCB with c = 2."""
    return UCB(table, c=2.0)


class K24UCB(Counting):
    """mean + sqrt(1 / n), the bound of arXiv 2403.15371."""

    def choose(self, t: int) -> Ints:
        """The largest bound."""
        return (self.means_NK + np.sqrt(1.0 / np.maximum(self.counts_NK, 1.0))).argmax(axis=1)


class MOSS(Counting):
    """mean + sqrt(max(log(T / (K n)), 0) / n), which knows T.

    Audibert, Bubeck, "Minimax policies for adversarial and stochastic bandits" (COLT 2009).
    """

    def __init__(self, table: GameInfo) -> None:
        super().__init__(table)
        self._share = table.T / table.K

    def choose(self, t: int) -> Ints:
        """The largest bound."""
        counts_NK = np.maximum(self.counts_NK, 1.0)
        width_NK = np.sqrt(np.log(np.maximum(self._share / counts_NK, 1.0)) / counts_NK)
        return (self.means_NK + width_NK).argmax(axis=1)


class KLUCB(Counting):
    """The largest q with n kl(mean, q) <= log t, kl of coins; means are cut to [0, 1]."""

    def choose(self, t: int) -> Ints:
        """The largest bound."""
        if t < self.counts_NK.shape[1]:
            return self.means_NK.argmax(axis=1)
        means_NK = self.means_NK.clip(0.0, 1.0)
        return kl_bound(means_NK, np.log(t) / self.counts_NK).argmax(axis=1)


def kl_bound(p: Floats, reach: Floats) -> Floats:
    """The largest q in [p, 1] with kl(p, q) <= reach.

    Newton in s = -log(1 - q), where kl is convex and nearly straight, from the nearer of two bounds
    right of the root: every step stays right of it, and four bring q within 1e-6 of it wherever
    reach >= 1e-3.
    """
    p_in = p.clip(1e-12, 1.0 - 1e-9)
    entropy = -p_in * np.log(p_in) - (1.0 - p_in) * np.log1p(-p_in)
    pinsker = np.minimum(p_in + np.sqrt(reach / 2.0), 1.0 - 1e-16)
    s = np.minimum((reach + entropy) / (1.0 - p_in), -np.log1p(-pinsker))
    for _ in range(4):
        q = -np.expm1(-s)
        excess = (1.0 - p_in) * s - p_in * np.log(q) - entropy - reach
        s = s - excess / np.maximum(1.0 - p_in / q, 1e-12)
        s = np.maximum(s, -np.log1p(-p_in) + 1e-12)
    return np.where(p >= 1.0, 1.0, np.maximum(-np.expm1(-s), p))


class BetaThompson(Algorithm):
    """Beta(1, 1) on the chance of a coin."""

    def __init__(self, table: GameInfo) -> None:
        self._chance = table.chance
        self._wins_NK = np.ones((table.N, table.K))
        self._losses_NK = np.ones((table.N, table.K))
        self._rows_N = np.arange(table.N)

    def choose(self, t: int) -> Ints:
        """The best of one draw of each belief."""
        return self._chance.beta(t, self._wins_NK, self._losses_NK).argmax(axis=1)

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Count a win or a loss."""
        self._wins_NK[self._rows_N, actions_N] += earned_N
        self._losses_NK[self._rows_N, actions_N] += 1.0 - earned_N


class GaussianThompson(Algorithm):
    """N(mean, s^2 / (n + 1)) around the mean of the rewards and one imagined reward of 1/2.

    s is the spread of rewards within actions, pooled, with one imagined deviation of 1/2: it need
    not be known, and fits rewards of any scale.
    """

    def __init__(self, table: GameInfo, discount: float = 1.0) -> None:
        self._chance = table.chance
        self._discount = discount
        self._counts_NK, self._sums_NK, self._squares_NK = np.zeros((3, table.N, table.K))
        self._rows_N = np.arange(table.N)

    def choose(self, t: int) -> Ints:
        """The best of one draw of each belief."""
        means_NK, spread_NK = self.belief()
        noise_NK = self._chance.normal(t, means_NK.shape[1])
        return (means_NK + spread_NK * noise_NK).argmax(axis=1)

    def belief(self) -> tuple[Floats, Floats]:
        """Mean and deviation of each action's belief, N x K."""
        weights_NK = self._counts_NK + 1.0
        means_NK = (self._sums_NK + 0.5) / weights_NK
        return means_NK, self._spread()[:, None] / np.sqrt(weights_NK)

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """One more reward."""
        if self._discount < 1.0:
            for memory in (self._counts_NK, self._sums_NK, self._squares_NK):
                memory *= self._discount
        place = (self._rows_N, actions_N)
        self._counts_NK[place] += 1.0
        self._sums_NK[place] += earned_N
        self._squares_NK[place] += earned_N**2

    def _spread(self) -> Floats:
        tried = np.maximum(self._counts_NK, 1e-12)
        within_N = np.maximum(self._squares_NK - self._sums_NK**2 / tried, 0.0).sum(axis=1)
        freedom_N = np.maximum(self._counts_NK - 1.0, 0.0).sum(axis=1)
        return np.sqrt((0.25 + within_N) / (1.0 + freedom_N))


def thompson(table: GameInfo) -> BetaThompson | GaussianThompson:
    """Beta for coins, Gaussian for anything else: a Beta belief is wrong about other rewards."""
    return BetaThompson(table) if table.binary else GaussianThompson(table)
