"""A family of seeds: one command, one budget, nothing paid twice, one table."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmft_api.journal import Journal
from tests.faults.world import NAME, QUICK, Said, World, build

IN_FLIGHT = 8
"""Requests under way at most: their replies are lost with the process, and so asked for again."""
RUN = ("run", f"{NAME}.toml", "--seeds", "3")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK)
    yield world
    world.provider.stop()


def said(world: World, *arguments: str, crash_at: str = "") -> Said:
    environ = {"RMFT_CRASH_AT": crash_at} if crash_at else {}
    return world.process(*arguments, environ=environ).start().finish(120)


def directory(world: World, seed: int) -> Path:
    return world.folder / "runs" / f"{NAME}-seed-{seed}"


def spent(world: World, seed: int) -> int:
    journal = Journal.read(directory(world, seed))
    try:
        totals = journal.ledger.totals()
        return totals.spent + totals.reserved
    finally:
        journal.close()


def states(world: World) -> list[str]:
    found = said(world, "status", NAME).stdout.splitlines()
    assert found[0].split()[:3] == ["seed", "run", "state"]
    known = ("finished", "interrupted", "failed", "not started")
    return [next(state for state in known if state in line) for line in found[2:5]]


def chats(world: World) -> int:
    return world.provider.books.requests("POST", "chat")


def test_a_killed_family_pays_for_nothing_twice(world: World) -> None:
    assert said(world, *RUN, crash_at="run.creating:2:KILL").code == -9
    assert states(world) == ["finished", "not started", "not started"]
    of_one = chats(world)
    assert of_one > 0
    assert said(world, "resume", NAME, crash_at="trajectories.saved:6:KILL").code == -9
    assert states(world) == ["finished", "interrupted", "not started"]
    early = said(world, "report", NAME).stdout
    assert f"seed 8 is left out: interrupted; `rmft-api resume {NAME}` continues it" in early
    assert "an interval over seeds needs at least 3 of them" in early
    ended = said(world, "resume", NAME)
    assert ended.code == 0, ended.stderr
    assert "all seeds" in ended.stdout
    books = world.provider.books
    assert len(books.jobs()) == 3 * 2
    assert 3 * of_one <= chats(world) <= 3 * of_one + IN_FLIGHT
    taken = sum(spent(world, seed) for seed in (7, 8, 9))
    assert books.billed() <= taken <= 5_000_000
    found = json.loads(said(world, "report", NAME, "--json").stdout)
    assert [one["run"] for one in found["seeds"]] == [f"{NAME}-seed-{n}" for n in (7, 8, 9)]
    assert found["players"]["champion"]["regret"]["ci95"] is not None
    asked = books.requests()
    assert said(world, "resume", NAME).code == 0
    assert books.requests() == asked


def test_one_budget_holds_for_all_seeds_and_is_raised_by_the_family(world: World) -> None:
    stopped = said(world, *RUN, "--budget", "0.02")
    assert stopped.code == 75
    assert f"rmft-api resume {NAME} --budget USD` raises them" in stopped.stderr
    assert states(world)[1:] == ["not started", "not started"]
    assert spent(world, 7) <= 20_000
    alone = said(world, "resume", f"{NAME}-seed-7", "--budget", "3")
    assert alone.code == 75, "one seed alone was given more than its family has"
    assert spent(world, 7) <= 20_000
    planned = said(world, "plan", f"{NAME}.toml", "--seeds", "3").stdout
    assert [line.split()[0] for line in planned.splitlines()[2:5]] == [
        f"{NAME}-seed-{seed}" for seed in (7, 8, 9)
    ]
