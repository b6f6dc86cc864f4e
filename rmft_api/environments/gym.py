"""A bandit from a Gymnasium environment with discrete actions: one decision for each episode.

A round is one episode, from a start state of its own. The model sees the start state and chooses
the first action; a known policy plays the rest (`then`). So what every action would have earned
from the same start is known exactly: the episode is played once for each action, from one seed.
Regret is of episodic returns, against the best first action before the same known policy. It is
not the regret of a learner that acts in every step. In an environment of one step it is exact.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import RegretKind, Split
from rmft_api.environments import options
from rmft_api.environments.gym_steps import StepSettings, environment
from rmft_api.environments.loading import imported
from rmft_api.environments.scenario import Floats, Scenario
from rmft_api.environments.worlds import StatefulProblem

Against = Literal["best", "fixed"]
Mode = Literal["episode", "step"]
Policy = Callable[[Any, int, np.random.Generator], int]
"""(observation, the first action, chance) -> the next action."""
MOST_STATES = 64
"""Discrete start states that become numbers for algorithms that read no text."""


@dataclass(frozen=True, kw_only=True)
class Gym:
    """Scenarios are T episodes of a Gymnasium environment."""

    K: int
    """Where the environment has more actions, K of them are drawn."""
    T: int
    id: str
    """As `gymnasium.make` knows it; `module:Name-v0` imports the module first."""
    mode: Mode = "episode"
    """episode: a round is an episode, and its first action alone is decided. step: a round is a
    step, and all of them are (`gym_steps`); `low` and `high` bound a step's reward."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Keyword arguments of `gymnasium.make`."""
    then: str = "hold"
    """Who plays on after the first action: hold (the same action until the end), random, or a
    policy of yours, `module:function`, called with (observation, first action, generator)."""
    low: float = 0.0
    """The least return of an episode; it is shown as reward 0."""
    high: float = 1.0
    """The largest return of an episode; it is shown as reward 1."""
    against: Against = "best"
    """best: regret is against the best action for each start state; fixed: against the one action
    that is best over all T episodes."""
    steps: int = 1000
    """An episode ends here at the latest."""
    describe: str = ""
    """`module:function` that puts an observation into words; absent: its numbers."""
    reference: str = ""
    """mode step: `module:function`, a policy of yours that regret may be against, called with
    (observation, round from 0); absent: those that are known."""
    shuffle: bool = True
    """Give the actions their names in a drawn order."""
    folder: Path = field(default_factory=Path.cwd)
    """Where modules are looked for first; no option of a run file."""

    def __post_init__(self) -> None:
        options.one_of("mode", self.mode, get_args(Mode))
        options.one_of("against", self.against, get_args(Against))
        options.number("low", self.low)
        options.number("high", self.high)
        options.whole("steps", self.steps, low=1)
        options.truth("shuffle", self.shuffle)
        if self.low >= self.high:
            raise ValueError(f"low={self.low:g} must be below high={self.high:g}")
        _policy(self.then, self.folder)
        env = _make(self.id, _frozen(self.settings), self.folder)
        try:
            _check_actions(env, self.id, self.K)
        finally:
            env.close()

    def step_by_step(self) -> StatefulProblem:
        """The same environment, each of its steps a decision. Raises ValueError, ConfigError."""
        env = _shared(self.id, _frozen(self.settings), self.folder)
        if int(env.action_space.n) != self.K:
            raise ValueError(f"{self.id} has {int(env.action_space.n)} actions; set K to that")
        words, own = self.describe, self.reference
        settings = StepSettings(
            self.id,
            self.K,
            self.T,
            self.low,
            self.high,
            make=lambda: _make(self.id, _unlimited(self.settings), self.folder),
            describe=imported("description", words, self.folder) if words else None,
            reference=imported("policy", own, self.folder) if own else None,
        )
        name = self.id.rpartition(":")[2]
        return StatefulProblem(lambda: environment(settings, env), self.K, self.T, name)

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario of T episodes; the same stream gives the same one."""
        return _drawn(_Key(self), int(rng.integers(2**62)), None)

    def draw_from(self, split: Split, rng: np.random.Generator) -> Scenario:
        """As `draw`, with seeds of episodes that no other split has."""
        return _drawn(_Key(self), int(rng.integers(2**62)), split)

    def divided(self) -> str:
        """How episodes are divided among the splits, in one line."""
        return (
            f"{self.id}: episodes divided by their seeds, which leave a remainder of their own "
            "for each split; no episode serves two splits"
        )


class _Key:
    """A problem as the key of what was drawn from it: settings may hold what cannot be hashed."""

    def __init__(self, problem: Gym) -> None:
        self.problem = problem
        self._problem = repr(problem)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other._problem == self._problem

    def __hash__(self) -> int:
        return hash(self._problem)


@functools.lru_cache(maxsize=512)  # a held-out scenario is drawn for every model that plays it
def _drawn(key: _Key, address: int, split: Split | None) -> Scenario:
    problem, rng = key.problem, np.random.default_rng(address)
    env = _make(problem.id, _frozen(problem.settings), problem.folder)
    try:
        actions_K = _actions(problem, env, rng)
        seeds_T = _seeds(rng, problem.T, split)
        starts = [env.reset(seed=seed)[0] for seed in seeds_T]
        rewards_TK = np.array([_returns(problem, env, seed, actions_K) for seed in seeds_T])
        varied = any(not np.array_equal(start, starts[0]) for start in starts)
        features = [_features(env.observation_space, start) for start in starts] if varied else []
    finally:
        env.close()
    kind: RegretKind = "dynamic" if problem.against == "best" else "static"
    return Scenario(
        rewards=rewards_TK,
        means=rewards_TK,
        feedback="bandit",
        regret=kind,
        contexts=tuple(_start_in_words(problem, start) for start in starts) if varied else None,
        features=_stacked(features),
        bears=None if problem.shuffle else _places(env, actions_K),
    )


def _seeds(rng: np.random.Generator, T: int, split: Split | None) -> list[int]:
    """Of T episodes. Splits take turns: the seeds of each leave a remainder of their own."""
    most = 2**31 - 1
    if split is None:
        return rng.integers(most, size=T).tolist()
    turns = get_args(Split)
    drawn: list[int] = rng.integers(most // len(turns), size=T).tolist()
    return [len(turns) * one + turns.index(split) for one in drawn]


def _places(env: Any, actions_K: list[int]) -> tuple[int, ...]:
    """The actions' own numbers, from 0."""
    first = int(getattr(env.action_space, "start", 0))
    return tuple(action - first for action in actions_K)


def _actions(problem: Gym, env: Any, rng: np.random.Generator) -> list[int]:
    first = int(getattr(env.action_space, "start", 0))
    drawn = rng.permutation(int(env.action_space.n))[: problem.K] + first
    return (drawn if problem.shuffle else np.sort(drawn)).tolist()


def _returns(problem: Gym, env: Any, seed: int, actions_K: list[int]) -> list[float]:
    """What the episode of one seed returns after each first action, as a reward."""
    policy = _policy(problem.then, problem.folder)
    return [_reward(problem, _episode(problem, env, seed, a, policy)) for a in actions_K]


def _episode(problem: Gym, env: Any, seed: int, action: int, policy: Policy) -> float:
    env.reset(seed=seed)
    rng, first, total = np.random.default_rng(seed), action, 0.0
    env.action_space.seed(seed)
    for _ in range(problem.steps):
        seen, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        if terminated or truncated:
            break
        action = _random(env) if problem.then == "random" else policy(seen, first, rng)
    return total


def _reward(problem: Gym, total: float) -> float:
    reward = (total - problem.low) / (problem.high - problem.low)
    if not -1e-9 <= reward <= 1 + 1e-9:
        raise DataError(
            f"{problem.id}: an episode returned {total:g}, outside low={problem.low:g} to "
            f"high={problem.high:g}; widen them"
        )
    return min(max(reward, 0.0), 1.0)


def _random(env: Any) -> int:
    return int(env.action_space.sample())


def _hold(seen: Any, first: int, rng: np.random.Generator) -> int:
    return first


def _policy(then: str, folder: Path) -> Policy:
    if then in ("hold", "random"):
        return _hold
    if ":" not in then:
        raise ValueError(f"then={then!r} is not one of hold, random, module:function")
    return imported("policy", then, folder)


def _start_in_words(problem: Gym, start: Any) -> str:
    if problem.describe:
        return str(imported("description", problem.describe, problem.folder)(start))
    numbers = np.asarray(start, dtype=np.float64).ravel().tolist()
    if len(numbers) == 1:
        return f"state {numbers[0]:g}"
    return ", ".join(f"x{i}={x:.3g}" for i, x in enumerate(numbers, start=1))


def _features(space: Any, start: Any) -> Floats | None:
    """The start as numbers in [0, 1], where the space has bounds; else None."""
    if hasattr(space, "spaces"):
        return None
    if hasattr(space, "n"):
        states = int(space.n)
        return np.eye(states)[int(start)] if states <= MOST_STATES else None
    low, high = np.asarray(space.low, float).ravel(), np.asarray(space.high, float).ravel()
    if not np.isfinite(low).all() or not np.isfinite(high).all() or (low == high).any():
        return None
    return (np.asarray(start, float).ravel() - low) / (high - low)


def _stacked(features: list[Floats | None]) -> Floats | None:
    known = [feature for feature in features if feature is not None]
    return np.stack(known) if known and len(known) == len(features) else None


def _check_actions(env: Any, id_: str, K: int) -> None:
    count = getattr(env.action_space, "n", None)
    if count is None or (hasattr(env.action_space, "shape") and env.action_space.shape != ()):
        raise ValueError(f"{id_} has no discrete actions: {env.action_space}")
    if int(count) < K:
        raise ValueError(f"{id_} has {int(count)} actions, not K={K}")
    if not any(hasattr(env.observation_space, how) for how in ("n", "low", "spaces")):
        raise ValueError(f"{id_} shows neither a number nor numbers: {env.observation_space}")


def _frozen(settings: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(settings), sort_keys=True)
    except TypeError as error:
        raise ValueError(f"settings={settings!r}: {error}") from None


def _unlimited(settings: Mapping[str, Any]) -> str:
    return _frozen({"max_episode_steps": -1, **settings})


@functools.lru_cache(maxsize=16)
def _shared(id_: str, settings: str, folder: Path) -> Any:
    """One that is asked for facts alone."""
    return _make(id_, settings, folder)


def _make(id_: str, settings: str, folder: Path) -> Any:
    """A fresh environment. Raises ConfigError."""
    try:
        gymnasium: Any = import_module("gymnasium")
    except ImportError:
        raise ConfigError(
            "environment 'gym' needs Gymnasium: pip install 'rmft-api[gym]'"
        ) from None
    module, _, _ = id_.partition(":")
    if ":" in id_:
        imported("environment module", f"{module}:__name__", folder)
    try:
        return gymnasium.make(id_.rpartition(":")[2], **json.loads(settings))
    except (gymnasium.error.Error, TypeError, ValueError, ImportError) as error:
        first = " ".join(str(error).split())
        raise ConfigError(f"gymnasium cannot make {id_!r}: {first}") from None
