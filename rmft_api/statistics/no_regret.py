"""Is regret sublinear? The two published tests for comparison, and what we decide on.

The published ones look at one curve alone. Uniform play, whose regret is linear, passes the
regression half of the time, and Thompson sampling seldom passes the trend, so neither decides here.
"""

import math
from collections.abc import Sequence

import numpy as np

from rmft_api.core.records import Interval, Record
from rmft_api.statistics import student
from rmft_api.statistics.arrays import Floats
from rmft_api.statistics.intervals import (
    LEVEL,
    mean_interval,
    resampling,
    share_interval,
)

FEWEST_DECIDED = 10
"""Scenarios below which nothing is decided."""
LEARNERS_LOCK_IN = 0.02
"""Share of plays that may lock in without a word: UCB1, UCB and Thompson sampling do in at most
.011 on the problems of `benchmarks/statistics_size_power.py`, greedy play in .14 to .38."""
FLOOR = math.exp(-10.0)
"""Stands for a regret of 0 or less where a logarithm is taken, as in arXiv 2403.16843."""


class Slope(Record, frozen=True):
    """log Regret(t) = slope log t + constant."""

    slope: float
    p: float
    """One-sided, of slope >= 1."""


class Decisions(Record, frozen=True):
    """What N plays say about regret over time; the unit is the scenario."""

    scenarios: int
    growth: Interval
    """(i) Log-log slope of the mean regret curve from T/4 on, bootstrapped: 1 is linear."""
    halves: Interval
    """(ii) Regret per round of the first half less that of the second, paired."""
    last_quarter: Interval
    """(iii) Regret per round of the last quarter: above 0 for all that still explore, too."""
    locked: Interval | None = None
    """(iv) Share of plays that lock in on an action that is not the best (`measures.locked_in`)."""

    @property
    def sublinear(self) -> bool:
        """Whether (i) shows a slope below 1."""
        return self.growth.high < 1.0

    @property
    def falling(self) -> bool:
        """Whether (ii) shows that later rounds cost less."""
        return self.halves.low > 0.0

    @property
    def still_paying(self) -> bool:
        """Whether (iii) shows that regret has not ended, by lock-in or because play explores."""
        return self.last_quarter.low > 0.0

    @property
    def locks_in(self) -> bool:
        """Whether (iv) shows more lock-ins than learners have.

        A play that tried the bad actions and then keeps the second best passes (i) and (ii): its
        regret falls, and is linear from there on. This finds it.
        """
        return self.locked is not None and self.locked.low > LEARNERS_LOCK_IN

    @property
    def verdict(self) -> str:
        """What is decided, in words; each of them at 95 %."""
        learnt = "falls" if self.learns else "not shown to fall"
        return f"{learnt}, locks in" if self.locks_in else learnt

    @property
    def learns(self) -> bool:
        """Both (i) and (ii): each at 2.5 %, so that linear regret passes both at most as often."""
        return self.sublinear and self.falling


def decide(
    per_round_NT: Floats,
    scenarios: Sequence[int] | None = None,
    seed: int = 0,
    locked_N: Floats | None = None,
) -> Decisions:
    """Decide on N plays of one horizon T >= 4, from `regret.per_round` of each.

    `scenarios` names each play's scenario, whose plays are averaged first; absent, all differ.
    `locked_N` is `measures.locked_in` of each play, or its mean. The difference to other players is
    `intervals.compare`.
    """
    if per_round_NT.ndim != 2 or per_round_NT.shape[1] < 4:
        raise ValueError(f"decide needs N x T with T >= 4, got shape {per_round_NT.shape}")
    rows_MT = per_round_NT if scenarios is None else _clustered(per_round_NT, scenarios)
    T = len(rows_MT[0])
    half, quarter = T // 2, T - max(1, T // 4)
    return Decisions(
        scenarios=len(rows_MT),
        growth=growth(rows_MT.cumsum(axis=1), seed),
        halves=mean_interval(rows_MT[:, :half].mean(axis=1) - rows_MT[:, T - half :].mean(axis=1)),
        last_quarter=mean_interval(rows_MT[:, quarter:].mean(axis=1)),
        locked=None if locked_N is None else _share(locked_N, scenarios),
    )


def _share(locked_N: Floats, scenarios: Sequence[int] | None) -> Interval:
    column = np.asarray(locked_N, dtype=np.float64)[:, None]
    shares = column if scenarios is None else _clustered(column, scenarios)
    return share_interval(float(shares.sum()), len(shares))


def growth(curves_NT: Floats, seed: int = 0, samples: int = 1000) -> Interval:
    """Log-log slope of the mean of N cumulative curves from T/4 on, bootstrapped over curves."""
    first = max(1, len(curves_NT[0]) // 4)
    late_NT = curves_NT[:, first - 1 :]
    means_BT = resampling(len(late_NT), samples, seed) @ late_NT
    low, high = np.quantile(_slopes(means_BT, first), [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]).tolist()
    return Interval(float(_slopes(late_NT.mean(axis=0)[None], first)[0]), low, high)


def trend(curve_T: Floats) -> float:
    """The published trend test of one cumulative curve: the p-value.

    s counts t with Regret(t)/t > Regret(t+1)/(t+1); p is the upper binomial tail of s out of T - 1
    at 1/2.
    """
    per_round_T = curve_T / np.arange(1, len(curve_T) + 1)
    falls = int((per_round_T[:-1] > per_round_T[1:]).sum())
    steps = len(curve_T) - 1
    return sum(math.comb(steps, s) for s in range(falls, steps + 1)) / 2**steps


def regression(curve_T: Floats) -> Slope:
    """The published regression test of one cumulative curve of T >= 3 rounds."""
    T = len(curve_T)
    if T < 3:
        raise ValueError(f"a regression needs T >= 3 rounds, got {T}")
    x_T = np.log(np.arange(1, T + 1))
    x_T = x_T - x_T.mean()
    y_T = np.log(np.maximum(curve_T, FLOOR))
    slope = float(x_T @ y_T / (x_T @ x_T))
    left_T = y_T - y_T.mean() - slope * x_T
    error = math.sqrt(float(left_T @ left_T) / (T - 2) / float(x_T @ x_T))
    if error < 1e-12:  # a straight line, up to rounding
        return Slope(slope, 0.0 if slope < 1.0 - 1e-9 else 1.0)
    return Slope(slope, student.cdf((slope - 1.0) / error, T - 2))


def _slopes(curves_BT: Floats, first: int) -> Floats:
    """Least-squares slopes of log curve on log t, for rounds from `first` on."""
    x_T = np.log(np.arange(first, first + len(curves_BT[0])))
    x_T = x_T - x_T.mean()
    return np.log(np.maximum(curves_BT, FLOOR)) @ x_T / (x_T @ x_T)


def _clustered(per_round_NT: Floats, scenarios: Sequence[int]) -> Floats:
    if len(scenarios) != len(per_round_NT):
        raise ValueError(f"{len(scenarios)} scenarios for {len(per_round_NT)} plays")
    numbers, places_N = np.unique(np.asarray(scenarios), return_inverse=True)
    sums_MT = np.zeros((len(numbers), len(per_round_NT[0])))
    np.add.at(sums_MT, places_N, per_round_NT)
    return sums_MT / np.bincount(places_N)[:, None]
