"""Own parts of an installed package: every kind is found by the name of its entry point."""

import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path

import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.evaluation import outcome
from rmft_api.prompts import of_run, own_forms, reader
from rmft_api.rollouts import preparation
from rmft_api.rollouts.teacher import Teacher
from rmft_api.selection import own_measures, ranking
from tests import loop_world

SOURCE = '''
"""A tiny package with one part of every kind."""

from dataclasses import dataclass

import numpy as np

from rmft_api.baselines import Algorithm
from rmft_api.environments import Scenario


@dataclass(frozen=True, kw_only=True)
class Coins:
    K: int
    T: int

    def draw(self, rng):
        means_TK = np.broadcast_to(rng.uniform(0.2, 0.8, self.K), (self.T, self.K))
        rewards_TK = (rng.random((self.T, self.K)) < means_TK).astype(float)
        return Scenario(rewards=rewards_TK, means=means_TK, feedback="bandit", regret="pseudo")


class First(Algorithm):
    def __init__(self, known):
        self.N = known.N

    def choose(self, t):
        return np.zeros(self.N, dtype=np.int64)


class Arrow:
    words = "End with `=> NAME`, NAME one of $actions."
    pattern = r"=> (.+)"

    def write(self, name):
        return f"=> {name}"


def length(play):
    return len(play.actions_T)


def first(one):
    return one.address.trajectory
'''
POINTS = """
[rmft_api.environments]
coins = tiny_parts:Coins
[rmft_api.baselines]
first = tiny_parts:First
[rmft_api.selection_rules]
first-come = tiny_parts:first
[rmft_api.measures]
length = tiny_parts:length
lost = tiny_parts:gone
[rmft_api.answers]
arrow = tiny_parts:Arrow
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package on the path, as pip would have left it."""
    place = tmp_path_factory.mktemp("site-packages")
    (place / "tiny_parts.py").write_text(SOURCE)
    info = place / "tiny_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    sys.path.insert(0, str(place))
    invalidate_caches()
    yield place
    sys.path.remove(str(place))
    sys.modules.pop("tiny_parts", None)
    invalidate_caches()


def config(**changes: object) -> RunConfig:
    return loop_world.config(
        rollouts={"scenarios": 2, "trajectories": 4,
                  "problems": [{"environment": "coins", "K": 3, "T": 5}]},
        selection={"k": 2, "rank_by": "first-come"},
        evaluation={"measures": ["length"]},
        prompts={"set": "standard", "answer": "arrow"},
        test={"scenarios": 4, "baselines": ["first", "random"]},
        teacher={"algorithm": "first"},
        **changes,
    )  # fmt: skip


@pytest.mark.usefixtures("installed")
def test_every_kind_is_found_by_its_entry_point() -> None:
    run = config()
    assert "coins" in environments.names()
    prompts = of_run(run)
    outcome.check_baselines(run)
    outcome.check_measures(run)
    seat = next(preparation.prepared_scenarios(run, prompts, "train", 1))
    told = "".join(one.content for one in seat.begin().prompt.messages())
    assert "End with `=> NAME`" in told
    found = reader.read(f"=> {seat.names[2]}", "stop", None, seat.names, run.prompts.answer_form)
    assert isinstance(found, reader.ParsedReply)
    assert run.teacher is not None
    Teacher(run, run.teacher, prompts, 1)
    (play,) = baselines.play("first", [seat.scenario], 1)
    assert play.actions_T.tolist() == [0] * 5
    assert ranking.own_rule(run.selection, None) is not None
    own = own_measures.load(["length"], None)
    assert np.array_equal(own_measures.of_plays(own, [[play]])["length"], [5.0])


@pytest.mark.usefixtures("installed")
def test_a_name_that_leads_nowhere_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"measure 'lost' cannot be loaded from 'tiny_parts:gone"):
        own_measures.load(["lost"], None)
    with pytest.raises(ConfigError, match="unknown measure 'lenght'; did you mean 'length'"):
        own_measures.load(["lenght"], None)
    wrong = config().selection.model_copy(update={"rank_by": "frist-come"})
    with pytest.raises(ConfigError, match=r"unknown selection rule .* mean 'first-come'"):
        ranking.own_rule(wrong, None)
    with pytest.raises(ConfigError, match="unknown answer 'arow'; did you mean 'arrow'"):
        own_forms.load("arow", None)
    with pytest.raises(ConfigError, match="unknown baseline 'frist'; did you mean 'first'"):
        baselines.play("frist", [], 1)
