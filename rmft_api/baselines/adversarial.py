"""Exponential weights on what a bandit is told: EXP3, EXP3.S, Rexp3. Rewards are cut to [0, 1].

EXP3 and EXP3.S: Auer, Cesa-Bianchi, Freund, Schapire, "The nonstochastic multiarmed bandit problem"
(SIAM J. Comput. 32, 2002). Rexp3: Besbes, Gur, Zeevi, "Stochastic multi-armed-bandit problem with
non-stationary rewards" (NIPS 2014).
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
