"""Contests without a provider: models whose names say how well they play."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmft_api.config.schema import RunConfig, parse
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError, ResumableError
from rmft_api.core.paths import Origin
from rmft_api.environments import ConcreteProblem
from rmft_api.evaluation import outcome
from rmft_api.evaluation.comparison import (
    ComparisonConfig,
    ComparisonContext,
    ComparisonPlayer,
    ComparisonResults,
    axes,
    comparison_results,
    play_all,
)
from rmft_api.evaluation.scoring import of_trajectories
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet, load
from rmft_api.report.text.comparison import standings_csv, standings_table
from rmft_api.requests.journaled_chat import JournaledChat
from rmft_api.requests.retries import Retries
from rmft_api.suites import Suite
from tests.loop_world import Lines, Reads, Skilled

GOOD, BAD = "skill-0.9", "skill-0.3"


def suite(**changes: Any) -> Suite:
    return Suite.model_validate(
        {
            "name": "mine",
            "seed": 3,
            "scenarios": 12,
            "problems": [{"environment": "bandit", "K": 3, "T": [6, 10]}],
            **changes,
        }
    )


def contest(*models: str, **changes: Any) -> ComparisonConfig:
    players = [ComparisonPlayer(label=model, model=model, profile="local") for model in models]
    run = suite(**changes).as_run("mine", None)
    return ComparisonConfig(
        suite="mine", about="", run=run, players=tuple(players), baselines=("random", "ucb1")
    )


def told(run: RunConfig) -> PromptSet:
    return load(run.prompts, [resources.prompts_dir()], run.stories)


class Hall:
    """A contest in a folder, that may be entered again as a resumed one is."""

    def __init__(self, path: Path, config: ComparisonConfig) -> None:
        self.path, self.config = path, config
        self.wire = Skilled(config.run)

    async def play(self) -> ComparisonResults:
        journal = (
            Journal.open(self.path)
            if (self.path / "journal.sqlite").exists()
            else Journal.create(self.path, "{}", {})
        )
        chat = JournaledChat(
            journal, self.wire, Retries(), price=lambda request: 0, cost=lambda request, reply: 0
        )

        async def seated(player: ComparisonPlayer) -> ComparisonContext:
            config = self.config.settings(player)
            return ComparisonContext(config, journal, told(config), chat, 8, Lines())

        try:
            return await play_all(self.config, journal, told(self.config.run), seated)
        finally:
            await journal.in_flight.drain(1.0)
            journal.close()


async def test_the_better_model_is_seen_to_be_better(tmp_path: Path) -> None:
    found = await Hall(tmp_path / "c", contest(BAD, GOOD, scenarios=24)).play()
    assert [one.label for one in found.players] == [BAD, GOOD, "random", "ucb1"]
    (pair, *against) = found.pairs
    assert (pair.one, pair.other) == (BAD, GOOD)
    assert pair.drop.high < 0
    assert pair.p_holm < 0.01
    assert {(one.one, one.other) for one in against} == {
        (model, rival) for model in (BAD, GOOD) for rival in ("random", "ucb1")
    }
    assert found.players[0].figures.paired_drop is None
    assert found.players[1].figures.paired_drop is not None
    assert found.missing == ()


async def test_every_player_meets_the_same_scenarios(tmp_path: Path) -> None:
    hall = Hall(tmp_path / "c", contest(BAD, GOOD))
    await hall.play()
    journal = Journal.read(hall.path)
    try:
        course = outcome.scenario_set(hall.config.run, "test")
        tables = [
            [
                trajectory.rounds[0].rewards
                for trajectory, _ in sorted(
                    journal.trajectories("test", index), key=lambda one: one[0].address.scenario
                )
            ]
            for index in (0, 1)
        ]
        figures = of_trajectories(course, [t for t, _ in journal.trajectories("test", 1)])
        shown = comparison_results(hall.config, journal, told(hall.config.run))
    finally:
        journal.close()
    assert tables[0] == tables[1]
    assert np.isclose(shown.players[1].figures.regret.mean, figures.regret_M.mean())


async def test_an_interrupted_contest_asks_nothing_twice_and_ends_the_same(tmp_path: Path) -> None:
    whole = Hall(tmp_path / "whole", contest(BAD, GOOD))
    expected = await whole.play()
    broken = Hall(tmp_path / "broken", contest(BAD, GOOD))
    for end_after in (20, 95):
        broken.wire.end_after = end_after
        with pytest.raises(ResumableError):
            await broken.play()
    broken.wire.end_after = None
    assert await broken.play() == expected
    keys = [request.key for request in broken.wire.asked]
    assert len(set(keys)) == len(keys)
    assert sorted(keys) == sorted(request.key for request in whole.wire.asked)


async def test_a_finished_contest_asks_nobody(tmp_path: Path) -> None:
    hall = Hall(tmp_path / "c", contest(GOOD))
    first = await hall.play()
    asked = len(hall.wire.asked)
    assert await hall.play() == first
    assert len(hall.wire.asked) == asked


async def test_a_model_that_has_not_played_to_its_end_is_named_and_not_shown(
    tmp_path: Path,
) -> None:
    hall = Hall(tmp_path / "c", contest(GOOD, BAD))
    hall.wire.end_after = 12 * 10
    with pytest.raises(ResumableError):
        await hall.play()
    journal = Journal.read(hall.path)
    try:
        found = comparison_results(hall.config, journal, told(hall.config.run))
    finally:
        journal.close()
    assert found.missing == (BAD,)
    assert BAD not in [one.label for one in found.players]
    assert f"not yet played: {BAD}" in standings_table(found)


async def test_a_generalisation_table_marks_what_was_trained_on(tmp_path: Path) -> None:
    trained = axes.trained_on([ConcreteProblem("bandit", 3, 6)], ["buttons"])
    config = contest(GOOD)
    player = config.players[0].model_copy(update={"trained": trained})
    config = config.model_copy(update={"players": (player,)})
    found = await Hall(tmp_path / "c", config).play()
    (horizon,) = [axis for axis in found.axes if axis.name == "T"]
    marks = {line.value: line.cells[GOOD].trained for line in horizon.lines}
    assert marks == {"6": True, "10": False}
    assert sum(line.scenarios for line in horizon.lines) == 12
    assert all(line.cells["ucb1"].trained is None for line in horizon.lines)
    shown = standings_table(found)
    assert "+ trained on this value" in shown
    assert any(row.startswith("10 ") and " - " in row for row in shown.splitlines())


async def test_the_csv_has_a_row_for_every_player_and_value(tmp_path: Path) -> None:
    found = await Hall(tmp_path / "c", contest(GOOD, BAD)).play()
    rows = list(csv.DictReader(io.StringIO(standings_csv(found))))
    assert len(rows) == 4 * (1 + sum(len(axis.lines) for axis in found.axes))
    (whole,) = [row for row in rows if row["player"] == GOOD and row["axis"] == "all"]
    assert float(whole["regret"]) == found.players[0].figures.regret.mean


def test_axes_name_problem_noise_and_domain() -> None:
    problem = ConcreteProblem("bandit", 4, 25, {"reward": "gaussian", "sd": 0.1, "gap": 0.2})
    assert axes.of_scenario(problem, "medicine/hay-fever") == {
        "problem": "bandit gap 0.2",
        "K": "4",
        "T": "25",
        "noise": "gaussian sd=0.1",
        "context": "medicine",
    }
    moving = ConcreteProblem("nonstationary", 3, 25, {"process": "drift"})
    assert axes.of_problem(moving)["problem"] == "nonstationary drift"


def test_an_axis_without_a_difference_is_left_out_and_numbers_stand_by_size() -> None:
    marked = [{"K": "10", "T": "5"}, {"K": "2", "T": "5"}]
    assert list(axes.lines(marked)) == [("K", "2", [1]), ("K", "10", [0])]


def test_a_contest_without_players_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody plays"):
        ComparisonConfig(suite="mine", about="", run=suite().as_run("mine", None))


def test_a_suite_whose_words_do_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"suite 'mine': seed"):
        suite().model_copy(update={"seed": -1}).as_run("mine", None)


async def test_known_algorithms_play_alone(tmp_path: Path) -> None:
    hall = Hall(tmp_path / "c", contest())
    found = await hall.play()
    assert [one.model for one in found.players] == [None, None]
    assert found.pairs == ()
    assert not hall.wire.asked


async def test_an_algorithm_that_plays_some_problems_is_held_against_models_on_those(
    tmp_path: Path,
) -> None:
    problems = [
        {"environment": "bandit", "K": 3, "T": 6},
        {"environment": "online_learning", "K": 3, "T": 6},
    ]
    config = contest(GOOD, problems=problems).model_copy(update={"baselines": ("random", "hedge")})
    found = await Hall(tmp_path, config).play()
    hedge = found.players[-1]
    assert (hedge.label, hedge.figures.scenarios, len(hedge.figures.only)) == ("hedge", 6, 1)
    (pair,) = [pair for pair in found.pairs if pair.other == "hedge"]
    model = found.players[0].figures.groups["online_learning"].regret.mean
    assert np.isclose(pair.drop.mean, hedge.figures.regret.mean - model)
    (axis,) = [axis for axis in found.axes if axis.name == "problem"]
    cells = {line.value: set(line.cells) for line in axis.lines}
    assert cells == {"bandit": {GOOD, "random"}, "online_learning": {GOOD, "random", "hedge"}}
    told = " ".join(standings_table(found).split())
    assert "hedge can play online_learning" in told
    rows = csv.DictReader(io.StringIO(standings_csv(found)))
    assert next(row["axis"] for row in rows if row["player"] == "hedge") == "some"


async def test_a_contest_on_a_log_has_its_table_and_asks_once(tmp_path: Path) -> None:
    shown = [f"{'abc'[i % 3]},{int(i % 3 == 2 or i % 7 == 0)}" for i in range(900)]
    (tmp_path / "log.csv").write_text("\n".join(["act,pay", *shown]), encoding="utf-8")
    options = {"path": str(tmp_path / "log.csv"), "action": "act", "reward": "pay"}
    log = {"environment": "logs", "K": 3, "T": 6, "options": {**options, "names": "story"}}
    hall = Hall(tmp_path / "c", contest(GOOD, BAD, problems=[log]))
    hall.wire = Reads(hall.config.run)
    found = await hall.play()
    (values,) = found.off_policy
    assert [(one.name, one.index) for one in values.players[:3]] == [
        (GOOD, 0),
        (BAD, 1),
        ("random", None),
    ]
    assert values.players[0].over_base is None
    assert values.players[1].over_base is not None
    assert found.notes == ()
    shown_table = standings_table(found)
    assert "held-out rows of log.csv (T=6)" in " ".join(shown_table.split())
    assert "DR over first" in shown_table
    asked = len(hall.wire.asked)
    assert await hall.play() == found
    assert len(hall.wire.asked) == asked


async def test_a_contest_of_an_earlier_version_is_asked_about_no_log(tmp_path: Path) -> None:
    shown = [f"{'abc'[i % 3]},{i // 3 % 2}" for i in range(300)]
    (tmp_path / "log.csv").write_text("\n".join(["act,pay", *shown]), encoding="utf-8")
    options = {"path": str(tmp_path / "log.csv"), "action": "act", "reward": "pay"}
    config = contest(GOOD, problems=[{"environment": "logs", "K": 3, "T": 6, "options": options}])
    then = parse(config.run.model_dump(), "then", Origin(tmp_path, rules=2))
    found = await Hall(tmp_path / "c", config.model_copy(update={"run": then})).play()
    assert found.off_policy == ()
    assert "held-out rows" not in standings_table(found)
