"""A paid run tells what speaks against it before it spends anything, and each thing once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.world import NAME, QUICK, Said, World, build

SOON = datetime.now(UTC).date() + timedelta(days=100)
SOONER = SOON - timedelta(days=1)
CALENDAR = '\n[[fake.lifecycle]]\nmodel = "gpt-4.1"\nas_of = 2026-11-22\nsource = "a page"\n'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK)
    ends(world, f"shutdown = {SOON}")
    yield world
    world.provider.stop()


def ends(world: World, calendar: str) -> None:
    """Let the model's family have such a calendar."""
    world.prepare()
    with (world.folder / "profiles.toml").open("a") as file:
        file.write(f"{CALENDAR}{calendar}\n")


def said(world: World, *arguments: str, crash_at: str = "") -> Said:
    environ = {"RMFT_CRASH_AT": crash_at} if crash_at else {}
    return world.process(*arguments, environ=environ).start().finish(60)


def warnings(ended: Said) -> list[str]:
    lines = [line for line in ended.stderr.splitlines() if line.startswith("warning:")]
    assert len(set(lines)) == len(lines), ended.stderr
    return lines


def test_the_price_and_the_warnings_are_told_before_anything_is_sent(world: World) -> None:
    told = said(world, "run", f"{NAME}.toml", crash_at="run.creating:1:KILL")
    assert told.code == -9
    assert not world.provider.books.requests("POST")
    plan = told.stderr.splitlines()[0]
    assert plan.startswith("plan: $")
    for word in ("expected", "at worst", "of a budget of $5.00", "a crash wastes at most $"):
        assert word in plan
    (warning,) = warnings(told)
    assert f"stop answering at fake from {SOON}, in 100 days" in warning
    dry = said(world, "run", f"{NAME}.toml", "--dry-run")
    assert (
        warning.split()
        == next(line for line in dry.stdout.splitlines() if line.startswith("warning:")).split()
    )


def test_a_resumed_run_tells_only_what_is_new_and_that_once(world: World) -> None:
    killed = said(world, "run", f"{NAME}.toml", crash_at="job.polled:1:KILL")
    assert (killed.code, len(warnings(killed))) == (-9, 1)
    same = said(world, "resume", NAME, crash_at="trained.saved:1:KILL")
    assert (same.code, warnings(same)) == (-9, [])
    ends(world, f"shutdown = {SOONER}")
    (new,) = warnings(said(world, "resume", NAME, crash_at="trajectories.saved:1:KILL"))
    assert str(SOONER) in new
    rest = said(world, "resume", NAME)
    assert (rest.code, warnings(rest)) == (0, [])
    assert not any("plan: $" in one.stderr for one in (same, rest))


def test_a_run_whose_model_ends_in_the_middle_of_its_rest_says_so(world: World) -> None:
    killed = said(world, "run", f"{NAME}.toml", crash_at="job.polled:1:KILL")
    assert killed.code == -9
    ends(world, f"shutdown = {datetime.now(UTC).date()}")
    late = said(world, "resume", NAME)
    assert any("but 'gpt-4.1-2025-04-14' and every" in line for line in warnings(late))


def test_what_was_accepted_is_told_all_the_same(world: World) -> None:
    ends(world, f"shutdown = {datetime.now(UTC).date()}")
    refused = said(world, "run", f"{NAME}.toml")
    assert (refused.code, warnings(refused)) == (78, [])
    begun = said(world, "run", f"{NAME}.toml", "--accept-shutdown", crash_at="run.creating:1:KILL")
    assert any("stop answering at 'fake' on" in line for line in warnings(begun))
    assert not any("--accept-shutdown" in line for line in warnings(begun))
