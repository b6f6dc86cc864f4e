"""The key is nowhere: not in what a run leaves behind, not in what any command prints or writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.evidence import read_journal, secrets_in
from tests.faults.world import CANARY, NAME, QUICK, World, build

REFUSAL = {"script": "401", "endpoint": "job_create", "nth": 1}
"""Its text repeats part of the key, as OpenAI's does."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK, [REFUSAL])
    yield world
    world.provider.stop()


def test_no_command_shows_or_writes_the_key(world: World) -> None:
    commands = (
        ("run", f"{NAME}.toml"),
        ("status",),
        ("resume", NAME),
        ("status", NAME),
        ("report", NAME),
        ("report", NAME, "--json"),
        ("plan", f"{NAME}.toml", "--json"),
        ("export", NAME, "rounds.csv", "--table", "rounds"),
        ("profiles",),
        ("doctor",),
    )
    ends = [world.process(*command).start().finish(60) for command in commands]
    assert [end.code for end in ends[:8]] == [77, *[0] * 7], ends
    assert [path.name for path in world.run_dir.glob("*.html")]
    assert secrets_in(world.folder, read_journal(world.run_dir), CANARY) == []
    assert not [end for end in ends if CANARY in end.stdout + end.stderr]
    assert not [end for end in ends if "Traceback" in end.stderr]
