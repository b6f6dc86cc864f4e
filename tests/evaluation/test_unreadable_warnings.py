"""Wherever regret is shown it says how much could be read, and warns where that was little."""

import asyncio
import csv
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from rmft_api.config.grid import Cell, GridRun
from rmft_api.core.errors import UnreadableError
from rmft_api.core.records import ChatRequest, ChatResponse
from rmft_api.evaluation.comparison import comparison_results
from rmft_api.evaluation.measures import unread_warning
from rmft_api.evaluation.outcome import results
from rmft_api.journal import Journal
from rmft_api.loop import iterate
from rmft_api.planning import spending
from rmft_api.report import page
from rmft_api.report.data import RunState
from rmft_api.report.results_json import results_json
from rmft_api.report.text.comparison import standings_csv, standings_table
from rmft_api.report.text.results import results_table
from rmft_api.session.ablations import compared, table_of
from rmft_api.session.retrain_comparison import side_by_side, sides_table
from tests.evaluation.test_comparison import Hall, contest, told
from tests.loop_world import Skilled, World, config

BASE, BETTER = "skill-0.2", "skill-0.9"


@dataclass
class Mumbling(Skilled):
    """The base mumbles in six of ten replies."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        reply = await super().reply(request)
        if request.model != BASE or request.seed % 10 >= 6:
            return reply
        return ChatResponse(
            "r", request.model, (type(reply.choices[0])("hm", "stop"),) * request.n, None
        )


def changed(name: str = "loop") -> dict[str, object]:
    rollouts = {
        "scenarios": 3,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "K": 3, "T": [4, 8]}],
    }
    return {
        "name": name,
        "iterations": 1,
        "rollouts": rollouts,
        "selection": {"k": 2, "min_valid": 0},
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    path = tmp_path_factory.mktemp("runs") / "loop"
    world = World(path, config(**changed()), [BETTER])
    world.chat = Mumbling(world.config)

    async def walk() -> None:
        journal = world.journal()
        await iterate(world.run(journal))
        journal.close()

    asyncio.run(walk())
    return world


@pytest.mark.parametrize(
    ("valid", "says"),
    [(1.0, ""), (0.9, ""), (0.89, "less"), (0.49, "little"), (0.09, "nothing"), (0.0, "nothing")],
)
def test_the_less_could_be_read_the_plainer_the_warning(valid: float, says: str) -> None:
    told = unread_warning(valid)
    assert bool(told) == bool(says)
    assert says in told


def test_a_run_says_it_as_it_goes_in_its_table_and_in_its_json(world: World) -> None:
    said = [line for line in world.console.said if line.startswith("warning: validation: only")]
    assert len(said) == 1
    journal = world.journal()
    found, money = results(world.config, journal), spending(journal)
    journal.close()
    shown = results_table(found)
    assert "see the warnings" in shown
    assert "warning, iteration 0: test: only" in " ".join(shown.split())
    assert "warning, iteration 1: test" not in shown
    data = json.loads(results_json(found, money))
    base = data["iterations"][0]
    assert 0.2 < base["valid"] < 0.6
    assert "validation: only" in base["warnings"][0]
    assert all(0 < group["valid"] < 1 for group in base["groups"].values())


def test_the_page_warns_and_its_headline_is_not_sure(world: World) -> None:
    journal = world.journal()
    found = results(world.config, journal)
    story, _ = page.read(world.config, journal, found, RunState("finished", ""))
    journal.close()
    assert story.champion == 1
    assert story.headline.title == "No sure change of regret"
    assert "of the replies of the base could be read" in story.headline.text
    assert story.headline.sure is False
    assert [one.partition(" the replies")[0][:21] for one in story.warnings[:2]] == [
        "the base, validation:",
        "the base, test: only ",
    ]


def test_a_grid_and_two_chains_side_by_side_say_it_too(world: World) -> None:
    runs = world.path.parent
    places = [GridRun(Cell(name="mumbling"), 5, world.config)]
    (row,) = compared(places, runs)
    assert row.valid == 1.0
    assert 0.2 < row.base_valid < 0.6
    shown = " ".join(table_of([row]).split())
    assert "100.0%" in shown
    assert "warning, mumbling, the base: only" in shown
    shutil.copytree(world.path, runs / "again", dirs_exist_ok=True)
    sides = " ".join(sides_table(side_by_side(world.path, runs / "again")).split())
    assert "warning, iteration 0 of loop: only" in sides


async def test_a_contest_marks_rows_and_cells_and_its_csv_has_every_share(tmp_path: Path) -> None:
    hall = Hall(tmp_path / "c", contest(BASE, BETTER))
    hall.wire = Mumbling(hall.config.run)
    found = await hall.play()
    shown = standings_table(found)
    assert f"warning: {BASE}: only" in " ".join(shown.split())
    assert f"warning: {BETTER}" not in shown
    rows = list(csv.DictReader(io.StringIO(standings_csv(found))))
    assert all(row["valid"] for row in rows)
    assert {row["valid"] for row in rows if row["player"] == BETTER} == {"1.0"}
    marked = [line for line in shown.splitlines() if " !" in line]
    assert marked


async def test_an_evaluation_that_was_stopped_says_why_until_it_goes_on(tmp_path: Path) -> None:
    hall = Hall(tmp_path / "c", contest(BASE, BETTER, min_valid=0.9))
    hall.wire = Mumbling(hall.config.run)
    with pytest.raises(UnreadableError, match=f"{BASE}: playing: only"):
        await hall.play()
    journal = Journal.read(tmp_path / "c")
    found = comparison_results(hall.config, journal, told(hall.config.run))
    journal.close()
    assert found.missing == (BASE, BETTER)
    assert "stopped: skill-0.2: playing: only" in " ".join(standings_table(found).split())
    hall.config = contest(BASE, BETTER, min_valid=0.1)
    assert (await hall.play()).stopped == ""


def test_tables_fit_eighty_columns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    journal = world.journal()
    shown = results_table(results(world.config, journal))
    journal.close()
    assert max(map(len, shown.splitlines())) <= 80
    assert "valid" in shown
