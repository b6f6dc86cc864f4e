"""The share of what is possible that a model has gained, and where no limit is known."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from rmft_api import statistics
from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Interval
from rmft_api.evaluation import limit, outcome, scoring
from rmft_api.evaluation.scoring import Performance, ScenarioSet
from rmft_api.report.text.results import share_in_words
from tests import loop_world

BANDIT = {"environment": "bandit", "K": [2, 4], "T": 10}
MOVING = {"environment": "nonstationary", "K": 3, "T": 10}


def course(*problems: object, count: int = 60) -> ScenarioSet:
    rollouts = {"scenarios": 3, "trajectories": 4, "problems": list(problems)}
    run: RunConfig = loop_world.config(rollouts=rollouts, test={"scenarios": count})
    return outcome.scenario_set(run, "test")


def at(base: Performance, least: Performance, share: float) -> Performance:
    """A model that has gained a share of what is possible in every scenario."""
    return replace(base, regret_M=base.regret_M - share * (base.regret_M - least.regret_M))


def test_a_model_half_way_to_the_limit_has_gained_half_of_the_possible() -> None:
    held = course(BANDIT)
    base, least = scoring.of_baseline(held, "random", 1), limit.performance(held)
    assert least is not None
    for share in (0.0, 0.5, 1.0):
        found = limit.share_of_possible(base, at(base, least, share), least)
        assert found is not None
        assert (found.mean, found.low, found.high) == pytest.approx((share,) * 3)
    assert limit.share_of_possible(base, base, None) is None
    assert limit.share_of_possible(least, base, least) is None  # nothing is possible


def test_a_limit_is_of_the_problems_that_it_is_known_for_alone() -> None:
    mixed = course(BANDIT, MOVING)
    least = limit.performance(mixed)
    assert least is not None
    assert all(number % 3 < 2 for number in least.numbers)
    assert scoring.figures(mixed, least, None).only == ("bandit K=2 T=10", "bandit K=4 T=10")
    (note,) = limit.notes(mixed)
    assert note.startswith(
        "no limit of nonstationary K=3 T=10: it is known for bandits with constant"
    )
    assert limit.performance(course(MOVING)) is None
    assert limit.notes(course(BANDIT)) == ()


def test_the_interval_of_a_share_holds_the_true_one() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        possible_M = rng.gamma(2.0, 2.0, 96)
        gained_M = 0.7 * possible_M + rng.standard_normal(96) * 2.0 - rng.exponential(1.0, 96) + 1.0
        found = statistics.share_of(gained_M, possible_M)
        assert found is not None
        held += found.low <= 0.7 <= found.high
    assert held >= 0.93 * 400


def test_few_scenarios_have_a_share_without_an_interval() -> None:
    found = statistics.share_of([1.0, 2.0, 0.5], [2.0, 2.0, 2.0])
    assert found is not None
    assert not found.known
    assert found.mean == pytest.approx(3.5 / 6)


def test_a_share_is_shown_in_whole_percent() -> None:
    assert share_in_words(Interval(-0.002, -0.5, 1.013)) == "0% [-50%, 101%]"
    assert share_in_words(Interval(0.5, -math.inf, math.inf)) == "50% (too few)"
    assert share_in_words(None) == ""


def test_results_of_an_older_journal_have_no_limit() -> None:
    held = course(BANDIT)
    figures = scoring.figures(held, scoring.of_baseline(held, "random", 1), None)
    new = scoring.Results(
        run="r",
        iterations=(scoring.Evaluated(0, "m", figures, None),),
        baselines={},
        champion=scoring.Champion(0, "m"),
    )
    old = msgspec.json.decode(msgspec.json.encode(new))
    del old["limit"], old["limit_notes"], old["iterations"][0]["share_of_possible"]
    assert msgspec.convert(old, scoring.Results).limit is None
