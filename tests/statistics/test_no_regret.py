import math

import numpy as np
import pytest

from rmft_api import baselines, environments, statistics
from rmft_api.core.records import Interval
from rmft_api.environments import ConcreteProblem
from rmft_api.evaluation import measures
from rmft_api.selection import regret
from rmft_api.selection.regret import Floats
from rmft_api.statistics import student

N, T = 50, 100
HARD = ConcreteProblem("bandit", 5, T, {"instance": "hard"})


def per_round(name: str, sets: int, problem: ConcreteProblem = HARD) -> list[Floats]:
    """Per-round regret, N x T, of several sets of plays of fresh scenarios."""
    scenarios = [environments.draw([problem], 7, "test", 0, i) for i in range(sets * N)]
    plays = regret.stack(baselines.play(name, scenarios, 7))
    return list(regret.per_round(plays, scenarios[0].regret).reshape(sets, N, T))


def share_that_learns(name: str, sets: int) -> float:
    return sum(statistics.decide(rows).learns for rows in per_round(name, sets)) / sets


def test_uniform_play_is_not_taken_for_learning() -> None:
    assert share_that_learns("random", 60) <= 0.07


@pytest.mark.parametrize("name", ["ucb1", "thompson"])
def test_learners_are_found_out(name: str) -> None:
    assert share_that_learns(name, 20) >= 0.9


def test_uniform_play_passes_the_published_regression_half_of_the_time() -> None:
    curves = [rows[0].cumsum() for rows in per_round("random", 60)]
    passed = sum(statistics.regression(curve).p < 0.05 for curve in curves) / len(curves)
    assert 0.4 <= passed <= 0.7


def test_thompson_seldom_passes_the_published_trend_test() -> None:
    curves = [row.cumsum() for row in per_round("thompson", 2)[0]]
    passed = sum(statistics.trend(curve) < 0.05 for curve in curves) / len(curves)
    assert passed <= 0.5


def locked_on_second_best() -> Floats:
    """Plays that try the bad actions for ten rounds, then keep the second best, .1 below."""
    rng = np.random.default_rng(0)
    early = rng.choice([0.5, 0.3, 0.0], (N, 10))
    return np.hstack([early, np.full((N, T - 10), 0.1)])


def test_play_that_locks_onto_the_second_best_is_seen_to_lock_in() -> None:
    decisions = statistics.decide(locked_on_second_best(), locked_N=np.ones(N))
    assert decisions.falling
    assert decisions.still_paying
    assert decisions.last_quarter.mean == pytest.approx(0.1)
    assert decisions.locks_in
    assert decisions.verdict.endswith("locks in")


def share_that_locks_in(name: str, T: int, N: int, sets: int = 40) -> float:
    """Of sets of N plays of random bandits with three actions."""
    problem = ConcreteProblem("bandit", 3, T, {"reward": "bernoulli"})
    scenarios = [environments.draw([problem], 9, "test", 0, i) for i in range(sets * N)]
    plays = regret.stack(baselines.play(name, scenarios, 9))
    locked = measures.locked_in(plays, "pseudo").reshape(sets, N).astype(np.float64)
    rows = regret.per_round(plays, "pseudo").reshape(sets, N, T)
    found = [statistics.decide(r, locked_N=some) for r, some in zip(rows, locked, strict=True)]
    return sum(one.locks_in for one in found) / sets


@pytest.mark.parametrize("name", ["random", "ucb1", "thompson"])
def test_play_that_explores_is_not_said_to_lock_in(name: str) -> None:
    """Though it pays still in the last quarter."""
    assert share_that_locks_in(name, 25, 10) <= 0.05
    assert share_that_locks_in(name, 25, 50, 20) <= 0.05


def test_greedy_play_is_said_to_lock_in() -> None:
    assert share_that_locks_in("greedy", 25, 10) >= 0.5
    assert share_that_locks_in("greedy", 25, 50, 20) >= 0.9


def test_a_lock_in_is_one_action_that_is_not_the_best_to_the_end() -> None:
    means = np.tile([0.9, 0.5, 0.1], (6, 1))

    def play(*actions: int) -> regret.PlayArrays:
        return regret.PlayArrays(
            means, means, np.array(actions), regret.one_hot(np.array(actions), 3)
        )

    said = [
        bool(measures.locked_in(one, "pseudo"))
        for one in (
            play(0, 1, 2, 1, 1, 1),  # the second best
            play(0, 1, 2, 0, 0, 0),  # the best
            play(0, 1, 2, 1, 2, 1),  # still moving
            play(0, 1, 2, regret.UNREAD, regret.UNREAD, regret.UNREAD),
        )
    ]
    assert said == [True, False, False, False]


def test_lock_ins_are_shares_of_scenarios() -> None:
    rows, locked = np.random.default_rng(0).random((8, 12)), np.array([1.0, 0, 1, 1, 0, 0, 0, 0])
    found = statistics.decide(rows, [0, 0, 1, 1, 2, 2, 3, 3], locked_N=locked).locked
    assert found == statistics.share_interval(1.5, 4)


def test_play_that_finds_the_best_pays_no_more() -> None:
    rows = np.hstack([np.full((N, 20), 0.4), np.zeros((N, 80))])
    rows += np.random.default_rng(0).normal(0, 0.01, rows.shape)
    decisions = statistics.decide(rows)
    assert decisions.learns
    assert not decisions.still_paying


def test_halves_and_last_quarter_are_means_of_their_own_rounds() -> None:
    decisions = statistics.decide(np.array([[8.0, 6, 4, 4, 9, 2, 2, 1, 2]] * 3))
    assert decisions.halves.mean == pytest.approx((8 + 6 + 4 + 4) / 4 - (2 + 2 + 1 + 2) / 4)
    assert decisions.last_quarter.mean == pytest.approx(1.5)


def test_learning_needs_both_a_slope_below_one_and_cheaper_later_rounds() -> None:
    yes, no = Interval(0.5, 0.4, 0.6), Interval(0.9, -0.1, 1.1)
    for growth, halves, learns in ((yes, yes, True), (yes, no, False), (no, yes, False)):
        decisions = statistics.Decisions(
            scenarios=9, growth=growth, halves=halves, last_quarter=yes
        )
        assert decisions.learns is learns


@pytest.mark.parametrize(("power", "slope"), [(1.0, 1.0), (0.5, 0.5), (0.0, 0.0)])
def test_growth_is_the_exponent_of_the_mean_curve(power: float, slope: float) -> None:
    curves = np.outer(np.random.default_rng(0).uniform(0.5, 1.5, 20), np.arange(1, 101) ** power)
    growth = statistics.growth(curves)
    assert growth.mean == pytest.approx(slope)
    assert growth.low <= slope + 1e-9
    assert growth.high >= slope - 1e-9


def test_plays_of_one_scenario_are_one_observation() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((6, 40))
    copied = np.repeat(rows, 5, axis=0)
    scenarios = np.repeat(np.arange(6), 5).tolist()
    clustered, single = statistics.decide(copied, scenarios), statistics.decide(rows)
    assert clustered.halves.low == pytest.approx(single.halves.low)
    assert clustered.last_quarter.high == pytest.approx(single.last_quarter.high)
    naive = statistics.decide(copied)
    assert naive.halves.high - naive.halves.low < single.halves.high - single.halves.low


@pytest.mark.parametrize("shape", [(3,), (5, 3)])
def test_too_short_a_horizon_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="N x T with T >= 4"):
        statistics.decide(np.zeros(shape))
    with pytest.raises(ValueError, match="2 scenarios for 3 plays"):
        statistics.decide(np.zeros((3, 8)), [0, 1])


def test_the_trend_counts_falls_of_regret_per_round() -> None:
    falling = np.sqrt(np.arange(1.0, 11.0))
    rising = np.square(np.arange(1.0, 11.0))
    assert statistics.trend(falling) == pytest.approx(2.0**-9)
    assert statistics.trend(rising) == 1.0
    # Regret(t)/t = 1, .5, 1: one fall in two steps, P(S >= 1) = 3/4.
    assert statistics.trend(np.array([1.0, 1.0, 3.0])) == pytest.approx(0.75)


def test_the_regression_is_that_of_log_regret_on_log_t() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 50)
    curve = np.exp(0.6 * np.log(np.arange(1.0, 51.0)) + noise)
    x, y = np.log(np.arange(1, 51)), np.log(curve)
    (slope, constant), covariance = np.polyfit(x, y, 1, cov=True)
    fitted = statistics.regression(curve)
    assert fitted.slope == pytest.approx(slope)
    assert fitted.p == pytest.approx(student.cdf((slope - 1) / math.sqrt(covariance[0, 0]), 48))
    assert constant == pytest.approx(0, abs=0.2)


def test_a_regret_that_is_not_positive_counts_as_minus_ten() -> None:
    curve = np.array([0.0, -1.0, 1.0, 1.0])
    same = np.array([math.exp(-10), math.exp(-10), 1.0, 1.0])
    assert statistics.regression(curve) == statistics.regression(same)


def test_straight_lines_are_judged_without_dividing_by_nothing() -> None:
    assert statistics.regression(np.arange(1.0, 6.0)).p == 1
    assert statistics.regression(np.sqrt(np.arange(1.0, 6.0))).p == pytest.approx(0)
    with pytest.raises(ValueError, match="T >= 3"):
        statistics.regression(np.array([1.0, 2.0]))
