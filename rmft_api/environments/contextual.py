"""A contextual bandit: a context is shown as text before each round; dynamic regret ranks."""

from dataclasses import dataclass

import numpy as np

from rmft_api.environments import noise, options
from rmft_api.environments.scenario import Scenario


@dataclass(frozen=True, kw_only=True)
class Contextual:
    """K actions, each earning f(x, a) = theta_a x on average: linear, and within [0, 1].

    x is U(0, 1) in every feature, rounded to what its text shows. theta_a is drawn from a flat
    Dirichlet, so that features count differently for every action.
    """

    K: int
    T: int
    features: int = 2
    """d, the length of a context."""
    reward: noise.Reward = "bernoulli"
    sd: float = 0.2
    clip: bool = True

    def __post_init__(self) -> None:
        noise.check(self.reward, self.sd, self.clip)
        options.whole("features", self.features, low=2)

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario; its `features` hold the same numbers that `contexts` show."""
        x_Td = rng.random((self.T, self.features)).round(2)
        theta_Kd = rng.dirichlet(np.ones(self.features), self.K)
        rewards_TK, means_TK = noise.around(rng, x_Td @ theta_Kd.T, self.reward, self.sd, self.clip)
        return Scenario(
            rewards=rewards_TK,
            means=means_TK,
            feedback="bandit",
            regret="dynamic",
            contexts=tuple(context_text(x_d) for x_d in x_Td.tolist()),
            features=x_Td,
        )


def context_text(x_d: list[float]) -> str:
    """A context in words: `x1=0.25, x2=0.90`."""
    return ", ".join(f"x{i}={x:.2f}" for i, x in enumerate(x_d, start=1))
