"""No place among the names tells what an action earns, in problems of one's own."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from rmft_api import environments
from rmft_api.config.schema import parse
from rmft_api.core.paths import Origin
from rmft_api.core.records import Split
from rmft_api.environments import ConcreteProblem, Environment, Scenario
from rmft_api.environments.scenario import Floats
from rmft_api.prompts import of_run
from rmft_api.rollouts import preparation
from rmft_api.testing import EnvironmentContract

FIXED = """
import numpy as np
from rmft_api.environments import Scenario

class Third:
    def __init__(self, K, T):
        self.K, self.T = K, T

    def draw(self, rng):
        means = np.full((self.T, self.K), 0.2)
        means[:, 2] = 0.8
        return Scenario(rewards=means, means=means, feedback="bandit", regret="pseudo")

class Spiteful(Third):
    def draw(self, rng):
        def adversary(t, policy, row):
            return 1.0 - policy * np.arange(1, self.K + 1) / self.K
        adversary.on_batches = True
        table = np.zeros((self.T, self.K))
        return Scenario(rewards=table, means=table, feedback="bandit", regret="static",
                        adversary=adversary)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "places_of_mine.py").write_text(FIXED)
    rows = "".join(f"{i % 2},0,1\n" for i in range(60))
    (tmp_path / "visits.csv").write_text(f"reward_mail,reward_call,reward_visit\n{rows}")
    return tmp_path


def problem(place: Path, name: str, **options: object) -> list[ConcreteProblem]:
    return [ConcreteProblem(name, 3, 4, options, folder=place)]


def earned(problems: list[ConcreteProblem], position: int, count: int = 300) -> Floats:
    drawn = (environments.draw(problems, 7, "test", 0, i) for i in range(count))
    return np.array([s.means[:, position].mean() - s.means.mean() for s in drawn])


@pytest.mark.parametrize("position", range(3))
def test_a_player_of_one_position_earns_what_chance_earns(place: Path, position: int) -> None:
    gains = earned(problem(place, "places_of_mine:Third"), position)
    assert abs(gains.mean()) < 5 * gains.std() / np.sqrt(len(gains))


def test_an_adversary_answers_each_action_as_it_did(place: Path) -> None:
    problems = problem(place, "places_of_mine:Spiteful")
    orders: set[tuple[float, ...]] = set()
    for index in range(20):
        scenario = environments.draw(problems, 1, "test", 0, index)
        faced = [1 - scenario.face(0, policy)[a] for a, policy in enumerate(np.eye(3))]
        assert sorted(faced) == pytest.approx([1 / 3, 2 / 3, 1])
        assert scenario.adversary is not None
        rows = np.zeros((3, 3))
        together = scenario.adversary(0, np.eye(3), rows)
        assert np.diag(1 - together) == pytest.approx(faced)
        assert getattr(scenario.adversary, "on_batches", False)
        orders.add(tuple(np.round(faced, 6)))
    assert len(orders) == 6


def test_a_meaningful_name_stays_with_its_column_and_changes_its_place(place: Path) -> None:
    raw = {
        "name": "visits",
        "model": {"base": "rmft-tiny"},
        "prompts": {"set": "compact"},
        "rollouts": {
            "problems": [
                {
                    "environment": "table",
                    "T": 30,
                    "options": {"path": "visits.csv", "shuffle": False},
                }
            ]
        },
        "test": {"scenarios": 40},
    }
    config = parse(raw, "a test", Origin(place))
    prompts = of_run(config)
    story = prompts.names("buttons", 3)
    orders: set[tuple[str, ...]] = set()
    for seat in preparation.prepared_scenarios(config, prompts, "test", 0):
        by_name = dict(zip(seat.names, seat.scenario.rewards.T.tolist(), strict=True))
        assert set(by_name[story[1]]) == {0.0}
        assert set(by_name[story[2]]) == {1.0}
        orders.add(tuple(seat.names))
    assert len(orders) == 6


class Steady:
    """Its second action is better on average, by less than it varies."""

    def __init__(self, K: int, T: int) -> None:
        self.K, self.T = K, T

    def draw(self, rng: np.random.Generator) -> Scenario:
        means_K = rng.uniform(0.1, 0.7, self.K)
        means_K[1] += 0.2
        means_TK = np.broadcast_to(means_K, (self.T, self.K))
        rewards = (rng.random((self.T, self.K)) < means_TK).astype(float)
        return Scenario(rewards=rewards, means=means_TK, feedback="bandit", regret="pseudo")


class _Contract(EnvironmentContract):
    def make(self, K: int, T: int) -> Environment:
        return Steady(K, T)


def test_the_contract_catches_an_environment_whose_places_tell() -> None:
    with pytest.raises(AssertionError, match="position 2 earns more than"):
        _Contract().test_no_position_earns_more_than_another()


def test_the_contract_lets_places_stay_that_are_said_to_stay_on_purpose() -> None:
    contract = _Contract()
    contract.ordered = True
    contract.test_no_position_earns_more_than_another()


class Cases(Steady):
    """A class over a fixed set of cases, each split with its own."""

    def draw_from(self, split: str, rng: np.random.Generator) -> Scenario:
        level = {"train": 0.1, "validation": 0.2, "test": 0.3}[split]
        table = np.full((self.T, self.K), level)
        return Scenario(rewards=table, means=table, feedback="bandit", regret="pseudo")


def test_a_class_of_ones_own_over_fixed_cases_is_asked_for_those_of_the_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(name: str, folder: Path) -> type[Cases]:
        return Cases

    monkeypatch.setattr("rmft_api.environments.registry._own", found)
    problems = [ConcreteProblem("cases", 3, 4)]
    levels = (0.1, 0.2, 0.3)
    for level, split in zip(levels, get_args(Split), strict=True):
        assert set(environments.draw(problems, 1, split, 0, 0).rewards.ravel()) == {level}
