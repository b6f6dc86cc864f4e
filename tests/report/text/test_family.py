"""The table of a family says when its intervals over seeds are not to be trusted."""

import json

import numpy as np

from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.family import FamilyResults, FinishedSeed, family_results
from rmft_api.report.text.family import family_json, family_table
from tests.performances import played

FILE = {
    "model": {"base": "any"},
    "rollouts": {"problems": [{"environment": "bandit", "K": 2, "T": 6}]},
}
M = 40


def family(*gains: float) -> FamilyResults:
    """Seeds from 1 on, whose champions gained so much."""
    rng = np.random.default_rng(0)
    finished: list[FinishedSeed] = []
    for seed, gain in enumerate(gains, start=1):
        config = RunConfig.model_validate({**FILE, "name": f"few-seed-{seed}", "seed": seed})
        base = 5 + rng.exponential(1.0, M)
        players = {
            "base": played(base),
            "champion": played(base - gain + 0.1 * rng.standard_normal(M)),
        }
        finished.append(FinishedSeed(config, 1, players, share=None, partial=frozenset()))
    return family_results("few", finished, {})


def test_a_seed_far_from_the_others_is_named_and_its_intervals_not_trusted() -> None:
    found = family(2.0, 2.2, 1.8, -1.0, 2.1)
    shown = " ".join(family_table(found).split())
    assert "warning: seed 4 gained far more or less than the others, so do not trust the" in shown
    assert "the intervals hold unless" not in shown
    assert json.loads(family_json(found))["outlying"] == [4]


def test_even_seeds_say_what_so_few_of_them_cannot_exclude() -> None:
    found = family(2.0, 2.2, 1.8, 1.9, 2.1)
    shown = " ".join(family_table(found).split())
    assert "5 even seeds do not exclude that up to 45% of seeds do" in shown
    assert "warning" not in shown
    assert json.loads(family_json(found))["outlying"] == []


def test_two_seeds_have_no_interval_to_be_trusted() -> None:
    shown = " ".join(family_table(family(2.0, -2.0)).split())
    assert "an interval over seeds needs at least 3 of them" in shown
    assert "warning" not in shown
    assert "the intervals hold unless" not in shown
