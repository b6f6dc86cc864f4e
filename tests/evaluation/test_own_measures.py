"""Measures of one's own: beside the known ones for every model and baseline."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rmft_api.core.errors import ConfigError, DataError
from rmft_api.evaluation import outcome, scoring
from rmft_api.loop import iterate
from rmft_api.planning import spending
from rmft_api.report.results_json import results_json
from rmft_api.report.text.results import results_table
from rmft_api.selection.regret import PlayArrays
from rmft_api.testing import MeasureContract
from tests import loop_world
from tests.loop_world import World


def tried(play: PlayArrays) -> int | None:
    """How many actions were tried at all; nothing where no reply could be read."""
    read = play.actions_T[play.actions_T >= 0]
    return len(set(read.tolist())) if len(read) else None


def words(play: PlayArrays) -> str:
    return "many"


def broken(play: PlayArrays) -> float:
    raise KeyError("rewards")


class TestTried(MeasureContract):
    measure = f"{__name__}:tried"


def own(name: str) -> str:
    return f"{__name__}:{name}"


def config(*names: str) -> Any:
    return loop_world.config(iterations=1, evaluation={"measures": [own(name) for name in names]})


async def test_it_is_told_with_its_interval_for_every_player(tmp_path: Path) -> None:
    world = World(tmp_path, config("tried"), ["skill-0.9"])
    with closing(world.journal()) as journal:
        results = await iterate(world.run(journal))
        money = spending(journal)
        tracked = outcome.tracked(world.config, journal, 0)
    shown = results_table(results)
    assert own("tried") in shown
    told = msgspec.json.decode(results_json(results, money))
    for player in (*told["iterations"], *told["baselines"].values()):
        assert 1.0 <= player["own_measures"][own("tried")]["mean"] <= 3.0
    held = outcome.scenario_set(world.config, "test")
    random = scoring.of_baseline(held, "random", world.config.seed)
    assert np.isclose(
        results.baselines["random"].own[own("tried")].mean, random.own[own("tried")].mean()
    )
    assert f"test/{own('tried').replace(':', '.')}" in tracked


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("words", "words: of a play with T=8, K=3 it returned 'many'; a finite number or None"),
        ("broken", "broken: of a play with T=8, K=3 it raised KeyError: 'rewards'"),
    ],
)
def test_a_breach_names_the_measure_and_what_it_returned(name: str, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        outcome.check_measures(config(name))


def test_a_measure_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no 'nobody'"):
        outcome.check_measures(config("nobody"))
    outcome.check_measures(config())
