"""Every built-in family keeps the contract that a user's own environment inherits."""

from typing import get_args

import numpy as np
import pytest

from rmft_api import environments
from rmft_api.environments import (
    Environment,
    Scenario,
    noise,
    nonstationary,
    online_learning,
)
from rmft_api.environments.nonstationary import change_points
from rmft_api.environments.online_learning import OnlineLearning
from rmft_api.selection.regret import Floats
from rmft_api.testing import EnvironmentContract

REWARDS = get_args(noise.Reward)
MOVES = get_args(nonstationary.Process)
SEQUENCES = get_args(online_learning.Process)
CASES: list[tuple[str, dict[str, object]]] = [
    *(("bandit", dict[str, object](reward=reward)) for reward in REWARDS),
    ("bandit", {"gap": 0.3}),
    *(("nonstationary", dict[str, object](process=p, reward="gaussian")) for p in MOVES),
    *(("online_learning", dict[str, object](process=p)) for p in SEQUENCES),
    ("contextual", {}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda case: str(case))
class TestEveryBuiltIn(EnvironmentContract):
    name: str
    options: dict[str, object]

    @pytest.fixture(autouse=True)
    def _case(self, name: str, options: dict[str, object]) -> None:
        self.name, self.options = name, options

    def make(self, K: int, T: int) -> Environment:
        return environments.make(self.name, K, T, self.options)


class TestUnclippedGaussian(EnvironmentContract):
    bounded = False

    def make(self, K: int, T: int) -> Environment:
        return environments.make("bandit", K, T, {"reward": "gaussian", "clip": False, "sd": 2.0})


def drawn(name: str, K: int, T: int, index: int = 0, **options: object) -> Scenario:
    return environments.make(name, K, T, options).draw(np.random.default_rng(index))


def test_unclipped_gaussian_rewards_leave_the_unit_interval() -> None:
    scenario = drawn("bandit", 3, 200, reward="gaussian", clip=False, sd=2.0)
    assert scenario.rewards.min() < 0 < 1 < scenario.rewards.max()


@pytest.mark.parametrize(
    ("instance", "K", "best", "rest"), [("hard", 5, 0.6, 0.4), ("easy", 4, 0.75, 0.25)]
)
def test_the_reference_bandits_have_their_published_means(
    instance: str, K: int, best: float, rest: float
) -> None:
    means_K = drawn("bandit", K, 10, instance=instance).means[0]
    assert sorted(means_K) == pytest.approx([rest] * (K - 1) + [best])


def test_the_best_action_may_stand_anywhere() -> None:
    places = {int(drawn("bandit", 5, 2, i, instance="hard").means[0].argmax()) for i in range(60)}
    assert places == set(range(5))


def test_given_means_are_dealt_out_in_a_drawn_order() -> None:
    orders = {tuple(drawn("bandit", 3, 2, i, means=[0.1, 0.5, 0.9]).means[0]) for i in range(60)}
    assert len(orders) == 6


def test_bernoulli_rewards_are_coins() -> None:
    assert set(np.unique(drawn("bandit", 3, 100).rewards)) == {0.0, 1.0}


@pytest.mark.parametrize("mean", [-0.3, 0.0, 0.5, 0.95, 1.4])
def test_the_mean_of_a_clipped_gaussian_is_what_its_samples_average_to(mean: float) -> None:
    samples = np.random.default_rng(0).normal(mean, 0.3, 400_000).clip(0, 1)
    told = float(noise.clipped_means(np.full((1, 2), mean), 0.3)[0, 0])
    assert told == pytest.approx(float(samples.mean()), abs=0.002)


def test_a_clipped_gaussian_bandit_knows_its_moved_means() -> None:
    scenario = drawn("bandit", 2, 20_000, reward="gaussian", means=[0.0, 0.5], sd=0.4)
    assert scenario.rewards.mean(axis=0) == pytest.approx(scenario.means[0], abs=0.01)
    assert scenario.facts["gap"] == pytest.approx(float(np.ptp(scenario.means[0])))
    assert scenario.facts["gap"] < 0.4


def test_moving_means_of_clipped_gaussians_are_moved_cell_by_cell() -> None:
    means_TK = np.array([[0.0, 0.5], [1.0, 0.5]])
    assert (
        noise.clipped_means(means_TK, 0.2)[0, 0] > 0 > noise.clipped_means(means_TK, 0.2)[1, 0] - 1
    )


@pytest.mark.parametrize("index", range(20))
def test_an_abrupt_change_always_brings_another_best_action(index: int) -> None:
    scenario = drawn("nonstationary", 3, 60, index, process="abrupt", switches=4)
    assert scenario.facts["switches"] == 4
    moves_T = np.abs(np.diff(scenario.means, axis=0)).max(axis=1)
    assert np.count_nonzero(moves_T) == 4
    assert scenario.facts["V_T"] == pytest.approx(moves_T.sum())


@pytest.mark.parametrize(("T", "count"), [(2, 1), (10, 9), (25, 1), (100, 4), (7, 3)])
def test_change_points_are_distinct_rounds_within_the_horizon(T: int, count: int) -> None:
    for index in range(30):
        points = change_points(np.random.default_rng(index), T, count)
        assert len(set(points)) == count
        assert points == sorted(points)
        assert all(0 < point < T for point in points)


def test_stretches_between_changes_are_never_shorter_than_half_their_share() -> None:
    for index in range(50):
        edges = [0, *change_points(np.random.default_rng(index), 100, 4), 100]
        assert min(np.diff(edges)) >= 9


def test_drifting_means_stay_within_the_unit_interval() -> None:
    means_TK = drawn("nonstationary", 4, 400, process="drift", speed=5.0).means
    assert 0 <= means_TK.min() < 0.1 < 0.9 < means_TK.max() <= 1


@pytest.mark.parametrize("index", range(10))
def test_following_the_leader_fails_on_alternating_rewards(index: int) -> None:
    rewards_TK = drawn("online_learning", 3, 100, index, process="alternating").rewards
    leaders_T = rewards_TK.cumsum(axis=0).argmax(axis=1)[:-1]
    assert rewards_TK[np.arange(1, 100), leaders_T].sum() == 0


def test_the_rotating_best_action_moves_on_in_doubling_blocks() -> None:
    best_T = drawn("online_learning", 3, 31, process="rotating").rewards.argmax(axis=1)
    assert np.flatnonzero(np.diff(best_T)).tolist() == [0, 2, 6, 14]


def test_a_shift_changes_the_best_action_once_before_the_middle() -> None:
    scenario = drawn("online_learning", 3, 100, process="shift")
    (turn,) = np.flatnonzero(np.abs(np.diff(scenario.means, axis=0)).max(axis=1))
    assert 33 <= turn + 1 <= 50
    assert scenario.facts["switches"] == 1


def test_the_adversary_pays_nothing_on_the_likeliest_action() -> None:
    scenario = drawn("online_learning", 3, 5, process="adaptive")
    faced = scenario.face(2, np.array([0.2, 0.5, 0.3]))
    assert faced[1] == 0
    assert faced[[0, 2]] == pytest.approx(scenario.rewards[2, [0, 2]])
    assert scenario.rewards.min() >= 0.8


def test_a_context_tells_the_very_numbers_that_decide() -> None:
    scenario = drawn("contextual", 3, 10, features=3, reward="uniform")
    assert scenario.contexts is not None
    assert scenario.features is not None
    told: list[Floats] = [
        np.array([float(part.split("=")[1]) for part in text.split(", ")])
        for text in scenario.contexts
    ]
    assert np.array_equal(np.stack(told), scenario.features)
    weights, *_ = np.linalg.lstsq(scenario.features, scenario.means)
    assert scenario.features @ weights == pytest.approx(scenario.means)


def test_without_a_number_of_changes_there_is_one_for_every_25_rounds() -> None:
    changes = drawn("nonstationary", 3, 100).facts["switches"]
    levels = len(np.unique(drawn("online_learning", 3, 100, process="piecewise").rewards, axis=0))
    assert (changes, levels) == (4, 5)


@pytest.mark.parametrize("T", [1, 2])
@pytest.mark.parametrize("process", ["piecewise", "rotating", "shift", "sine", "alternating"])
def test_the_shortest_horizons_can_be_played(process: str, T: int) -> None:
    scenario = OnlineLearning(K=2, T=T, process=process).draw(np.random.default_rng(0))  # pyright: ignore[reportArgumentType]
    assert scenario.T == T
