"""Means with intervals, and differences on the same scenarios.

The scenario is the unit of chance: trajectories of one scenario share a table, so they are averaged
first and an interval is over scenarios. Comparisons are paired by scenario (common random numbers).
"""

import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rmft_api.core import seeds
from rmft_api.core.records import Interval, Record, Scored
from rmft_api.statistics import student
from rmft_api.statistics.arrays import LEVEL, Floats, checked
from rmft_api.statistics.skewed import drop_interval


class Comparison(Record, frozen=True):
    """Two players on the same scenarios."""

    drop: Interval
    """Of regret, from the other to ours: above 0 ours is better."""
    p: float
    """Two-sided, paired t."""
    p_holm: float
    """The same, corrected for all comparisons made at once."""


def mean_interval(values: Sequence[float] | Floats, level: float = LEVEL) -> Interval:
    """Mean with its Student t interval, for figures that are not skewed much.

    One value alone has an infinite one. Regrets and their differences: `skewed`.
    """
    array = checked(values)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, -math.inf, math.inf)
    reach = student.quantile(0.5 + level / 2, len(array) - 1) * _error(array)
    return Interval(mean, mean - reach, mean + reach)


def share_interval(successes: float, count: int, level: float = LEVEL) -> Interval:
    """A share with its exact interval (Clopper-Pearson 1934), which holds however few it is of.

    `successes` may be a sum of shares: their mean varies less than that of yes and no.
    """
    if not 0 <= successes <= count or not count:
        raise ValueError(f"{successes} of {count} is no share")
    tail = (1.0 - level) / 2.0
    low = student.beta_quantile(tail, successes, count - successes + 1) if successes else 0.0
    failures = count - successes
    high = 1.0 - student.beta_quantile(tail, failures, successes + 1) if failures else 1.0
    return Interval(successes / count, low, high)


def bootstrap_interval(
    values: Sequence[float] | Floats, seed: int = 0, level: float = LEVEL, samples: int = 2000
) -> Interval:
    """Mean with its percentile bootstrap interval, for figures that are far from normal."""
    array = checked(values)
    means = resampling(len(array), samples, seed) @ array
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2]).tolist()
    return Interval(float(array.mean()), low, high)


@functools.lru_cache(maxsize=8)
def resampling(count: int, samples: int, seed: int) -> Floats:
    """Weights, samples x count, of a bootstrap of `count` things: rows sum to 1. Read-only."""
    drawn_BN = seeds.rng(seed, "bootstrap", count).integers(count, size=(samples, count))
    places_BN = drawn_BN + count * np.arange(samples)[:, None]
    times = np.bincount(places_BN.ravel(), minlength=samples * count)
    weights_BN = times.reshape(samples, count) / count
    weights_BN.flags.writeable = False
    return weights_BN


def by_scenario(scored: Iterable[Scored]) -> dict[int, float]:
    """Mean regret of each scenario's trajectories, by the scenario's number."""
    return averaged((s.address.scenario, s.regret) for s in scored)


def averaged(figures: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Mean figure of each scenario, in the scenarios' order."""
    groups: defaultdict[int, list[float]] = defaultdict(list)
    for scenario, figure in figures:
        groups[scenario].append(figure)
    return {scenario: sum(groups[scenario]) / len(groups[scenario]) for scenario in sorted(groups)}


def paired_drop(
    before: Mapping[int, float], after: Mapping[int, float], level: float = LEVEL
) -> Interval:
    """What regret fell by from `before` to `after`, scenario by scenario (`drop_interval`).

    Raises ValueError unless both played the same scenarios.
    """
    return drop_interval(_differences(before, after), level)


def compare(
    ours: Mapping[int, float], others: Mapping[str, Mapping[int, float]]
) -> dict[str, Comparison]:
    """Ours against each of the others on the same scenarios, Holm-corrected."""
    differences = {name: _differences(theirs, ours) for name, theirs in others.items()}
    ps = {name: paired_p(difference) for name, difference in differences.items()}
    corrected = holm(ps)
    return {
        name: Comparison(drop_interval(differences[name]), ps[name], corrected[name])
        for name in others
    }


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for being several: the chance of any false one stays at its level."""
    corrected: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(ps, key=lambda name: ps[name])):
        highest = max(highest, min(1.0, ps[name] * (len(ps) - rank)))
        corrected[name] = highest
    return {name: corrected[name] for name in ps}


def _differences(before: Mapping[int, float], after: Mapping[int, float]) -> Floats:
    if before.keys() != after.keys():
        alone = sorted(before.keys() ^ after.keys())
        raise ValueError(
            f"{len(alone)} scenarios were played by one side only, the first is {alone[0]}; "
            "compare on the same scenarios"
        )
    return np.array([before[scenario] - after[scenario] for scenario in sorted(before)])


def paired_p(differences: Floats) -> float:
    """Two-sided p of a mean difference of 0, one difference a scenario: paired t."""
    if len(differences) < 2:
        return 1.0
    error = _error(differences)
    mean = float(differences.mean())
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return student.two_sided(mean / error, len(differences) - 1)


def _error(array: Floats) -> float:
    return float(array.std(ddof=1)) / math.sqrt(len(array))
