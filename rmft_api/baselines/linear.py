"""LinUCB: a ridge regression for each action, on the contexts as numbers."""

import numpy as np

from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.core.errors import ConfigError
from rmft_api.selection.regret import Floats, Ints


class LinUCB(Algorithm):
    """theta_a x + alpha sqrt(x A_a^-1 x), A_a = I + the sum of x x^T over a's rounds."""

    def __init__(self, table: GameInfo, alpha: float = 1.0) -> None:
        if table.features_TNd is None:
            raise ConfigError("linucb needs scenarios with features; play it on contextual ones")
        self._x_TNd = table.features_TNd
        d = self._x_TNd.shape[2]
        self._alpha = alpha
        self._inverse_NKdd = np.tile(np.eye(d), (table.N, table.K, 1, 1))
        self._moment_NKd = np.zeros((table.N, table.K, d))
        self._rows_N = np.arange(table.N)

    def choose(self, t: int) -> Ints:
        """The largest bound."""
        x_Nd = self._x_TNd[t]
        reach_NKd = np.einsum("nkde,ne->nkd", self._inverse_NKdd, x_Nd)
        mean_NK = np.einsum("nkd,nkd->nk", reach_NKd, self._moment_NKd)
        width_NK = np.sqrt(np.einsum("nkd,nd->nk", reach_NKd, x_Nd))
        return (mean_NK + self._alpha * width_NK).argmax(axis=1)

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Sherman and Morrison's update of the chosen action's inverse."""
        place, x_Nd = (self._rows_N, actions_N), self._x_TNd[t]
        self._moment_NKd[place] += earned_N[:, None] * x_Nd
        inverse_Ndd: Floats = self._inverse_NKdd[place]
        reach_Nd = np.einsum("nde,ne->nd", inverse_Ndd, x_Nd)
        scale_N = 1.0 + np.einsum("nd,nd->n", reach_Nd, x_Nd)
        outer_Ndd = reach_Nd[:, :, None] * reach_Nd[:, None, :]
        self._inverse_NKdd[place] = inverse_Ndd - outer_Ndd / scale_N[:, None, None]
