"""What a policy would have earned, from rows that another policy made (off-policy evaluation).

IPS (Horvitz and Thompson 1952), its self-normalised form SNIPS (Swaminathan and Joachims 2015) and
the doubly robust estimator (Dudik, Langford and Li 2011). Each is asymptotically a mean of one
influence per row; its interval is that of a skewed mean (`skewed.py`), over rows or over the users
that rows belong to, and holds for propensities that are known. `benchmarks/off_policy_coverage.py`
checks it against known values.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmft_api.core.records import Interval
from rmft_api.statistics import student
from rmft_api.statistics.arrays import LEVEL, Floats
from rmft_api.statistics.skewed import drop_interval

Estimator = Literal["ips", "snips", "dr"]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LoggedRows:
    """Rows of a log, axis N: what was shown, what it earned, how probably it was shown."""

    actions_N: Ints
    rewards_N: Floats
    propensities_N: Floats
    expected_NA: Floats
    """A reward model's prediction for every action."""
    users_N: Ints
    """Rows that are not independent of each other share a number."""


@dataclass(frozen=True, eq=False)
class EvaluatedPolicy:
    """What is evaluated: N x A probabilities. Where they sum to less than 1 the rest earns 0."""

    shares_NA: Floats
    prompts_N: Ints | None = None
    """Rows of one number share their probabilities, which are of a sample; None: they are known."""
    samples_N: Ints | None = None
    """How large that sample is."""


class Estimate(NamedTuple):
    """A value with what its error is made of."""

    value: float
    influence_N: Floats
    """Mean 0; its mean square over N is the estimate's variance."""
    slopes_NA: Floats
    """What a probability of a row adds to the value."""


class Overlap(NamedTuple):
    """How far the rows speak for a policy; weights are share / propensity."""

    effective: float
    """(sum w)^2 / sum w^2: so many rows of the policy's own would say as much."""
    largest: float
    """Weight."""
    mean: float
    """Weight: 1 up to chance, where propensities are right and the policy's actions are shown."""


def overlap(rows: LoggedRows, policy: EvaluatedPolicy) -> Overlap:
    """The weights that all three estimators rest on."""
    weights_N = _weights(rows, policy)
    squares = float((weights_N**2).sum())
    effective = float(weights_N.sum()) ** 2 / squares if squares else 0.0
    return Overlap(effective, float(weights_N.max()), float(weights_N.mean()))


def estimate(name: Estimator, rows: LoggedRows, policy: EvaluatedPolicy) -> Estimate:
    """The policy's mean reward."""
    weights_N, N = _weights(rows, policy), len(rows.rewards_N)
    shown_NA = np.zeros_like(policy.shares_NA)
    if name == "ips":
        terms_N = weights_N * rows.rewards_N
        shown_NA[np.arange(N), rows.actions_N] = rows.rewards_N / rows.propensities_N
        return Estimate(float(terms_N.mean()), terms_N - terms_N.mean(), shown_NA / N)
    if name == "snips":
        mean = float(weights_N.mean())
        if mean == 0.0:
            return Estimate(math.nan, np.zeros(N), shown_NA)
        ratio = float((weights_N * rows.rewards_N).mean()) / mean
        mass_N = policy.shares_NA.sum(axis=1)  # below 1 where some answers could not be read
        left_N = float(mass_N.mean()) * (rows.rewards_N - ratio) / mean
        shown_NA[np.arange(N), rows.actions_N] = left_N / rows.propensities_N
        influence_N = weights_N * left_N + ratio * (mass_N - mass_N.mean())
        return Estimate(ratio * float(mass_N.mean()), influence_N, (shown_NA + ratio) / N)
    shown_N = rows.expected_NA[np.arange(N), rows.actions_N]
    left_N = rows.rewards_N - shown_N
    terms_N = (policy.shares_NA * rows.expected_NA).sum(axis=1) + weights_N * left_N
    shown_NA[np.arange(N), rows.actions_N] = left_N / rows.propensities_N
    return Estimate(
        float(terms_N.mean()), terms_N - terms_N.mean(), (rows.expected_NA + shown_NA) / N
    )


def interval(
    rows: LoggedRows, policy: EvaluatedPolicy, found: Estimate, level: float = LEVEL
) -> Interval:
    """The value, with what chance among rows and among the policy's sampled answers explains."""
    if _is_silent(rows, policy):
        return Interval(found.value if math.isfinite(found.value) else 0.0, -math.inf, math.inf)
    return _interval(rows, found.value, found.influence_N, _sampling(policy, found), level)


def difference(
    rows: LoggedRows,
    one: tuple[EvaluatedPolicy, Estimate],
    other: tuple[EvaluatedPolicy, Estimate],
    level: float = LEVEL,
) -> Interval:
    """By how much `one` is above `other`, on the same rows."""
    (_, mine), (_, theirs) = one, other
    variance = _sampling(*one) + _sampling(*other)
    value = mine.value - theirs.value
    if _is_silent(rows, one[0]) or _is_silent(rows, other[0]):
        return Interval(value if math.isfinite(value) else 0.0, -math.inf, math.inf)
    return _interval(rows, value, mine.influence_N - theirs.influence_N, variance, level)


FEWEST_UNLIKE = 3
"""Rows with a weight that must earn something else than most of them do: of a click that was never
seen, no interval can say how rare it is."""


def _is_silent(rows: LoggedRows, policy: EvaluatedPolicy) -> bool:
    """Whether too few of the rows that speak for a policy differ in what they earned."""
    earned = rows.rewards_N[_weights(rows, policy) > 0]
    return not len(earned) or int((earned != np.median(earned)).sum()) < FEWEST_UNLIKE


def _weights(rows: LoggedRows, policy: EvaluatedPolicy) -> Floats:
    shares_N = policy.shares_NA[np.arange(len(rows.actions_N)), rows.actions_N]
    return shares_N / rows.propensities_N


def _interval(
    rows: LoggedRows, value: float, influence_N: Floats, sampling: float, level: float
) -> Interval:
    if not math.isfinite(value):
        return Interval(0.0, -math.inf, math.inf)
    _, places_N = np.unique(rows.users_N, return_inverse=True)
    sums_C = np.bincount(places_N, weights=influence_N)
    found = drop_interval(value + sums_C * len(sums_C) / len(influence_N), level)
    if not found.known:
        return Interval(value, found.low, found.high)
    z = student.quantile(0.5 + level / 2, max(1, len(sums_C) - 1))
    more = z * z * sampling
    low = value - math.sqrt((value - found.low) ** 2 + more)
    high = value + math.sqrt((found.high - value) ** 2 + more)
    return Interval(value, low, high)


def _sampling(policy: EvaluatedPolicy, found: Estimate) -> float:
    """Variance from answers that rows share: the draw of a multinomial, prompt by prompt.

    A prompt of one row has its own answers: what they vary by is in that row's influence.
    """
    if policy.prompts_N is None or policy.samples_N is None:
        return 0.0
    _, first_G, places_N, rows_G = np.unique(
        policy.prompts_N, return_index=True, return_inverse=True, return_counts=True
    )
    slopes_GA = np.zeros((len(first_G), policy.shares_NA.shape[1]))
    np.add.at(slopes_GA, places_N, found.slopes_NA)
    shares_GA = policy.shares_NA[first_G]
    mean_G = (shares_GA * slopes_GA).sum(axis=1)
    spread_G = (shares_GA * slopes_GA**2).sum(axis=1) - mean_G**2
    draws_G = np.maximum(policy.samples_N[first_G] - 1, 1)
    return float((np.maximum(spread_G, 0.0) / draws_G)[rows_G > 1].sum())
