"""Problems with state: an action changes what comes next.

A class of its own plays one trajectory at a time (`StatefulEnvironment`). A `World` is one drawn
problem of it: all chance follows from its seed, so the same actions meet the same outcomes. A table
is the special case in which no action changes anything; it needs none of this (docs/method.md 2).

Regret is against the world's reference: the exact optimum where the class gives `optimum`, else the
best of its `references` in this very world.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from rmft_api.core.errors import DataError, RmftError
from rmft_api.core.records import Split
from rmft_api.environments.scenario import Floats, Scenario

Policy = Callable[[Any, int], int]
"""(state, round from 0) -> the action."""
OPTIMUM = "the exact optimum (it knows the chances, not the draws)"


class StatefulEnvironment(Protocol):
    """What a class must offer; `optimum` or `references` must be there too (see `World`)."""

    def reset(self, seed: int) -> tuple[Any, str]:
        """Start again: the first state, and what a player sees of it. All chance is `seed`'s."""
        ...

    def actions(self, state: Any) -> Sequence[int]:
        """The actions that are possible in `state`: some of 0 to K - 1, at least one."""
        ...

    def step(self, action: int) -> tuple[float, Any, str]:
        """The reward of `action`, the next state, and what a player sees of it."""
        ...


class Replay(NamedTuple):
    """A play as arrays (`selection.regret.PlayArrays`)."""

    rewards_TK: Floats
    """What the action earned; the least that a round pays everywhere else."""
    worth_TK: Floats
    """What each action was worth; its own reward where no optimum is known."""
    reference_T: Floats
    """What the reference earns, round by round; it sums to the reference's whole."""


@dataclass(frozen=True, eq=False)
class World:
    """One drawn problem with state, for any number of players."""

    make: Callable[[], StatefulEnvironment]
    """A fresh environment: a player of its own for each trajectory."""
    seed: int
    K: int
    T: int
    name: str
    """The class, for messages."""

    def start(self) -> "Session":
        """A play from the first round on."""
        return Session(self, self.make())

    @cached_property
    def sample(self) -> StatefulEnvironment:
        """An environment of this world that is asked for facts alone: it takes no step."""
        made = self.make()
        made.reset(self.seed)
        return made

    @property
    def lowest(self) -> float:
        """The least that a round pays."""
        return float(getattr(self.sample, "lowest", 0.0))

    @property
    def highest(self) -> float:
        """The most that a round pays."""
        return float(getattr(self.sample, "highest", 1.0))

    @property
    def is_exact(self) -> bool:
        """Whether the optimum is known."""
        return getattr(self.sample, "optimum", None) is not None

    @property
    def references(self) -> Mapping[str, Policy]:
        """Named policies of the class, for comparison."""
        own = getattr(self.sample, "references", None)
        return cast("Mapping[str, Policy]", own() if own is not None else {})

    @property
    def reference(self) -> str:
        """What regret is against, in words."""
        if self.is_exact:
            return OPTIMUM
        return f"the best of {', '.join(self.references)} in each scenario (no optimum is known)"

    @cached_property
    def best_reference(self) -> tuple[str, Floats]:
        """The named policy that earns most in this world, and its rewards."""
        earned = {name: self.played_by(policy) for name, policy in self.references.items()}
        best = max(earned, key=lambda name: (float(earned[name].sum()), name))
        return best, earned[best]

    def played_by(self, policy: Policy) -> Floats:
        """The rewards of a policy of the class."""
        session = self.start()
        return np.array([session.step(session.ask(policy)).reward for _ in range(self.T)])

    def replay(self, actions: Sequence[int | None]) -> Replay:
        """What these actions earned and were worth. None: the reply could not be read.

        A round of None, or that was not played any more, continues with the worst action.
        """
        rewards_TK = np.full((self.T, self.K), self.lowest)
        worth_TK, reference_T = self._frame(rewards_TK)
        session = self.start()
        for t in range(self.T):
            if self.is_exact:
                worth_K = session.worth()
                worth_TK[t] = worth_K - worth_K.max() + reference_T[t]
            action = actions[t] if t < len(actions) else None
            if action is None:
                session.step(session.worst())
                continue
            if not self.is_exact:
                self._mark(worth_TK[t], session)
            rewards_TK[t, action] = reward = session.step(action).reward
            if not self.is_exact:
                worth_TK[t, action] = reward
        return Replay(rewards_TK, worth_TK, reference_T)

    def _frame(self, rewards_TK: Floats) -> tuple[Floats, Floats]:
        if self.is_exact:
            whole = float(self.start().worth().max())
            return np.empty_like(rewards_TK), np.full(self.T, whole / self.T)
        return rewards_TK.copy(), self.best_reference[1]

    def _mark(self, worth_K: Floats, session: "Session") -> None:
        """Let what the reference would do here stand highest: it is taken for the best action."""
        policy = self.references[self.best_reference[0]]
        worth_K[session.ask(policy)] = self.highest


class StepResult(NamedTuple):
    """What one round brought."""

    reward: float
    rewards: tuple[float, ...]
    """K rewards, for records: the action's own, and the least that a round pays elsewhere."""


class Session:
    """One play of a world. Raises DataError where the class breaks its contract."""

    def __init__(self, world: World, environment: StatefulEnvironment) -> None:
        self._world, self._environment, self._t = world, environment, 0
        found = self._from("reset(seed)", environment.reset, world.seed)
        if not isinstance(found, tuple) or len(cast("tuple[Any, ...]", found)) != 2:
            raise self._breach("reset(seed)", found, "(state, shown)")
        self.state, shown = cast("tuple[Any, Any]", found)
        self.observations: list[str] = [self._words("reset(seed)", shown)]
        """What the player saw before each round so far; it grows."""
        self.possible = self._possible()
        """The actions that can be taken now."""
        self.possible_T = [self.possible]
        """Those of each round so far; it grows with `shown`."""

    def step(self, action: int | None) -> StepResult:
        """Take an action, or the worst one. Raises ValueError for one that cannot be taken."""
        taken = self.worst() if action is None else action
        if taken not in self.possible:
            raise ValueError(f"action {taken} cannot be taken now; these can: {self.possible}")
        what = f"step({taken})"
        found = self._from(what, self._environment.step, taken)
        if not isinstance(found, tuple) or len(cast("tuple[Any, ...]", found)) != 3:
            raise self._breach(what, found, "(reward, state, shown)")
        reward, self.state, shown = cast("tuple[Any, Any, Any]", found)
        world, reward = self._world, self._checked(what, reward)
        words = self._words(what, shown)
        self._t += 1
        if self._t < world.T:
            self.observations.append(words)
            self.possible = self._possible()
            self.possible_T.append(self.possible)
        rewards = [world.lowest] * world.K
        rewards[taken] = reward
        return StepResult(reward, tuple(rewards))

    def nearest(self, action: int) -> int:
        """The action, or where it cannot be taken the possible one of the nearest number."""
        return min(self.possible, key=lambda one: (abs(one - action), one))

    def ask(self, policy: Policy) -> int:
        """What a policy of the class does here."""
        what = f"{getattr(policy, '__name__', 'a reference')}(state, {self._t})"
        action = self._from(what, policy, self.state, self._t)
        if action not in self.possible:
            raise self._breach(what, action, f"one of {self.possible}")
        return int(action)

    def worth(self) -> Floats:
        """What each action is worth from here to the end; an impossible one as the worst."""
        what, optimum = f"optimum(state, {self._t})", cast("Any", self._world.sample).optimum
        values, possible = self._from(what, optimum, self.state, self._t), list(self.possible)
        try:
            found: Floats = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            found = np.array([])
        if found.shape != (self._world.K,) or not np.isfinite(found[possible]).all():
            raise self._breach(what, values, f"{self._world.K} numbers, finite where possible,")
        worth_K = np.full(self._world.K, found[possible].min())
        worth_K[possible] = found[possible]
        return worth_K

    def worst(self) -> int:
        """What happens where no action is taken: the worst one, or the first where none knows."""
        if not self._world.is_exact:
            return self.possible[0]
        worth_K = self.worth()
        return min(self.possible, key=lambda action: (float(worth_K[action]), action))

    def _possible(self) -> tuple[int, ...]:
        found = self._from("actions(state)", self._environment.actions, self.state)
        expected = f"at least one of the actions 0 to {self._world.K - 1}"
        if not isinstance(found, Iterable):
            raise self._breach("actions(state)", found, expected)
        possible = tuple(cast("Iterable[Any]", found))
        known = range(self._world.K)
        if not possible or any(isinstance(a, bool) or a not in known for a in possible):
            raise self._breach("actions(state)", possible, expected)
        return tuple(sorted({int(a) for a in possible}))

    def _checked(self, what: str, reward: Any) -> float:
        low, high = self._world.lowest, self._world.highest
        try:
            number = float(reward)
        except (TypeError, ValueError):
            number = math.nan
        if not low - 1e-9 <= number <= high + 1e-9:
            raise self._breach(
                what, reward, f"a reward from {low:g} to {high:g} (its `lowest` and `highest`)"
            )
        return min(max(number, low), high)

    def _words(self, what: str, shown: Any) -> str:
        if not isinstance(shown, str):
            raise self._breach(what, shown, "text as what is shown")
        return shown

    def _from(self, what: str, method: Callable[..., Any], *given: Any) -> Any:
        """What a method of the class returns; an error of its own becomes one line."""
        try:
            return method(*given)
        except RmftError:
            raise
        except Exception as error:
            raise DataError(
                f"{self._world.name}.{what} raised {type(error).__name__}: {error} "
                f"in round {self._t + 1}"
            ) from error

    def _breach(self, what: str, found: Any, expected: str) -> DataError:
        text = " ".join(repr(found).split())[:120]
        return DataError(
            f"{self._world.name}.{what} returned {text} in round {self._t + 1}; {expected} expected"
        )


def is_stateful(made: object) -> bool:
    """Whether an environment is played step by step."""
    return callable(getattr(made, "reset", None)) and callable(getattr(made, "step", None))


@dataclass(frozen=True)
class StatefulProblem:
    """A class with state as an `Environment`: what it draws are worlds."""

    make: Callable[[], StatefulEnvironment]
    K: int
    T: int
    name: str

    def __post_init__(self) -> None:
        made = self.make()
        for method in ("reset", "actions", "step"):
            if not callable(getattr(made, method, None)):
                raise ValueError(f"{self.name} has no method {method}()")
        known = getattr(made, "optimum", None), getattr(made, "references", None)
        if known == (None, None):
            raise ValueError(
                f"{self.name} has neither optimum(state, t) nor references(): regret needs one"
            )
        names = getattr(made, "names", None)
        if names is not None and len(names) != self.K:
            raise ValueError(f"{self.name}.names has {len(names)} names for K={self.K} actions")

    @property
    def story(self) -> str:
        """Its story where the run file names none; empty: the run's own."""
        return str(getattr(self.make(), "story", ""))

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A world; its chance is the seed's."""
        return scenario_of(self.world(int(rng.integers(2**62))))

    def draw_from(self, split: Split, rng: np.random.Generator) -> Scenario:
        """As `draw`: seeds of splits have addresses of their own."""
        return self.draw(rng)

    def try_out(self, trial: int) -> None:
        """Play one world by each action held, at random, and by each reference.

        Raises DataError where the class breaks its contract.
        """
        world, rng = self.world(trial), np.random.default_rng(trial)
        for held in range(world.K + 1):
            session = world.start()
            for _ in range(world.T):
                if world.is_exact:
                    session.worth()
                at_random = int(rng.choice(session.possible))
                session.step(session.nearest(held) if held < world.K else at_random)
        for policy in world.references.values():
            world.played_by(policy)

    def world(self, seed: int) -> World:
        """The world of a seed."""
        return World(self.make, seed, self.K, self.T, self.name)


def scenario_of(world: World) -> Scenario:
    """A world as a scenario. Its table is empty: what an action earns depends on the state."""
    names = getattr(world.sample, "names", None)
    empty_TK = np.full((world.T, world.K), world.lowest)
    return Scenario(
        rewards=empty_TK,
        means=empty_TK,
        feedback="bandit",
        regret="reference",
        world=world,
        names=None if names is None else tuple(names),
    )
