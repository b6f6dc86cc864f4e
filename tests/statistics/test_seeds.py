"""Intervals over seeds and scenarios hold the true mean, and say nothing for too few seeds."""

import numpy as np
import pytest

from rmft_api import statistics
from rmft_api.selection.regret import Floats
from rmft_api.statistics import outlying_seeds, pooled_interval, pooled_share, unseen_share


def drawn(rng: np.random.Generator, seeds: int, effect: float, M: int = 40) -> list[Floats]:
    """Skewed regrets of mean 0 and deviation 1, moved by each seed's own effect."""
    return [rng.exponential(1.0, M) - 1.0 + effect * rng.standard_normal() for _ in range(seeds)]


@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize("effect", [0.0, 0.3, 1.0])
def test_the_interval_holds_the_mean_of_the_method(seeds: int, effect: float) -> None:
    rng = np.random.default_rng(seeds)
    found = [pooled_interval(drawn(rng, seeds, effect)) for _ in range(600)]
    held = sum(one.low <= 0.0 <= one.high for one in found) / 600
    assert held >= 0.94


def test_pooling_as_if_all_scenarios_were_alike_would_miss_it() -> None:
    rng = np.random.default_rng(1)
    groups = [drawn(rng, 5, 1.0) for _ in range(300)]
    naive = [statistics.mean_interval(np.concatenate(group)) for group in groups]
    assert sum(one.low <= 0.0 <= one.high for one in naive) < 0.6 * 300


def test_few_seeds_have_a_mean_and_no_interval() -> None:
    found = pooled_interval([np.ones(100), np.zeros(100)])
    assert found.mean == 0.5
    assert not found.known


def test_it_is_no_narrower_than_scenarios_alone_allow_and_never_below_what_is_possible() -> None:
    rng = np.random.default_rng(0)
    one = rng.exponential(1.0, 50)
    alike = pooled_interval([one, one, one], least=0.0)
    assert alike.high - alike.low > 2 * 4.3 * one.std(ddof=1) / np.sqrt(150)
    assert pooled_interval([np.array([0.0, 0.1])] * 3, least=0.0).low == 0.0


def test_all_seeds_count_alike() -> None:
    assert pooled_interval([np.zeros(10), np.ones(90), np.ones(5)]).mean == pytest.approx(2 / 3)


def test_a_share_is_of_the_means_of_all_seeds() -> None:
    rng = np.random.default_rng(0)
    possible = [rng.exponential(2.0, 60) + 1.0 for _ in range(5)]
    share = pooled_share([0.7 * one for one in possible], possible)
    assert share is not None
    assert (share.mean, share.low, share.high) == pytest.approx((0.7, 0.7, 0.7))
    assert pooled_share(possible, [one * 0.0 for one in possible]) is None
    few = pooled_share([0.5 * one for one in possible[:2]], possible[:2])
    assert few is not None
    assert (few.mean, few.known) == (pytest.approx(0.5), False)


def test_a_seed_far_from_the_others_is_found_and_even_ones_seldom_are() -> None:
    rng = np.random.default_rng(2)
    groups = drawn(rng, 6, 0.2)
    assert outlying_seeds([*groups, groups[0] + 6.0]) == (6,)
    assert outlying_seeds(groups[:3]) == ()
    even = [outlying_seeds([rng.standard_normal(30) for _ in range(5)]) for _ in range(600)]
    assert sum(map(bool, even)) <= 0.08 * 600


def test_what_may_go_wrong_unseen_gets_rarer_with_seeds() -> None:
    assert unseen_share(5) == pytest.approx(0.451, abs=1e-3)
    assert (1 - unseen_share(5)) ** 5 == pytest.approx(0.05)
    assert unseen_share(20) < 0.15
