"""A warm-up is paid once, wherever its run is killed."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.world import NAME, QUICK, World, build


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK)
    yield world
    world.provider.stop()


def jobs(world: World) -> list[str]:
    """The keys of all jobs that were created or tried, as the journal has them."""
    with closing(sqlite3.connect(f"file:{world.run_dir}/journal.sqlite?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT key, state FROM attempts WHERE kind = 'job'").fetchall()
    return [key for key, state in rows if state == "done"]


@pytest.mark.parametrize(
    "crash_at",
    [
        "warm_up.saved:1:KILL",
        "job.intended:1:KILL",
        "job.acted:1:KILL",
        "training.saved:1:KILL",
        "trained.saved:1:KILL",
    ],
)
def test_a_killed_warm_up_goes_on_with_its_own_job(world: World, crash_at: str) -> None:
    environ = {"RMFT_CRASH_AT": crash_at}
    words = ("run", f"{NAME}.toml", "--set", "warm_up=true", "--set", "iterations=1")
    killed = world.process(*words, environ=environ).start().finish(60)
    assert killed.code in (-9, 137), killed.stderr
    ended = world.process("resume", NAME).start().finish(60)
    assert ended.code == 0, ended.stderr
    made = jobs(world)
    assert len(made) == len(set(made)) == 2
    told = json.loads(world.process("report", NAME, "--json").start().finish(60).stdout)
    assert told["warm_up"]["model"] == told["iterations"][0]["model"]
    assert told["warm_up"]["examples"] == 20 * 3
    phases = [one for one in told["spending"]["phases"] if one["phase"] == "warm-up"]
    assert [one["state"] for one in phases] == ["done"]
    assert phases[0]["actual"]["trained_tokens"] > 0
    assert phases[0]["spent_usd"] > 0
