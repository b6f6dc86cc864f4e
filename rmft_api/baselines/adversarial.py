"""Exponential weights on what a bandit is told: EXP3, EXP3.S, Rexp3. Rewards are cut to [0, 1]."""

import numpy as np

from rmft_api.baselines.game import Player, Table
from rmft_api.regret import Floats, Ints


class Exp3(Player):
    """p = (1 - gamma) w / sum w + gamma / K; w of the chosen grows by exp(gamma r / (p K)).

    `alpha` > 0 shares weight with all actions every round (EXP3.S); `restart_N` rounds after the
    last restart all weights are equal again (Rexp3).
    """

    def __init__(self, table: Table, alpha: float = 0.0, restart_N: Floats | None = None) -> None:
        self._K = table.K
        self._alpha = alpha
        self._restart_N = restart_N
        horizon_N = np.full(table.N, float(table.T)) if restart_N is None else restart_N
        self._gamma_N1 = exploration(table.K, horizon_N)[:, None]
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


def exp3s(table: Table) -> Exp3:
    """EXP3.S: alpha = 1 / T."""
    return Exp3(table, alpha=1.0 / table.T)


def rexp3(table: Table) -> Exp3:
    """Rexp3: a new start every (K ln K)^(1/3) (T / V_T)^(2/3) rounds; never where V_T is 0."""
    scale = (table.K * np.log(table.K)) ** (1 / 3)
    moving_N = np.maximum(table.variation_N, 1e-9)
    batch_N = np.ceil(scale * (table.T / moving_N) ** (2 / 3))
    return Exp3(table, restart_N=batch_N.clip(1, table.T))


def exploration(K: int, horizon_N: Floats) -> Floats:
    """Return gamma = min(1, sqrt(K ln K / ((e - 1) T)))."""
    return np.minimum(1.0, np.sqrt(K * np.log(K) / ((np.e - 1.0) * horizon_N)))
