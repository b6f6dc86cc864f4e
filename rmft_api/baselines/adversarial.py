"""Weights on what a bandit sees: EXP3 and its kin, Tsallis-INF. Rewards are cut to [0, 1].

EXP3 and EXP3.S: Auer, Cesa-Bianchi, Freund, Schapire, "The nonstochastic multiarmed bandit problem"
(SIAM J. Comput. 32, 2002). Rexp3: Besbes, Gur, Zeevi, "Stochastic multi-armed-bandit problem with
non-stationary rewards" (NIPS 2014). EXP3-IX: Neu, "Explore no more: improved high-probability
regret bounds for non-stochastic bandits" (NIPS 2015). Tsallis-INF: Zimmert, Seldin, "Tsallis-INF:
an optimal algorithm for stochastic and adversarial bandits" (JMLR 22, 2021).
"""

import numpy as np

from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.selection.regret import Floats, Ints


class Exp3(Algorithm):
    """p = (1 - gamma) w / sum w + gamma / K; w of the chosen grows by exp(gamma r / (p K)).

    `alpha` > 0 shares weight with all actions every round (EXP3.S); `restart_N` rounds after the
    last restart all weights are equal again (Rexp3).
    """

    def __init__(
        self, table: GameInfo, gamma_N: Floats, alpha: float = 0.0, restart_N: Floats | None = None
    ) -> None:
        self._K = table.K
        self._alpha = alpha
        self._restart_N = restart_N
        self._gamma_N1 = np.broadcast_to(gamma_N, table.N)[:, None]
        self._weights_NK = np.full((table.N, table.K), 1.0 / table.K)
        self._policies_NK = self._weights_NK
        self._rows_N = np.arange(table.N)

    def mix(self, t: int) -> Floats:
        """The weights, mixed with a little of everything."""
        if self._restart_N is not None:
            self._weights_NK[t % self._restart_N == 0] = 1.0 / self._K
        mixed = (1.0 - self._gamma_N1) * self._weights_NK + self._gamma_N1 / self._K
        self._policies_NK = mixed
        return mixed

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Reward the chosen, as if it had always been likely to be chosen."""
        place = (self._rows_N, actions_N)
        estimate_N = earned_N.clip(0.0, 1.0) / self._policies_NK[place]
        grown_NK = self._weights_NK.copy()
        grown_NK[place] *= np.exp(self._gamma_N1[:, 0] * estimate_N / self._K)
        grown_NK += np.e * self._alpha / self._K  # the weights sum to 1
        self._weights_NK = grown_NK / grown_NK.sum(axis=1, keepdims=True)


def exp3(table: GameInfo) -> Exp3:
    """EXP3 with the gamma of its Corollary 3.2, all T rounds being the bound on what can be won."""
    return Exp3(table, _gamma(table.K, np.array(float(table.T))))


def exp3s(table: GameInfo, segments: float | None = None) -> Exp3:
    """EXP3.S with the constants of its Corollary 8.3, which know T and `segments`.

    alpha = 1 / T and gamma = min(1, sqrt(K (S ln(K T) + e) / ((e - 1) T))). S is the hardness of
    what it is compared with: one more than the switches of the best action, unless given.
    """
    K, T = table.K, table.T
    S_N = table.segments_N if segments is None else np.array(segments)
    gamma_N = np.sqrt(K * (S_N * np.log(K * T) + np.e) / ((np.e - 1.0) * T))
    return Exp3(table, np.minimum(1.0, gamma_N), alpha=1.0 / T)


def rexp3(table: GameInfo) -> Exp3:
    """Rexp3: a new start every (K ln K)^(1/3) (T / V_T)^(2/3) rounds; never where V_T is 0.

    Between two starts it is EXP3 for so many rounds.
    """
    scale = (table.K * np.log(table.K)) ** (1 / 3)
    moving_N = np.maximum(table.variation_N, 1e-9)
    batch_N = np.ceil(scale * (table.T / moving_N) ** (2 / 3)).clip(1, table.T)
    return Exp3(table, _gamma(table.K, batch_N), restart_N=batch_N)


def _gamma(K: int, horizon: Floats) -> Floats:
    """Return min(1, sqrt(K ln K / ((e - 1) T)))."""
    return np.minimum(1.0, np.sqrt(K * np.log(K) / ((np.e - 1.0) * horizon)))


class Exp3IX(Algorithm):
    """p ~ exp(-eta L); L of the chosen grows by loss / (p + eta / 2).

    eta = sqrt(2 ln K / (K T)), of Neu's Theorem 1. The second half of eta, gamma, is the implicit
    exploration that keeps estimates small.
    """

    def __init__(self, table: GameInfo) -> None:
        self._eta = np.sqrt(2.0 * np.log(table.K) / (table.K * table.T))
        self._losses_NK = np.zeros((table.N, table.K))
        self._policies_NK = self._losses_NK
        self._rows_N = np.arange(table.N)

    def mix(self, t: int) -> Floats:
        """The weights."""
        least_N1 = self._losses_NK.min(axis=1, keepdims=True)
        weights_NK = np.exp(-self._eta * (self._losses_NK - least_N1))
        self._policies_NK = weights_NK / weights_NK.sum(axis=1, keepdims=True)
        return self._policies_NK

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Blame the chosen, a little less than it would take to be right on average."""
        place = (self._rows_N, actions_N)
        lost_N = 1.0 - earned_N.clip(0.0, 1.0)
        self._losses_NK[place] += lost_N / (self._policies_NK[place] + self._eta / 2.0)


class TsallisINF(Algorithm):
    """p_i = 4 (eta_t (L_i - x))^-2 with the x at which they sum to 1; eta_t = 4 / sqrt(t).

    Losses are estimated with reduced variance: (loss - B) / p + B for the chosen and B for the
    others, B = 1/2 where p >= eta_t^2 and else 0.
    """

    def __init__(self, table: GameInfo) -> None:
        self._losses_NK = np.zeros((table.N, table.K))
        self._policies_NK = self._losses_NK
        self._rows_N = np.arange(table.N)

    def mix(self, t: int) -> Floats:
        """The weights."""
        self._policies_NK = tsallis(self._losses_NK, 4.0 / np.sqrt(t + 1.0))
        return self._policies_NK

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Estimate all losses from the chosen one's."""
        place = (self._rows_N, actions_N)
        usual_NK = 0.5 * (self._policies_NK >= 16.0 / (t + 1.0))
        self._losses_NK += usual_NK
        lost_N = 1.0 - earned_N.clip(0.0, 1.0)
        self._losses_NK[place] += (lost_N - usual_NK[place]) / self._policies_NK[place]


def tsallis(losses_NK: Floats, eta: float) -> Floats:
    """p_i = 4 (eta (L_i - x))^-2, by Newton's steps down from above the root."""
    behind_NK = losses_NK - losses_NK.min(axis=1, keepdims=True)
    x_N1 = np.full((len(losses_NK), 1), -2.0 / eta)  # the least loss alone has weight 1
    for _ in range(60):
        weights_NK = 4.0 / (eta * (behind_NK - x_N1)) ** 2
        excess_N1 = weights_NK.sum(axis=1, keepdims=True) - 1.0
        near_N1 = excess_N1 < 1e-12  # each stops by itself, whatever is played beside it
        if near_N1.all():
            break
        step_N1 = excess_N1 / (eta * (weights_NK**1.5).sum(axis=1, keepdims=True))
        x_N1 = np.where(near_N1, x_N1, x_N1 - step_N1)
    weights_NK = 4.0 / (eta * (behind_NK - x_N1)) ** 2
    return weights_NK / weights_NK.sum(axis=1, keepdims=True)
