"""A scenario: one decision problem with its chance drawn beforehand.

Because the whole T x K table is drawn up front, all trajectories, baselines and later models meet
the same chance, and a difference of regret is a difference of decisions (docs/method.md 2).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rmft_api.records import Feedback, RegretKind

Floats = NDArray[np.float64]
Adversary = Callable[[int, Floats, Floats], Floats]
"""(round t from 0, policy_K acted from, the table's row_K) -> the K rewards of this round.

One that has a true attribute `on_batches` also answers N policies and N rows at once.
"""


@dataclass(frozen=True, eq=False)
class Scenario:
    """One problem. `rewards` and `means` are T x K; rows are rounds."""

    rewards: Floats
    """What each action earns in each round."""
    means: Floats
    """What each action earns in each round on average; `rewards` itself where nothing is chance."""
    feedback: Feedback
    """"bandit": only the chosen action's reward is told. "full": all K."""
    regret: RegretKind
    """The form that ranks: static (FOL), pseudo (MAB), dynamic (NS-MAB, contextual)."""
    contexts: tuple[str, ...] | None = None
    """T texts told before the rounds, for contextual problems."""
    features: Floats | None = None
    """T x d numbers that the contexts tell, for algorithms that read no text (LinUCB)."""
    adversary: Adversary | None = None
    """Answers the policy; None for tables that stand whatever is played."""
    facts: Mapping[str, float] = field(default_factory=dict[str, float])
    """What an analysis may group by: gap, V_T, switches ..."""

    def __post_init__(self) -> None:
        check_table("rewards", self.rewards)
        check_table("means", self.means)
        if self.rewards.shape != self.means.shape:
            raise ValueError(
                f"rewards {self.rewards.shape} and means {self.means.shape} differ in shape"
            )
        if self.contexts is not None and len(self.contexts) != self.T:
            raise ValueError(f"{len(self.contexts)} contexts for T={self.T} rounds; tell one each")

    @property
    def T(self) -> int:
        """Rounds."""
        return int(self.rewards.shape[0])

    @property
    def K(self) -> int:
        """Actions."""
        return int(self.rewards.shape[1])

    def face(self, t: int, policy: Floats) -> Floats:
        """The K rewards of round `t` (from 0) against `policy` (K probabilities)."""
        row = self.rewards[t]
        return row if self.adversary is None else self.adversary(t, policy, row)


class Environment(Protocol):
    """A family of problems. A user's own is one class with this method, named by an entry point.

    It is made with `K`, `T` and the options of the run file as keyword arguments; an option that it
    does not know must raise TypeError, a wrong value ValueError.
    """

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario, from `rng` alone: the same stream gives the same scenario."""
        ...


EnvironmentFactory = Callable[..., Environment]
Options = Mapping[str, Any]


def check_table(name: str, table: Floats) -> None:
    """Refuse what arithmetic would carry on silently: a wrong shape, NaN, infinity."""
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise ValueError(f"{name} must be T x K with T >= 1 and K >= 2, got shape {table.shape}")
    if not np.isfinite(table).all():
        t, a = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise ValueError(f"{name}[{t}, {a}] is {table[t, a]}; rewards must be finite")
