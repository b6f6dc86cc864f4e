"""A claim's verdict follows from its interval over seeds, and more seeds decide what is open."""

import numpy as np
import pytest

from rmft_api.core.records import Interval
from rmft_api.selection.regret import Floats
from rmft_api.statistics import Outcome, outcome_of, verdict_of


def drawn(seeds: int, mean: float, seed: int = 0) -> list[Floats]:
    """An effect by seed on 40 scenarios each, of deviation 1, moved by .2 a seed."""
    rng = np.random.default_rng(seed)
    return [mean + 0.2 * rng.standard_normal() + rng.standard_normal(40) for _ in range(seeds)]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.1, 0.9, "holds"),
        (-0.1, 0.9, "undecided"),
        (-0.1, 0.3, "does not hold"),
        (-0.9, -0.1, "does not hold"),
        (0.1, 0.3, "does not hold"),  # shown, and too small to matter
        (-np.inf, np.inf, "undecided"),
    ],
)
def test_the_rule_is_of_the_interval_and_the_margin_alone(
    low: float, high: float, outcome: Outcome
) -> None:
    assert outcome_of(Interval(0.5 * (low + high) if high < np.inf else 0.0, low, high), 0.4) == (
        outcome
    )


def test_a_margin_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="margin=-1"):
        outcome_of(Interval(0.0, -1.0, 1.0), -1.0)


def test_what_is_clear_is_decided_and_two_seeds_decide_nothing() -> None:
    assert verdict_of(drawn(5, 1.5), 0.3).outcome == "holds"
    assert verdict_of(drawn(5, -1.5), 0.3).outcome == "does not hold"
    two = verdict_of(drawn(2, 1.5), 0.3)
    assert two.outcome == "undecided"
    assert two.seeds_needed is not None


def test_the_seeds_that_are_said_to_decide_decide_about_as_often_as_they_should() -> None:
    """The power is .8 for the effect and the spread that were seen."""
    seen = drawn(20, 0.08, seed=1)
    by = 0.08 - float(np.mean([group.mean() for group in seen]))
    first = verdict_of([group + by for group in seen], 0.1)
    assert first.outcome == "undecided"
    assert first.seeds_needed is not None
    again = [verdict_of(drawn(first.seeds_needed, 0.08, seed), 0.1) for seed in range(100, 400)]
    assert 0.6 <= np.mean([one.effect.low > 0.0 for one in again]) <= 0.97


def test_an_effect_next_to_0_without_a_margin_names_no_number_of_seeds() -> None:
    groups = [group - group.mean() + 1e-6 for group in drawn(5, 0.0)]
    assert verdict_of(groups, 0.0).seeds_needed is None
