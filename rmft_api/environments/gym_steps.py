"""Gymnasium environments step by step: a round is one step, and an action changes what comes next.

When an episode ends the next one begins, until T steps are taken: there is no other time limit.
Where the environment lists its transitions (`P`: FrozenLake, Taxi, CliffWalking), its chance is
drawn here from them, one number a round, and the optimum is worked out exactly. Others are stepped,
and regret is against the best of: each action held, and the policies that are known.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmft_api.core.errors import DataError
from rmft_api.environments import toy_text
from rmft_api.environments.scenario import Floats
from rmft_api.environments.worlds import Policy, StatefulEnvironment


@dataclass(frozen=True, eq=False)
class StepSettings:
    """What an environment is played with."""

    id: str
    K: int
    T: int
    low: float
    high: float
    make: Callable[[], Any]
    """A fresh Gymnasium environment without a time limit."""
    describe: Callable[[Any], str] | None
    """Words for an observation; None: those of `toy_text`, else its numbers."""
    reference: Callable[[Any, int], int] | None
    """A policy of the user's own: (observation, round) -> action."""


@dataclass(frozen=True, eq=False)
class TransitionModel:
    """An environment's transitions: S x K x O outcomes, padded with chance 0."""

    chance: Floats
    reward: Floats
    next: Any
    ends: Any
    starts: Floats


def environment(settings: StepSettings, env: Any) -> StatefulEnvironment:
    """A player's own environment; `env` is shared, and asked for facts alone."""
    model = model_of(env)
    return Stepped(settings) if model is None else Tabular(settings, model, env)


@functools.lru_cache(maxsize=16)
def model_of(env: Any) -> TransitionModel | None:
    """The transitions of a tabular environment; None where it lists none."""
    inner = env.unwrapped
    table, starts = getattr(inner, "P", None), getattr(inner, "initial_state_distrib", None)
    if not isinstance(table, Mapping) or starts is None:
        return None
    S, K = len(table), int(env.action_space.n)  # pyright: ignore[reportUnknownArgumentType]
    most = max(len(table[s][a]) for s in range(S) for a in range(K))  # pyright: ignore[reportUnknownArgumentType]
    chance, reward = np.zeros((S, K, most)), np.zeros((S, K, most))
    next_, ends = np.zeros((S, K, most), dtype=np.int64), np.zeros((S, K, most), dtype=bool)
    for s in range(S):
        for a in range(K):
            for o, (p, to, pays, over) in enumerate(table[s][a]):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                chance[s, a, o], reward[s, a, o], next_[s, a, o], ends[s, a, o] = p, pays, to, over
    return TransitionModel(chance, reward, next_, ends, np.asarray(starts, dtype=np.float64))


class _Game:
    """What both kinds have in common."""

    story = "state/game"

    def __init__(self, settings: StepSettings) -> None:
        self._settings = settings

    @property
    def names(self) -> tuple[str, ...] | None:
        """What the actions are called, where that is known; None: as the story says."""
        return toy_text.names(self._settings.id)

    def actions(self, state: Any) -> Sequence[int]:
        """Every action."""
        return range(self._settings.K)

    def references(self) -> Mapping[str, Policy]:
        """Each action held, the policy that is known of the game, and the user's own."""
        held = {f"hold_{a}": functools.partial(_hold, a) for a in range(self._settings.K)}
        known = toy_text.policies(self._settings.id)
        own = self._settings.reference
        return {**held, **known, **({getattr(own, "__name__", "own"): own} if own else {})}

    def _scaled(self, pays: float) -> float:
        one = self._settings
        reward = (pays - one.low) / (one.high - one.low)
        if not -1e-9 <= reward <= 1 + 1e-9:
            raise DataError(
                f"{one.id}: a step paid {pays:g}, outside low={one.low:g} to high={one.high:g}; "
                "widen them"
            )
        return min(max(reward, 0.0), 1.0)

    def _observation(self, env: Any, state: Any, ended: float | None) -> str:
        words = self._settings.describe
        text = words(state) if words else toy_text.describe(self._settings.id, env, state)
        return text if ended is None else f"That game ended, its last move paid {ended:g}. {text}"


class Tabular(_Game):
    """An environment whose transitions are known."""

    def __init__(self, settings: StepSettings, model: TransitionModel, env: Any) -> None:
        super().__init__(settings)
        self._model, self._env = model, env
        self._luck: list[float] = []
        self._starts: list[float] = []
        self._state = self._t = 0
        paid = model.reward[model.chance > 0]
        if paid.min() < settings.low or paid.max() > settings.high:
            raise ValueError(
                f"{settings.id} pays from {paid.min():g} to {paid.max():g} a step; set "
                f"low = {paid.min():g}, high = {paid.max():g}"
            )

    def reset(self, seed: int) -> tuple[int, str]:
        """Draw the luck of every round, and where games begin."""
        rng = np.random.default_rng(seed)
        self._luck, self._starts = rng.random((2, self._settings.T + 1)).tolist()
        self._t = 0
        self._state = self._started()
        return self._state, self._observation(self._env, self._state, None)

    def step(self, action: int) -> tuple[float, int, str]:
        """The outcome that the round's luck stands for."""
        model, place = self._model, (self._state, action)
        outcome = _pick(model.chance[place], self._luck[self._t])
        self._t += 1
        pays, over = float(model.reward[place][outcome]), bool(model.ends[place][outcome])
        self._state = self._started() if over else int(model.next[place][outcome])
        shown = self._observation(self._env, self._state, pays if over else None)
        return self._scaled(pays), self._state, shown

    def optimum(self, state: int, t: int) -> Floats:
        """Q of each action, by backward induction over the transitions."""
        one = self._settings
        found: Floats = _values(self._model, one.T, one.low, one.high)[t, state]
        return found

    def _started(self) -> int:
        return _pick(self._model.starts, self._starts[self._t])


class Stepped(_Game):
    """An environment that is stepped as it is."""

    def __init__(self, settings: StepSettings) -> None:
        super().__init__(settings)
        self._env = settings.make()
        self._seeds: list[int] = []
        self._t = 0

    def reset(self, seed: int) -> tuple[Any, str]:
        """Draw the seeds of games."""
        drawn = np.random.default_rng(seed).integers(2**31 - 1, size=self._settings.T + 1)
        self._seeds, self._t = drawn.tolist(), 0
        state, _ = self._env.reset(seed=self._seeds[0])
        return state, self._observation(self._env, state, None)

    def step(self, action: int) -> tuple[float, Any, str]:
        """One step; after the last of a game the next one begins."""
        first = int(getattr(self._env.action_space, "start", 0))
        state, pays, terminated, truncated, _ = self._env.step(action + first)
        self._t += 1
        over, ended = bool(terminated or truncated), float(pays)
        if over:
            state, _ = self._env.reset(seed=self._seeds[self._t])
        return (
            self._scaled(ended),
            state,
            self._observation(self._env, state, ended if over else None),
        )


@functools.lru_cache(maxsize=16)
def _values(model: TransitionModel, T: int, low: float, high: float) -> Floats:
    """Q of [t, state, action], of scaled rewards."""
    pays = (model.chance * (model.reward - low) / (high - low)).sum(axis=2)
    values, next_ = np.empty((T, *pays.shape)), np.zeros(len(pays))
    for t in reversed(range(T)):
        after = np.where(model.ends, float(model.starts @ next_), next_[model.next])
        values[t] = pays + (model.chance * after).sum(axis=2)
        next_ = values[t].max(axis=1)
    return values


def _pick(chances: Floats, luck: float) -> int:
    below = int((np.cumsum(chances) <= luck * float(chances.sum())).sum())
    return min(below, int(np.flatnonzero(chances)[-1]))


def _hold(action: int, state: Any, t: int) -> int:
    return action
