"""Off-policy estimates: their published formulas, their intervals, what shares chance."""

import numpy as np
import pytest

from benchmarks.off_policy_coverage import Family, coverage, families
from rmft_api.statistics import off_policy
from rmft_api.statistics.off_policy import EvaluatedPolicy, LoggedRows

ROWS = LoggedRows(
    actions_N=np.array([0, 1, 1, 0]),
    rewards_N=np.array([1.0, 0.0, 1.0, 0.5]),
    propensities_N=np.array([0.5, 0.25, 0.5, 0.8]),
    expected_NA=np.array([[0.4, 0.2], [0.1, 0.3], [0.5, 0.5], [0.6, 0.2]]),
    users_N=np.arange(4),
)
POLICY = EvaluatedPolicy(np.array([[0.5, 0.5], [0.0, 1.0], [0.75, 0.25], [1.0, 0.0]]))


def test_the_estimators_are_the_published_ones_by_hand() -> None:
    # weights 1, 4, 0.5, 1.25
    found = {name: off_policy.estimate(name, ROWS, POLICY).value for name in ("ips", "snips", "dr")}
    assert found["ips"] == pytest.approx((1 + 0 + 0.5 + 0.625) / 4)
    assert found["snips"] == pytest.approx((1 + 0 + 0.5 + 0.625) / 6.75)
    direct = [0.3, 0.3, 0.5, 0.6]
    left = [1 * 0.6, 4 * -0.3, 0.5 * 0.5, 1.25 * -0.1]
    assert found["dr"] == pytest.approx((sum(direct) + sum(left)) / 4)


def test_overlap_is_kishs_effective_sample() -> None:
    found = off_policy.overlap(ROWS, POLICY)
    assert found.effective == pytest.approx(6.75**2 / (1 + 16 + 0.25 + 1.5625))
    assert (found.largest, found.mean) == (4.0, 6.75 / 4)


def test_answers_that_cannot_be_read_earn_nothing_by_any_estimator() -> None:
    rng = np.random.default_rng(0)
    N = 4000
    rows = LoggedRows(
        rng.integers(2, size=N),
        (rng.random(N) < 0.6).astype(np.float64),
        np.full(N, 0.5),
        np.full((N, 2), 0.6),
        np.arange(N),
    )
    half = EvaluatedPolicy(np.full((N, 2), 0.25))
    for name in ("ips", "snips", "dr"):
        assert off_policy.estimate(name, rows, half).value == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    "family",
    [one for one in families() if one.rows == 1000 and one.model != "right"],
    ids=str,
)
def test_intervals_hold_the_known_value(family: Family) -> None:
    found = coverage(family, 150, seed=1)
    assert min(found.values()) >= 0.91  # of 150 logs; the benchmark has 1000 and asks for 93 %


def test_rows_of_one_user_say_less_than_rows_of_many() -> None:
    rng = np.random.default_rng(1)
    own, N = rng.random(100).repeat(5), 500
    rewards_N = (own > 0.5).astype(np.float64)

    def width(users_N: off_policy.Ints) -> float:
        rows = LoggedRows(
            np.zeros(N, dtype=np.int64), rewards_N, np.full(N, 0.5), np.full((N, 2), 0.5), users_N
        )
        policy = EvaluatedPolicy(np.tile([0.5, 0.5], (N, 1)))
        found = off_policy.interval(rows, policy, off_policy.estimate("ips", rows, policy))
        return found.high - found.low

    assert width(np.arange(100).repeat(5)) > 1.8 * width(np.arange(N))


def test_few_answers_that_many_rows_share_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    N = 1000
    rows = LoggedRows(
        rng.integers(2, size=N),
        (rng.random(N) < 0.5).astype(np.float64),
        np.full(N, 0.5),
        np.tile([0.1, 0.9], (N, 1)),
        np.arange(N),
    )
    shares_NA = np.tile([0.5, 0.5], (N, 1))

    def width(samples: int | None) -> float:
        one = np.zeros(N, dtype=np.int64)
        drawn = None if samples is None else np.full(N, samples)
        policy = EvaluatedPolicy(shares_NA, None if samples is None else one, drawn)
        found = off_policy.interval(rows, policy, off_policy.estimate("ips", rows, policy))
        return found.high - found.low

    assert width(None) < width(1000) < width(8)


def test_a_difference_on_the_same_rows_is_narrower_than_two_values() -> None:
    rng = np.random.default_rng(3)
    N = 2000
    rows = LoggedRows(
        rng.integers(2, size=N),
        (rng.random(N) < 0.5).astype(np.float64),
        np.full(N, 0.5),
        np.full((N, 2), 0.5),
        np.arange(N),
    )
    one, other = (EvaluatedPolicy(np.tile(p, (N, 1))) for p in ([0.6, 0.4], [0.5, 0.5]))
    found = [(policy, off_policy.estimate("dr", rows, policy)) for policy in (one, other)]
    apart = off_policy.difference(rows, found[0], found[1])
    alone = off_policy.interval(rows, *found[0])
    assert apart.high - apart.low < 0.5 * (alone.high - alone.low)


def test_too_few_rows_have_no_interval() -> None:
    found = off_policy.interval(ROWS, POLICY, off_policy.estimate("dr", ROWS, POLICY))
    assert not found.known


def test_a_click_that_was_never_seen_has_no_interval() -> None:
    N = 400
    rows = LoggedRows(
        np.arange(N) % 2,
        (np.arange(N) % 200 == 1).astype(np.float64),
        np.full(N, 0.5),
        np.full((N, 2), 0.01),
        np.arange(N),
    )
    for shares in ([1.0, 0.0], [0.0, 1.0]):  # no click, and two
        policy = EvaluatedPolicy(np.tile(shares, (N, 1)))
        found = off_policy.interval(rows, policy, off_policy.estimate("dr", rows, policy))
        assert not found.known


def test_a_policy_that_the_log_never_shows_has_no_self_normalised_value() -> None:
    never = EvaluatedPolicy(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    found = off_policy.interval(ROWS, never, off_policy.estimate("snips", ROWS, never))
    assert not found.known
    assert off_policy.overlap(ROWS, never).effective == 0.0
