"""A grid is walked run by run, resumed by the same command, and told as one table."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import NAME, QUICK, Said, World, build

GRID = f"""
base = "{NAME}.toml"
seeds = [7, 8]
[[cell]]
name = "rmft"
[[cell]]
name = "random"
says = "the control"
set = {{ "selection.rank_by" = "random" }}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK)
    (world.folder / "grid.toml").write_text(GRID)
    yield world
    world.provider.stop()


def said(world: World, *arguments: str, crash_at: str = "") -> Said:
    environ = {"RMFT_CRASH_AT": crash_at} if crash_at else {}
    return world.process(*arguments, environ=environ).start().finish(90)


def test_a_grid_is_walked_once_resumed_and_told_as_one_table(world: World) -> None:
    named = said(world, "ablate", "grid.toml", "--dry-run").stdout.splitlines()
    assert named[4].split()[:4] == ["grid-random-7", "selection.rank_by", "=", "'random'"]
    assert not (world.folder / "runs").exists()
    assert said(world, "ablate", "grid.toml", crash_at="job.polled:3:KILL").code == -9
    ended = said(world, "ablate", "grid.toml", "--json")
    assert ended.code == 0, ended.stderr
    assert len(world.provider.books.jobs()) == 2 * 2 * 2
    rows = json.loads(ended.stdout)
    assert [row["cell"] for row in rows] == ["rmft", "random"]
    assert rows[0]["against"] is None
    assert rows[1]["against"]["p_holm"] <= 1
    assert rows[0]["scenarios"] == 2 * 2
    asked = world.provider.books.requests()
    again = said(world, "ablate", "grid.toml")
    assert "random: the control" in again.stdout
    assert world.provider.books.requests() == asked
    (world.folder / "grid.toml").write_text(GRID.replace('"random" }', '"reward" }'))
    refused = said(world, "ablate", "grid.toml")
    assert refused.code == 78
    assert "other settings" in refused.stderr


def test_a_cell_that_is_not_there_is_refused_by_name(world: World) -> None:
    refused = said(world, "ablate", "grid.toml", "--cell", "rmtf")
    assert refused.code == 78
    assert "rmft, random" in refused.stderr
