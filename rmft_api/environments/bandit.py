"""MAB: the stochastic bandit. Only the chosen action's reward is shown; pseudo-regret ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rmft_api.environments import noise, options
from rmft_api.environments.scenario import Floats, Scenario

Instance = Literal["hard", "easy"]
INSTANCES: dict[str, tuple[int, float]] = {"hard": (5, 0.2), "easy": (4, 0.5)}
"""The reference bandits of arXiv 2403.15371: K and gap; the best mean is .5 + gap / 2."""


@dataclass(frozen=True, kw_only=True)
class Bandit:
    """K actions whose means stand still. Which position is best is drawn, always."""

    K: int
    T: int
    reward: noise.Reward = "bernoulli"
    instance: Instance | None = None
    """A reference bandit: hard is K=5, gap .2; easy is K=4, gap .5."""
    gap: float | None = None
    """One best action, all others this much below it."""
    best: float | None = None
    """The best action's mean, with `gap`; .5 + gap / 2 when absent."""
    means: Sequence[float] | None = None
    """K means, given to the actions in a drawn order. With none of these, means are U(0, 1)."""
    sd: float = 0.2
    """Of Gaussian rewards, before clipping."""
    clip: bool = True
    """Keep Gaussian rewards within [0, 1]."""

    def __post_init__(self) -> None:
        noise.check(self.reward, self.sd, self.clip)
        _at_most_one(instance=self.instance, gap=self.gap, means=self.means)
        if self.instance is not None:
            self._check_instance(self.instance)
        if self.means is not None:
            options.numbers("means", self.means, self.K, 0.0, 1.0)
        if self.gap is not None:
            self._check_gap(self.gap)
        elif self.best is not None:
            raise ValueError(f"best={self.best!r} has no effect without gap; give both")

    def _check_instance(self, instance: str) -> None:
        options.one_of("instance", instance, INSTANCES)
        if INSTANCES[instance][0] != self.K:
            raise ValueError(f"instance={instance!r} has K={INSTANCES[instance][0]}, not {self.K}")

    def _check_gap(self, gap: float) -> None:
        options.number("gap", gap, 0.0, 1.0)
        if self.best is not None:
            options.number("best", self.best, gap, 1.0)

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario with constant means."""
        means_K = self._means(rng)
        means_TK = np.broadcast_to(means_K, (self.T, self.K))
        rewards_TK, means_TK = noise.around(rng, means_TK, self.reward, self.sd, self.clip)
        return Scenario(
            rewards=rewards_TK,
            means=means_TK,
            feedback="bandit",
            regret="pseudo",
            facts={"gap": noise.gap(means_TK[0])},
        )

    def _means(self, rng: np.random.Generator) -> Floats:
        if self.means is not None:
            return rng.permutation(np.array(self.means, dtype=np.float64))
        if self.two_means is None:
            return rng.random(self.K)
        best, low = self.two_means
        means_K = np.full(self.K, low)
        means_K[rng.integers(self.K)] = best
        return means_K

    @property
    def two_means(self) -> tuple[float, float] | None:
        """Of the one best action and of all others, before any clipping; None without a gap."""
        gap = INSTANCES[self.instance][1] if self.instance else self.gap
        if gap is None:
            return None
        best = 0.5 + gap / 2 if self.best is None else self.best
        return best, best - gap


def _at_most_one(**settings: object) -> None:
    given = [name for name, value in settings.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other; keep one")
