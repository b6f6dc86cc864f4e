import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api import statistics
from rmft_api.core.records import Address, Regrets, Scored
from rmft_api.selection.regret import Floats
from rmft_api.statistics import student


def numbered(figures: Floats) -> dict[int, float]:
    return {scenario: float(figure) for scenario, figure in enumerate(figures)}


# Printed tables: quantiles of Student's t.
QUANTILES = [
    (0.975, 1, 12.7062),
    (0.975, 4, 2.7764),
    (0.975, 49, 2.0096),
    (0.95, 10, 1.8125),
    (0.995, 30, 2.7500),
    (0.975, 1e6, 1.9600),
]


@pytest.mark.parametrize(("p", "freedom", "t"), QUANTILES)
def test_students_quantiles_are_the_printed_ones(p: float, freedom: float, t: float) -> None:
    assert student.quantile(p, freedom) == pytest.approx(t, abs=1e-4)
    assert student.quantile(1 - p, freedom) == pytest.approx(-t, abs=1e-4)


@settings(deadline=None)
@given(st.floats(0.001, 0.999), st.integers(1, 500))
def test_students_quantile_undoes_its_distribution(p: float, freedom: int) -> None:
    assert student.cdf(student.quantile(p, freedom), freedom) == pytest.approx(p, abs=1e-9)


def test_one_degree_of_freedom_is_cauchy_and_infinity_is_certain() -> None:
    for t in (-3.0, -0.5, 0.0, 2.0):
        assert student.cdf(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi)
    assert (student.cdf(math.inf, 5), student.cdf(-math.inf, 5)) == (1, 0)
    assert student.two_sided(2.0096, 49) == pytest.approx(0.05, abs=1e-5)
    with pytest.raises(ValueError, match="is not a probability"):
        student.quantile(1.0, 5)


def test_a_mean_comes_with_its_student_interval() -> None:
    interval = statistics.mean_interval([1.0, 2.0, 3.0, 4.0])
    reach = 3.1824 * math.sqrt(5 / 3) / 2
    assert interval.mean == 2.5
    assert (interval.low, interval.high) == pytest.approx((2.5 - reach, 2.5 + reach), abs=1e-3)


def test_one_figure_alone_says_nothing_about_chance() -> None:
    interval = statistics.mean_interval([3.0])
    assert (interval.mean, interval.low, interval.high) == (3.0, -math.inf, math.inf)


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "at least one figure"), ([1.0, math.nan], "must be finite, got nan")],
)
def test_figures_that_cannot_be_averaged_are_refused(values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        statistics.mean_interval(values)
    with pytest.raises(ValueError, match=message):
        statistics.bootstrap_interval(values)


@pytest.mark.parametrize("method", ["student", "bootstrap"])
def test_95_percent_intervals_hold_95_percent_of_the_time(method: str) -> None:
    rng = np.random.default_rng(0)
    make = {"student": statistics.mean_interval, "bootstrap": statistics.bootstrap_interval}[method]
    held = 0
    for _ in range(400):
        interval = make(rng.exponential(1.0, 60))
        held += interval.low <= 1.0 <= interval.high
    assert 0.90 <= held / 400 <= 0.98


def test_a_bootstrap_is_the_same_for_the_same_seed() -> None:
    values = list(range(20))
    first = statistics.bootstrap_interval(values, seed=1)
    assert first == statistics.bootstrap_interval(values, seed=1)
    assert first != statistics.bootstrap_interval(values, seed=2)


# Printed: Clopper and Pearson's 95 % limits.
@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(0, 10, 0.0, 0.3085), (3, 10, 0.0667, 0.6525), (10, 10, 0.6915, 1.0), (5, 50, 0.0333, 0.2181)],
)
def test_a_share_has_the_exact_interval(
    successes: int, count: int, low: float, high: float
) -> None:
    found = statistics.share_interval(successes, count)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    with pytest.raises(ValueError, match="no share"):
        statistics.share_interval(count + 1, count)


def scored(scenario: int, trajectory: int, regret: float) -> Scored:
    return Scored(
        address=Address(split="test", iteration=0, scenario=scenario, trajectory=trajectory),
        kind="pseudo",
        regrets=Regrets(0, 0, regret, 0, 0, 0),
        reward=0.5,
        pulls=(1, 1),
        valid=1.0,
    )


def test_trajectories_of_a_scenario_count_as_one_figure() -> None:
    figures = statistics.by_scenario(
        [scored(4, 0, 1.0), scored(2, 0, 5.0), scored(4, 1, 3.0), scored(4, 2, 5.0)]
    )
    assert figures == {2: 5.0, 4: 3.0}
    assert list(figures) == [2, 4]


def test_pairing_takes_the_scenarios_chance_out_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    luck = rng.normal(10, 5, 40)
    before = numbered(luck)
    after = numbered(luck - 1 + rng.normal(0, 0.2, 40))
    drop = statistics.paired_drop(before, after)
    assert drop.mean == pytest.approx(1.0, abs=0.1)
    assert drop.high - drop.low < 0.2


def test_only_the_same_scenarios_can_be_compared() -> None:
    with pytest.raises(
        ValueError, match="2 scenarios were played by one side only, the first is 1"
    ):
        statistics.paired_drop({0: 1.0, 1: 2.0}, {0: 1.0, 3: 2.0})


def test_a_comparison_says_which_others_are_beaten() -> None:
    rng = np.random.default_rng(0)
    ours = numbered(rng.normal(3, 1, 50))
    worse = {i: v + 1 + float(rng.normal(0, 0.5)) for i, v in ours.items()}
    alike = {i: v + float(rng.normal(0, 0.5)) for i, v in ours.items()}
    table = statistics.compare(ours, {"worse": worse, "alike": alike, "same": ours})
    assert table["worse"].drop.low > 0
    assert table["worse"].p_holm < 0.001
    assert table["alike"].p_holm > 0.05
    assert (table["same"].p, table["same"].drop.mean) == (1.0, 0.0)
    assert statistics.compare({0: 1.0}, {"other": {0: 2.0}})["other"].p == 1.0
    assert statistics.compare({0: 1.0, 1: 2.0}, {"o": {0: 2.0, 1: 3.0}})["o"].p == 0.0


def test_holm_corrects_the_smallest_most_and_never_reverses_the_order() -> None:
    corrected = statistics.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_a_corrected_p_is_a_probability_no_smaller_than_it_was(ps: dict[str, float]) -> None:
    corrected = statistics.holm(ps)
    assert list(corrected) == list(ps)
    for name, p in ps.items():
        assert p <= corrected[name] <= 1


def test_holm_keeps_the_chance_of_any_false_alarm() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        ours = numbered(rng.normal(0, 1, 20))
        others = {str(i): numbered(rng.normal(0, 1, 20)) for i in range(5)}
        table = statistics.compare(ours, others)
        alarms += any(comparison.p_holm < 0.05 for comparison in table.values())
    assert alarms / 300 <= 0.07
