"""Means over the scenarios of several runs that differ in their seed alone.

Scenarios of one seed share its training, so they are no independent figures of the method: a seed
is. The interval is that of the seeds' means, each over its own scenarios, with Student's quantile
for so few. Its error is never taken to be smaller than what scenarios alone explain: with three
seeds their means lie close together by chance too often. Seeds' effects may be skewed, as when one
run in some goes wrong. So there is the skewness term of `skewed.py`, and five per cent more. The
constants were chosen by coverage, `benchmarks/seed_coverage.py`.
"""

import math
from collections.abc import Sequence

import numpy as np

from rmft_api.core.records import Interval
from rmft_api.statistics import student
from rmft_api.statistics.arrays import LEVEL, Floats

FEWEST_SEEDS = 3
"""Seeds from which on a mean has an interval."""
_WIDER = 1.05
_INFLATION = 6.0


def pooled_interval(
    groups: Sequence[Floats], level: float = LEVEL, least: float = -math.inf
) -> Interval:
    """The mean of the seeds' means, never below `least`; infinite ends below `FEWEST_SEEDS`.

    A group holds one seed's figures, one a scenario. All seeds count alike.
    """
    means_S = _means(groups)
    seeds, mean = len(means_S), float(means_S.mean())
    if seeds < FEWEST_SEEDS:
        return Interval(mean, -math.inf, math.inf)
    error = pooled_error(groups)
    if error == 0.0:
        return Interval(mean, mean, mean)
    t = student.quantile(0.5 + level / 2, seeds - 1)
    term = (4 / 3 + _INFLATION / seeds) * (2 * t * t + 1) / 6 / math.sqrt(seeds)
    skewness = _skewness(means_S)
    low = mean - error * (_WIDER * t + term * max(-skewness, 0.0))
    high = mean + error * (_WIDER * t + term * max(skewness, 0.0))
    return Interval(mean, max(least, low), high)


def pooled_error(groups: Sequence[Floats]) -> float:
    """The standard error of the mean of the seeds' means, of two seeds or more."""
    means_S = _means(groups)
    spread = float(means_S.std(ddof=1)) / math.sqrt(len(means_S))
    return max(spread, _within(groups))


def pooled_p(groups: Sequence[Floats]) -> float:
    """Two-sided p of a mean of 0, of two seeds or more: t over the seeds' means."""
    mean, error = float(_means(groups).mean()), pooled_error(groups)
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return student.two_sided(mean / error, len(groups) - 1)


def expected_reach(error: float, seeds: int, wanted: int, power: float = 0.8) -> float:
    """How far from the mean an effect must lie that `wanted` seeds show with this power.

    `error` is the standard error that `seeds` seeds have; seeds' means are taken as even.
    """
    each = error * math.sqrt(seeds / wanted)
    t = student.quantile(0.5 + LEVEL / 2, wanted - 1)
    return each * (_WIDER * t + student.quantile(power, wanted - 1))


def outlying_seeds(groups: Sequence[Floats], error: float = 0.05) -> tuple[int, ...]:
    """Places of the seeds whose mean lies too far from the others' to be one of them.

    Grubbs' test (1950), each seed against all others: where seeds' effects are normal, any is found
    in at most `error` of families. None is found among fewer than four seeds.
    """
    means_S = _means(groups)
    seeds = len(means_S)
    if seeds < FEWEST_SEEDS + 1:
        return ()
    most = student.quantile(1.0 - error / (2 * seeds), seeds - 2) * math.sqrt(1 + 1 / (seeds - 1))
    others = [np.delete(means_S, place) for place in range(seeds)]
    return tuple(
        place
        for place, rest in enumerate(others)
        if abs(means_S[place] - rest.mean()) > most * rest.std(ddof=1) + 1e-12
    )


def unseen_share(seeds: int, level: float = LEVEL) -> float:
    """The share of runs that may go wrong though none of so many seeds did (Clopper-Pearson)."""
    return 1.0 - (1.0 - level) ** (1.0 / seeds)


def pooled_share(
    gained: Sequence[Floats], possible: Sequence[Floats], level: float = LEVEL
) -> Interval | None:
    """The mean of what was gained over the mean of what was possible (`skewed.share_of`).

    None where the interval of what was possible is not above 0.
    """
    most = pooled_interval(possible, level)
    if not most.mean > 0.0 or (most.known and most.low <= 0.0):
        return None
    share = float(np.mean([group.mean() for group in gained])) / most.mean
    off = [mine - share * all_ for mine, all_ in zip(gained, possible, strict=True)]
    found = pooled_interval(off, level)
    if not found.known:
        return Interval(share, -math.inf, math.inf)
    return Interval(share, share + found.low / most.mean, share + found.high / most.mean)


def _means(groups: Sequence[Floats]) -> Floats:
    return np.array([float(group.mean()) for group in groups])


def _within(groups: Sequence[Floats]) -> float:
    """The error that scenarios alone give the mean of the seeds' means."""
    variances = [float(g.var(ddof=1)) / len(g) if len(g) > 1 else 0.0 for g in groups]
    return math.sqrt(sum(variances)) / len(groups)


def _skewness(means_S: Floats) -> float:
    sd = float(means_S.std())
    return 0.0 if sd == 0.0 else float(((means_S - means_S.mean()) ** 3).mean()) / sd**3
