"""Intervals for means of regrets and of their differences, which are skewed and come in few.

Student's interval of a skewed mean misses on one side: of 24 regrets of a player that sometimes
locks in it holds 80 to 90 % of the time, not 95 %. The remedy is the skewness term of the expansion
of t (Johnson 1978, Hall 1992), moving the end on the side of the long tail outwards. The skewness
of few figures falls short of the true one, as they cannot show what is rare. So the term counts
more than once, the more the fewer they are; and where a regret cannot be negative it has a long
tail to expect, whether it was met or not. The constants were chosen by coverage and width on 32
families of regrets, `benchmarks/interval_coverage.py`: at least 93 % for all of them.

Below a number of scenarios no interval is given, for none could hold: what happens in every tenth
scenario, and decides the mean, is missed by 30 scenarios in 4 % of cases, by 24 in 8 %, by 10 in
35 %.
"""

import math
from collections.abc import Sequence

import numpy as np

from rmft_api.core.records import Interval
from rmft_api.statistics import student
from rmft_api.statistics.arrays import LEVEL, Floats, checked

FEWEST = 30
"""Scenarios from which on a mean regret has an interval."""
FEWEST_PAIRS = 24
"""The same for a paired difference, in which much of what is rare cancels."""
_UNLIKE = 3
"""Scenarios that must differ from the rest, where not all are equal."""
_ALIKE = 48
"""Scenarios from which on equal regrets are taken as equal."""


def regret_interval(
    regrets: Sequence[float] | Floats, level: float = LEVEL, least: float = -math.inf
) -> Interval:
    """The mean of regrets, one a scenario, which are never below `least`.

    The interval's ends are infinite where there are too few to say: below `FEWEST`, where one or
    two alone differ from all others, and below 48 where none does.
    """
    array = checked(regrets)
    unlike = int((array != np.median(array)).sum())
    fewest = FEWEST if unlike else _ALIKE
    if len(array) < fewest or 0 < unlike < _UNLIKE:
        return _unknown(array)
    found = _interval(array, level, inflation=100.0, expected=40.0)
    return Interval(found.mean, max(least, found.low), found.high)


def drop_interval(differences: Sequence[float] | Floats, level: float = LEVEL) -> Interval:
    """The mean of paired differences, one a scenario; infinite ends below `FEWEST_PAIRS`."""
    array = checked(differences)
    if len(array) < FEWEST_PAIRS:
        return _unknown(array)
    return _interval(array, level, inflation=60.0, expected=0.0)


def share_of(
    gained: Sequence[float] | Floats, possible: Sequence[float] | Floats, level: float = LEVEL
) -> Interval | None:
    """The mean of `gained` over the mean of `possible`, both by scenario, with its interval.

    That of gained - share x possible, whose mean is 0, in units of the mean of `possible` (the
    delta method). None where the interval of `possible` is not above 0: then a share of it means
    nothing.
    """
    gained_M, possible_M = checked(gained), checked(possible)
    most = drop_interval(possible_M, level)
    if not most.mean > 0.0 or (most.known and most.low <= 0.0):
        return None
    share = float(gained_M.mean()) / most.mean
    off = drop_interval(gained_M - share * possible_M, level)
    if not off.known:
        return Interval(share, -math.inf, math.inf)
    return Interval(share, share + off.low / most.mean, share + off.high / most.mean)


def _unknown(array: Floats) -> Interval:
    return Interval(float(array.mean()), -math.inf, math.inf)


def _interval(array: Floats, level: float, inflation: float, expected: float) -> Interval:
    """Skewness counts `inflation` / N times more; `expected` / N is added to it on the right."""
    N, mean, sd = len(array), float(array.mean()), float(array.std(ddof=1))
    if sd == 0.0:
        return Interval(mean, mean, mean)
    t = student.quantile(0.5 + level / 2, N - 1)
    skewness = float(((array - mean) ** 3).mean()) / float(array.std()) ** 3
    term = (4 / 3 + inflation / N) * (2 * t * t + 1) / 6 / math.sqrt(N)
    right, left = max(skewness, 0.0) + expected / N, max(-skewness, 0.0)
    error = sd / math.sqrt(N)
    return Interval(mean, mean - error * (t + term * left), mean + error * (t + term * right))
