"""A scenario: one decision problem with its chance drawn beforehand.

Because the whole T x K table is drawn up front, all trajectories, baselines and later models meet
the same chance, and a difference of regret is a difference of decisions (docs/method.md 2).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rmft_api.core.errors import DataError
from rmft_api.core.records import Feedback, RegretKind, Split

if TYPE_CHECKING:
    from rmft_api.environments.worlds import World

Floats = NDArray[np.float64]
MOST = sys.float_info.max
Adversary = Callable[[int, Floats, Floats], Floats]
"""(round t from 0, policy_K acted from, the table's row_K) -> the K rewards of this round.

One that has a true attribute `on_batches` also answers N policies and N rows at once. One that has
a method `extremes(t, row_K) -> Extremes` says what a round without a policy costs; without it every
answer must lie within [0, 1], or within the table where that is wider.
"""


class Extremes(NamedTuple):
    """The worst that a round can do to a player (docs/method.md 2)."""

    most: Floats
    """K rewards: the most that each action is paid, whatever the policy."""
    least: float
    """The least that any policy earns."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """One problem. `rewards` and `means` are T x K; rows are rounds."""

    rewards: Floats
    """What each action earns in each round."""
    means: Floats
    """What each action earns in each round on average; `rewards` itself where nothing is chance."""
    feedback: Feedback
    """"bandit": only the chosen action's reward is shown. "full": all K."""
    regret: RegretKind
    """The form that ranks: static (FOL), pseudo (MAB), dynamic (NS-MAB, contextual), reference
    (problems with state)."""
    contexts: tuple[str, ...] | None = None
    """T texts shown before the rounds, for contextual problems."""
    features: Floats | None = None
    """T x d numbers that the contexts show, for algorithms that read no text (LinUCB)."""
    adversary: Adversary | None = None
    """Answers the policy; None for tables that stand whatever is played."""
    facts: Mapping[str, float] = field(default_factory=dict[str, float])
    """What an analysis may group by: gap, V_T, switches ..."""
    bears: tuple[int, ...] | None = None
    """Which of the story's names each action bears, from 0, where names have a meaning; None: the
    first K as they stand."""
    world: "World | None" = None
    """What is played step by step, for problems with state; its table is empty then."""
    names: tuple[str, ...] | None = None
    """The K actions' own names, where they have a meaning that no story knows."""

    def __post_init__(self) -> None:
        check_table("rewards", self.rewards)
        check_table("means", self.means)
        if self.rewards.shape != self.means.shape:
            raise ValueError(
                f"rewards {self.rewards.shape} and means {self.means.shape} differ in shape"
            )
        if self.contexts is not None and len(self.contexts) != self.T:
            raise ValueError(f"{len(self.contexts)} contexts for T={self.T} rounds; give one each")

    def in_order(self, order: Sequence[int]) -> "Scenario":
        """The same problem, its actions in another order: action i is what `order[i]` was."""
        if sorted(order) != list(range(self.K)):
            raise ValueError(f"{list(order)} is no order of {self.K} actions")
        picked = list(order)
        return replace(
            self,
            rewards=self.rewards[:, picked],
            means=self.means[:, picked],
            adversary=self.adversary and _reordered(self.adversary, picked),
            bears=None if self.bears is None else tuple(self.bears[i] for i in picked),
            names=None if self.names is None else tuple(self.names[i] for i in picked),
        )

    @property
    def contextual(self) -> bool:
        """Whether something is shown before each round."""
        return self.contexts is not None or self.world is not None

    @property
    def T(self) -> int:
        """Rounds."""
        return int(self.rewards.shape[0])

    @property
    def K(self) -> int:
        """Actions."""
        return int(self.rewards.shape[1])

    def face(self, t: int, policy: Floats) -> Floats:
        """The K rewards of round `t` (from 0) against `policy` (K probabilities).

        Raises DataError for an answer of an adversary that nothing can be computed from.
        """
        row = self.rewards[t]
        if self.adversary is None:
            return row
        answer = self.adversary(t, policy, row)
        low, high = self._reach
        if answer.shape != (self.K,) or not (low <= answer.min() and answer.max() <= high):
            raise DataError(
                f"the adversary answered {answer} in round {t + 1}: {self.K} rewards from {low:g} "
                f"to {high:g} were expected; one that pays others has a method `extremes`"
            )
        return answer

    def extremes(self, t: int) -> Extremes:
        """What round `t` (from 0) does to a player that says nothing."""
        row = self.rewards[t]
        if self.adversary is None:
            return Extremes(row, float(row.min()))
        own = getattr(self.adversary, "extremes", None)
        if own is not None:
            return own(t, row)
        low, high = self._reach
        return Extremes(np.full(self.K, high), low)

    @cached_property
    def _reach(self) -> tuple[float, float]:
        """What an adversary may pay."""
        if hasattr(self.adversary, "extremes"):
            return -MOST, MOST
        return min(0.0, float(self.rewards.min())), max(1.0, float(self.rewards.max()))


class Environment(Protocol):
    """A family of problems. A user's own is one class with this method, named by an entry point.

    It is made with `K`, `T` and the options of the run file as keyword arguments; an option that it
    does not know must raise TypeError, a wrong value ValueError.
    """

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario, from `rng` alone: the same stream gives the same scenario."""
        ...


@runtime_checkable
class Divided(Protocol):
    """An environment over a fixed set of cases, of which none may serve two splits."""

    def draw_from(self, split: Split, rng: np.random.Generator) -> Scenario:
        """As `draw`, of the split's own cases."""
        ...


EnvironmentFactory = Callable[..., Environment]
Options = Mapping[str, Any]


def _reordered(adversary: Adversary, order: list[int]) -> Adversary:
    """The adversary, as players see it whose action i is its own action `order[i]`."""
    back = np.argsort(order)

    def faced(t: int, policy: Floats, row: Floats) -> Floats:
        answer = adversary(t, policy[..., back], row[..., back])
        return answer[..., order] if answer.shape[-1:] == (len(order),) else answer  # refused later

    faced.on_batches = getattr(adversary, "on_batches", False)  # pyright: ignore[reportFunctionMemberAccess]
    own = getattr(adversary, "extremes", None)
    if own is not None:

        def extremes(t: int, row: Floats) -> Extremes:
            most, least = own(t, row[back])
            return Extremes(most[order], least)

        faced.extremes = extremes  # pyright: ignore[reportFunctionMemberAccess]
    return faced


def check_table(name: str, table: Floats) -> None:
    """Refuse what arithmetic would carry on silently: a wrong shape, NaN, infinity."""
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise ValueError(f"{name} must be T x K with T >= 1 and K >= 2, got shape {table.shape}")
    if not np.isfinite(table).all():
        t, a = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise ValueError(f"{name}[{t}, {a}] is {table[t, a]}; rewards must be finite")
