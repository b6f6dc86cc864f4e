import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.selection.regret import Floats
from rmft_api.statistics import mean_interval, rise, rise_by_chance


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def skewed(random: np.random.Generator, N: int, M: int) -> Floats:
    """Regrets of M models that are alike: a few scenarios cost much."""
    hard_N1 = random.lognormal(0, 1, (N, 1))
    return hard_N1 * random.exponential(1.0, (N, M))


def test_the_rise_is_above_the_best_of_all_models_before() -> None:
    assert rise(np.array([[4.0, 2.0, 3.0], [4.0, 2.0, 5.0]])) == 2.0
    assert rise(np.array([[4.0, 2.0, 1.0], [4.0, 2.0, 1.0]])) == -1.0


def falls_back(figures_NM: Floats, error: float) -> bool:
    return rise(figures_NM) > rise_by_chance(figures_NM, error, rng())


@pytest.mark.parametrize("N", [6, 24])
def test_models_that_are_alike_are_seldom_taken_for_worse(N: int) -> None:
    random = np.random.default_rng(1)
    found = [falls_back(skewed(random, N, 4), 0.05) for _ in range(300)]
    assert sum(found) / 300 <= 0.08  # .05 and three standard errors


def test_the_luckiest_of_several_is_not_what_the_newest_is_held_against_by_itself() -> None:
    """What an interval around the difference to the luckiest says: wrong three times as often."""
    random, naive = np.random.default_rng(1), 0
    for _ in range(300):
        figures = skewed(random, 24, 6)
        luckiest = figures[:, figures[:, :-1].mean(axis=0).argmin()]
        naive += mean_interval(luckiest - figures[:, -1], 0.9).high < 0
    assert naive / 300 >= 0.12


def test_a_model_that_got_much_worse_is_found_out() -> None:
    figures = skewed(rng(), 24, 4)
    figures[:, -1] += 3.0
    assert falls_back(figures, 0.01)
    figures[:, -1] -= 6.0
    assert not falls_back(figures, 0.5)


def test_equal_figures_have_no_rise_at_all() -> None:
    assert rise_by_chance(np.ones((5, 3)), 0.05, rng()) == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(2, 5))
def test_less_error_asks_for_a_larger_rise(N: int, M: int) -> None:
    figures = skewed(rng(), N, M)
    limits = [rise_by_chance(figures, error, rng()) for error in (0.2, 0.05, 0.01)]
    assert limits == sorted(limits)


@pytest.mark.parametrize(
    ("figures", "error", "message"),
    [
        (np.ones((3, 1)), 0.05, "2 models or more"),
        (np.ones((0, 3)), 0.05, "2 models or more"),
        (np.ones((3, 2)), 0.0, "is not a probability"),
    ],
)
def test_what_cannot_be_dealt_is_refused(figures: Floats, error: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rise_by_chance(figures, error, rng())
