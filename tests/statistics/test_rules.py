import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.core.records import Interval
from rmft_api.statistics import StoppingRule, doubling, gate, mean_interval


def test_an_evaluation_stops_as_soon_as_its_interval_is_narrow() -> None:
    rule = StoppingRule(half_width=0.5, looks=(10, 20, 40))
    wide, narrow = [0.0, 4.0] * 5, [0.0, 0.1] * 10
    first = rule.look(wide)
    assert (first.stop, first.more) == (False, 20)
    second = rule.look(narrow)
    assert (second.stop, second.more) == (True, None)


def test_the_last_look_stops_whatever_it_sees() -> None:
    rule = StoppingRule(half_width=1e-6, looks=(2, 4))
    last = rule.look([0.0, 9.0, 1.0, 5.0])
    assert (last.stop, last.more) == (True, None)


def test_several_looks_cost_width() -> None:
    values = np.random.default_rng(0).normal(0, 1, 20)
    single = StoppingRule(half_width=0.1, looks=(20,)).look(values).interval
    several = StoppingRule(half_width=0.1, looks=(5, 10, 20, 40)).look(values).interval
    assert single == mean_interval(values)
    assert several.high - several.low > single.high - single.low


def test_an_interval_at_which_a_rule_stops_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    rule = StoppingRule(half_width=0.35, looks=doubling(8, 64))
    held = 0
    for _ in range(600):
        values = rng.normal(1.0, 1.0, 64)
        looks = (rule.look(values[:count]) for count in rule.looks)
        interval = next(look.interval for look in looks if look.stop)
        held += interval.low <= 1.0 <= interval.high
    assert held / 600 >= 0.95


def test_values_between_looks_are_not_looked_at() -> None:
    with pytest.raises(ValueError, match=r"3 scenarios are none of the looks \(2, 4\)"):
        StoppingRule(half_width=1.0, looks=(2, 4)).look([1.0, 2.0, 3.0])


@pytest.mark.parametrize("looks", [(), (1, 4), (4, 4), (8, 4)])
def test_looks_must_rise(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        StoppingRule(half_width=1.0, looks=looks)


@pytest.mark.parametrize("half_width", [0.0, -1.0, float("nan")])
def test_a_half_width_must_be_reachable(half_width: float) -> None:
    with pytest.raises(ValueError, match="half_width"):
        StoppingRule(half_width=half_width, looks=(2,))


@given(st.integers(2, 50), st.integers(2, 5000))
def test_doubling_looks_rise_to_the_most(first: int, most: int) -> None:
    looks = doubling(first, most)
    assert looks[-1] == most
    assert list(looks) == sorted(set(looks))
    assert all(b <= 2 * a for a, b in itertools.pairwise(looks))


BETTER, UNCLEAR = Interval(1.0, 0.5, 1.5), Interval(-0.1, -0.6, 0.4)


@pytest.mark.parametrize(
    ("drops", "worse", "decision"),
    [
        ([], False, "continue"),
        ([BETTER], False, "continue"),
        ([UNCLEAR], False, "continue"),
        ([UNCLEAR], True, "fall_back"),
        ([BETTER, UNCLEAR], True, "fall_back"),
        ([UNCLEAR, UNCLEAR], True, "stop"),
        ([BETTER, UNCLEAR, UNCLEAR], False, "stop"),
        ([UNCLEAR, UNCLEAR, BETTER], False, "continue"),
    ],
)
def test_the_gate_goes_on_stops_or_falls_back(
    drops: list[Interval], worse: bool, decision: str
) -> None:
    assert gate(drops, worse) == decision


def test_the_gate_has_the_patience_it_is_given() -> None:
    assert gate([UNCLEAR, UNCLEAR], False, patience=3) == "continue"
    assert gate([UNCLEAR, UNCLEAR, UNCLEAR], False, patience=3) == "stop"
    assert gate([BETTER, BETTER], False, least=2.0) == "stop"
