"""Gymnasium environments whose every step is a decision."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.environments import StatefulEnvironment
from rmft_api.environments.worlds import StatefulProblem
from rmft_api.selection import regret
from rmft_api.testing import StatefulContract

pytest.importorskip("gymnasium")


def problem(id_: str, K: int, T: int, **options: Any) -> StatefulProblem:
    made = environments.make("gym", K, T, {"id": id_, "mode": "step", **options})
    assert isinstance(made, StatefulProblem)
    return made


@cache
def _lake(K: int, T: int) -> StatefulProblem:
    return problem("FrozenLake-v1", K, T)


class TestFrozenLake(StatefulContract):
    sizes = ((4, 12),)
    worlds = 200

    def make(self, K: int, T: int) -> StatefulEnvironment:
        return _lake(K, T).make()


@cache
def _taxi(K: int, T: int) -> StatefulProblem:
    return problem("Taxi-v3" if "Taxi-v3" in _known() else "Taxi-v4", K, T, **TAXI)


class TestTaxi(StatefulContract):
    sizes = ((6, 15),)
    worlds = 60

    def make(self, K: int, T: int) -> StatefulEnvironment:
        return _taxi(K, T).make()


class TestBlackjack(StatefulContract):
    sizes = ((2, 12),)

    def make(self, K: int, T: int) -> StatefulEnvironment:
        return problem("Blackjack-v1", K, T, low=-1.0).make()


TAXI = {"low": -10.0, "high": 20.0}


def _known() -> set[str]:
    import gymnasium

    return set(gymnasium.registry)


def mean_regret(name: str, made: StatefulProblem, count: int = 40) -> float:
    scenarios = [made.draw(np.random.default_rng(i)) for i in range(count)]
    plays = baselines.play(name, scenarios, 1)
    return float(np.mean([regret.per_round(play, "reference").sum() for play in plays]))


def test_the_optimum_of_a_lake_without_chance_reaches_the_goal_in_six_steps() -> None:
    made = problem("FrozenLake-v1", 4, 6, settings={"is_slippery": False})
    assert float(made.world(0).start().worth().max()) == pytest.approx(1.0)
    assert mean_regret("best_dynamic", made) == pytest.approx(0.0)
    assert mean_regret("random", made) > 0.9


def test_blackjack_is_told_in_words_and_basic_strategy_beats_chance() -> None:
    made = problem("Blackjack-v1", 2, 20, low=-1.0)
    world = made.world(3)
    assert "The dealer shows" in world.start().observations[0]
    assert made.draw(np.random.default_rng(0)).names == ("stick", "hit")
    assert "basic_strategy" in world.reference
    assert mean_regret("basic_strategy", made) < mean_regret("random", made)


@pytest.mark.parametrize(
    ("id_", "K", "words"),
    [
        ("FrozenLake-v1", 4, "row 1, column 1 of 4 x 4. The goal is in row 4, column 4"),
        ("CliffWalking-v1", 4, "of 4 rows and 12 columns"),
    ],
)
def test_where_one_stands_is_told_in_words(id_: str, K: int, words: str) -> None:
    options = {"low": -100.0, "high": 0.0} if id_.startswith("Cliff") else {}
    assert words in problem(id_, K, 5, **options).world(0).start().observations[0]


def test_rewards_outside_their_bounds_are_found_before_anything_is_played() -> None:
    with pytest.raises(ConfigError, match="pays from -10 to 20 a step; set low = -10, high = 20"):
        problem("Taxi-v3" if "Taxi-v3" in _known() else "Taxi-v4", 6, 5)
    made = problem("Blackjack-v1", 2, 30)
    with pytest.raises(DataError, match="a step paid -1, outside low=0 to high=1; widen them"):
        for trial in range(4):
            made.try_out(trial)


def test_actions_are_not_left_out_and_modes_are_known() -> None:
    with pytest.raises(ConfigError, match="FrozenLake-v1 has 4 actions; set K to that"):
        problem("FrozenLake-v1", 3, 5)
    with pytest.raises(ConfigError, match="mode='steps' is unknown; did you mean 'step'"):
        environments.make("gym", 4, 5, {"id": "FrozenLake-v1", "mode": "steps"})
