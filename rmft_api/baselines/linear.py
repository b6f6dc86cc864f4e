"""A ridge regression for each action, on the contexts as numbers: LinUCB, linear Thompson sampling.

LinUCB: Li, Chu, Langford, Schapire, "A contextual-bandit approach to personalized news article
recommendation" (WWW 2010), disjoint models. Thompson sampling: Agrawal, Goyal, "Thompson sampling
for contextual bandits with linear payoffs" (ICML 2013), with a model for each action.
"""

import numpy as np

from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.core.errors import ConfigError
from rmft_api.selection.regret import Floats, Ints


class Ridge(Algorithm):
    """For each action A_a = I + the sum of x x^T, and b_a = the sum of x r, over a's rounds."""

    def __init__(self, table: GameInfo) -> None:
        if table.features_TNd is None:
            raise ConfigError(
                "linear algorithms need scenarios with features; play contextual ones"
            )
        self._x_TNd = table.features_TNd
        d = self._x_TNd.shape[2]
        self._inverse_NKdd = np.tile(np.eye(d), (table.N, table.K, 1, 1))
        self._moment_NKd = np.zeros((table.N, table.K, d))
        self._rows_N = np.arange(table.N)

    def estimates(self, t: int) -> tuple[Floats, Floats]:
        """N x K of x A_a^-1 b_a, and of sqrt(x A_a^-1 x)."""
        x_Nd = self._x_TNd[t]
        reach_NKd = np.einsum("nkde,ne->nkd", self._inverse_NKdd, x_Nd)
        mean_NK = np.einsum("nkd,nkd->nk", reach_NKd, self._moment_NKd)
        return mean_NK, np.sqrt(np.einsum("nkd,nd->nk", reach_NKd, x_Nd))

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Sherman and Morrison's update of the chosen action's inverse."""
        place, x_Nd = (self._rows_N, actions_N), self._x_TNd[t]
        self._moment_NKd[place] += earned_N[:, None] * x_Nd
        inverse_Ndd: Floats = self._inverse_NKdd[place]
        reach_Nd = np.einsum("nde,ne->nd", inverse_Ndd, x_Nd)
        scale_N = 1.0 + np.einsum("nd,nd->n", reach_Nd, x_Nd)
        outer_Ndd = reach_Nd[:, :, None] * reach_Nd[:, None, :]
        self._inverse_NKdd[place] = inverse_Ndd - outer_Ndd / scale_N[:, None, None]


class LinUCB(Ridge):
    """The estimate and alpha times its width."""

    def __init__(self, table: GameInfo, alpha: float = 1.0) -> None:
        super().__init__(table)
        self._alpha = alpha

    def choose(self, t: int) -> Ints:
        """The largest bound."""
        mean_NK, width_NK = self.estimates(t)
        return (mean_NK + self._alpha * width_NK).argmax(axis=1)


class LinThompson(Ridge):
    """The best of one draw of theta_a from N(A_a^-1 b_a, v^2 A_a^-1).

    Only x theta_a matters, and it is normal around the estimate with v times its width: so one
    number is drawn for each action.
    """

    def __init__(self, table: GameInfo, v: float = 0.5) -> None:
        super().__init__(table)
        self._v, self._chance = v, table.chance

    def choose(self, t: int) -> Ints:
        """The largest draw."""
        mean_NK, width_NK = self.estimates(t)
        noise_NK = self._chance.normal(t, mean_NK.shape[1])
        return (mean_NK + self._v * width_NK * noise_NK).argmax(axis=1)
