"""`resume --iterations`: an extended run is what a longer run would have been."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rmft_api.core.errors import UsageError
from rmft_api.evaluation import outcome
from rmft_api.evaluation.scoring import GateDecision, Results
from rmft_api.journal import Journal
from rmft_api.loop import iterate
from rmft_api.session.extensions import extended
from rmft_api.session.recorded_config import recorded_config
from tests.faults.world import NAME, QUICK, Said, World, build
from tests.loop_world import World as Quiet
from tests.loop_world import config

SKILLS = ["skill-0.3", "skill-0.9", "skill-0.6", "skill-0.8"]


async def walk(world: Quiet) -> tuple[Results, list[object]]:
    journal = world.journal()
    try:
        results = await iterate(world.run(journal))
        return results, list(journal.all_trajectories())
    finally:
        journal.close()


async def test_the_trajectories_are_those_of_a_run_that_was_so_long_from_the_start(
    tmp_path: Path,
) -> None:
    whole, all_at_once = await walk(Quiet(tmp_path / "whole", config(iterations=4), SKILLS))
    short = Quiet(tmp_path / "short", config(iterations=2), SKILLS)
    await walk(short)
    longer = Quiet(tmp_path / "short", config(iterations=4), SKILLS)
    results, in_two = await walk(longer)
    assert in_two == all_at_once
    assert results == whole
    for number in range(1, 5):
        ours, theirs = (
            (tmp_path / one / f"iteration_{number:02}/dataset.jsonl").read_bytes()
            for one in ("whole", "short")
        )
        assert ours == theirs


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK)
    yield world
    world.provider.stop()


def said(world: World, *arguments: str) -> Said:
    return world.process(*arguments).start().finish(60)


def report(world: World) -> dict[str, Any]:
    return json.loads(said(world, "report", NAME, "--json").stdout)


def test_a_finished_run_is_extended_and_says_so(world: World) -> None:
    assert said(world, "run", f"{NAME}.toml", "--set", "iterations=1").code == 0
    first = report(world)
    ended = said(world, "resume", NAME, "--iterations", "2", "--as-recorded")
    assert ended.code == 0, ended.stderr
    assert "extended from 1 to 2 iterations on 20" in ended.stdout
    then = report(world)
    assert len(first["iterations"]) == 2
    assert len(then["iterations"]) == 3
    assert [one["model"] for one in then["iterations"][:2]] == [
        one["model"] for one in first["iterations"]
    ]
    assert [one["after"] for one in then["extended"]] == [2]
    planned = [one for one in then["spending"]["phases"] if one["phase"] == "training"]
    assert [one["state"] for one in planned] == ["done", "done"]
    assert all(one["planned"] is not None for one in planned)
    assert said(world, "resume", NAME, "--as-recorded").code == 0
    assert len(report(world)["iterations"]) == 3


def test_a_number_that_cannot_be_is_refused_in_one_line(world: World) -> None:
    assert said(world, "run", f"{NAME}.toml").code == 0
    for number, why in (("0", "at least 1"), ("1", "has started iteration 2 already"), ("-3", "1")):
        ended = said(world, "resume", NAME, "--iterations", number)
        assert ended.code == 64
        assert why in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1
    assert len(report(world)["iterations"]) == 3


def test_the_run_file_may_say_the_new_number(world: World) -> None:
    assert said(world, "run", f"{NAME}.toml").code == 0
    file = world.folder / f"{NAME}.toml"
    file.write_text(file.read_text().replace("iterations = 2", "iterations = 3"))
    assert "iterations: 2 -> 3" in said(world, "resume", NAME).stderr
    assert said(world, "resume", NAME, "--iterations", "3").code == 0
    assert said(world, "resume", NAME).code == 0
    assert len(report(world)["iterations"]) == 4


async def test_a_run_that_its_gate_ended_is_not_extended(tmp_path: Path) -> None:
    settings = config(iterations=4, gate={"stop_after": 1})
    world = Quiet(tmp_path, settings, ["skill-0.1"] * 4)
    await walk(world)
    journal = world.journal()
    assert journal.get("gate", "01", GateDecision) is not None
    with pytest.raises(UsageError, match="ended by its gate after iteration 1"):
        extended(journal, settings, 6)
    journal.close()


async def test_an_interrupted_run_may_get_fewer_but_none_that_has_begun(tmp_path: Path) -> None:
    world = Quiet(tmp_path, config(iterations=2), SKILLS)
    await walk(world)
    journal = Journal.open(tmp_path)
    longer = config(iterations=9)
    assert extended(journal, longer, 3).iterations == 3
    assert extended(journal, longer, None) is longer
    with pytest.raises(UsageError, match="has started iteration 2"):
        extended(journal, longer, 1)
    assert outcome.extensions(journal) == ()
    assert recorded_config(journal).iterations == 2
    journal.close()
