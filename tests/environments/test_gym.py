"""Gymnasium environments as problems: one decision for each episode, returns against known play."""

from typing import Any, get_args

import numpy as np
import pytest

from rmft_api import environments
from rmft_api.core.errors import ConfigError, DataError, RmftError
from rmft_api.core.records import Split
from rmft_api.environments import Environment, Scenario
from rmft_api.testing import EnvironmentContract

gymnasium = pytest.importorskip("gymnasium")


class Fair(gymnasium.Env[Any, Any]):
    """One step: action a pays 1 where it is the number shown, and half of that one above it."""

    def __init__(self) -> None:
        self.action_space = gymnasium.spaces.Discrete(5)
        self.observation_space = gymnasium.spaces.Discrete(5)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._shown = int(np.random.default_rng(seed).integers(5))
        return self._shown, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        pay = 1.0 if action == self._shown else 0.5 * (action == self._shown + 1)
        return self._shown, pay, True, False, {}


class Blind(Fair):
    """The same without a hint: every start looks alike."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return 0, super().reset(seed=seed)[1]


gymnasium.register("Fair-v0", entry_point=Fair)
gymnasium.register("Blind-v0", entry_point=Blind)


def go_on(seen: Any, first: int, rng: np.random.Generator) -> int:
    return 1 - first


def make(id_: str, K: int = 2, T: int = 6, **options: object) -> Environment:
    return environments.make("gym", K, T, {"id": id_, **options})


def drawn(id_: str, K: int = 2, T: int = 6, index: int = 0, **options: object) -> Scenario:
    return make(id_, K, T, **options).draw(np.random.default_rng(index))


class TestOneStep(EnvironmentContract):
    draws = 40

    def make(self, K: int, T: int) -> Environment:
        return make("Fair-v0", K, T)


class TestOneStepAgainstTheBestFixedAction(EnvironmentContract):
    draws = 40

    def make(self, K: int, T: int) -> Environment:
        return make("Blind-v0", K, T, against="fixed")


class TestCartPole(EnvironmentContract):
    draws = 40
    sizes = ((2, 1), (2, 25))

    def make(self, K: int, T: int) -> Environment:
        return make("CartPole-v1", K, T, high=500.0, then="random")


class TestFrozenLake(EnvironmentContract):
    draws = 40
    sizes = ((2, 1), (3, 25), (4, 40))

    def make(self, K: int, T: int) -> Environment:
        return make("FrozenLake-v1", K, T, then="random", settings={"is_slippery": True})


def test_an_environment_of_one_step_is_an_exact_contextual_bandit() -> None:
    scenario = drawn("Fair-v0", K=5, T=30, shuffle=False)
    assert scenario.contexts is not None
    for context, row in zip(scenario.contexts, scenario.rewards.tolist(), strict=True):
        shown = int(context.removeprefix("state "))
        assert row[shown] == 1.0
        assert sum(row) == (1.5 if shown < 4 else 1.0)
    assert scenario.regret == "dynamic"
    assert scenario.features is not None
    assert (scenario.features.argmax(axis=1) == scenario.rewards.argmax(axis=1)).all()


def test_starts_that_look_alike_tell_no_context() -> None:
    assert drawn("Blind-v0", K=5).contexts is None


def test_every_action_meets_the_same_start_and_the_known_policy_plays_on() -> None:
    """A cart that is pushed right for ever falls; one that is pushed to and fro stands longer."""
    held = drawn("CartPole-v1", T=10, high=500.0)
    swayed = drawn("CartPole-v1", T=10, high=500.0, then=f"{__name__}:go_on")
    assert held.rewards.max() < 12 / 500
    assert swayed.rewards.mean() != held.rewards.mean()


def test_returns_are_told_on_the_scale_of_low_and_high() -> None:
    one = drawn("CartPole-v1", high=500.0)
    other = drawn("CartPole-v1", low=-500.0, high=500.0)
    assert np.allclose(other.rewards, 0.5 + one.rewards / 2)


def test_numbers_that_are_shown_are_told_in_words() -> None:
    contexts = drawn("CartPole-v1", high=500.0).contexts
    assert contexts is not None
    assert contexts[0].startswith("x1=")
    assert contexts[0].count("=") == 4


@pytest.mark.parametrize(
    ("id_", "options", "error", "message"),
    [
        ("Nothing-v0", {}, ConfigError, "cannot make 'Nothing-v0'"),
        ("Fair-v0", {"settings": {"colour": 1}}, ConfigError, "cannot make 'Fair-v0'"),
        ("Pendulum-v1", {}, ConfigError, "has no discrete actions"),
        ("CartPole-v1", {"K": 3}, ConfigError, "has 2 actions, not K=3"),
        ("Fair-v0", {"then": "luck"}, ConfigError, "then='luck' is not one of hold, random"),
        ("Fair-v0", {"then": "nowhere:play"}, ConfigError, "policy 'nowhere:play' cannot be"),
        ("Fair-v0", {"against": "all"}, ConfigError, "against='all' is unknown"),
        ("Fair-v0", {"low": 1.0}, ConfigError, "low=1 must be below high=1"),
        ("Fair-v0", {"steps": 0}, ConfigError, "steps=0 is too small"),
        ("CartPole-v1", {}, DataError, "returned .* outside low=0 to high=1; widen them"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    id_: str, options: dict[str, Any], error: type[RmftError], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        drawn(id_, **options)
    assert "\n" not in str(raised.value)


class Watched(Fair):
    """Fair, which notes the seeds of its episodes."""

    seeds: list[int] = []  # noqa: RUF012

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.seeds.append(seed or 0)
        return super().reset(seed=seed)


gymnasium.register("Watched-v0", entry_point=Watched)


def test_no_episode_serves_two_splits() -> None:
    problem = environments.ConcreteProblem("gym", 2, 20, {"id": "Watched-v0"})
    for turn, split in enumerate(get_args(Split)):
        Watched.seeds.clear()
        for index in range(20):
            environments.draw([problem], 1, split, 0, index)
        assert len(set(Watched.seeds)) == 400
        assert {seed % 3 for seed in Watched.seeds} == {turn}
        assert all(0 <= seed < 2**31 for seed in Watched.seeds)
