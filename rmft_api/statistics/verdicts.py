"""Whether a claim holds: a rule on its effect over seeds, and the seeds that would decide it.

The effect is stated so that above 0 the claim is right, and `margin` is the least effect that
matters. The claim *holds* where the whole interval lies above 0. It *does not hold* where the whole
interval lies below the margin: the effect is absent, reversed or too small to matter. Otherwise it
is *undecided*, and the number of seeds is given that would decide it with a probability of .8, were
the effect and the spread over seeds as they were seen.
"""

from collections.abc import Sequence
from typing import Literal

from rmft_api.core.records import Interval, Record
from rmft_api.statistics.arrays import Floats
from rmft_api.statistics.seeds import expected_reach, pooled_error, pooled_interval

Outcome = Literal["holds", "does not hold", "undecided"]
MOST_SEEDS = 1000
"""Where more seeds would be needed, none are named: the effect is next to the margin or to 0."""


class Verdict(Record, frozen=True):
    """What the seeds say about one claim."""

    outcome: Outcome
    effect: Interval
    margin: float
    seeds: int
    seeds_needed: int | None
    """Seeds that would decide it; None where it is decided, or more than `MOST_SEEDS` would."""


def outcome_of(effect: Interval, margin: float) -> Outcome:
    """The rule. Raises ValueError for a margin below 0."""
    if not margin >= 0.0:
        raise ValueError(f"margin={margin} must be 0 or more: above 0 the claim is right")
    if effect.high < margin:
        return "does not hold"
    return "holds" if effect.low > 0.0 else "undecided"


def verdict_of(groups: Sequence[Floats], margin: float) -> Verdict:
    """The verdict on effects by seed, one figure a scenario."""
    effect = pooled_interval(groups)
    outcome = outcome_of(effect, margin)
    needed = None
    if outcome == "undecided" and len(groups) > 1:
        needed = _seeds_needed(effect.mean, margin, pooled_error(groups), len(groups))
    return Verdict(outcome, effect, margin, len(groups), needed)


def _seeds_needed(mean: float, margin: float, error: float, seeds: int) -> int | None:
    """The fewest seeds whose interval would leave out 0 or the margin, whichever is further."""
    distance = max(mean, margin - mean)
    low, high = max(3, seeds + 1), MOST_SEEDS
    if expected_reach(error, seeds, high) > distance:
        return None
    while low < high:
        middle = (low + high) // 2
        enough = expected_reach(error, seeds, middle) <= distance
        low, high = (low, middle) if enough else (middle + 1, high)
    return low
