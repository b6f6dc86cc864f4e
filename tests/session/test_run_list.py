"""Runs in a list: the last one first, with what came of it once it has finished."""

import os
from pathlib import Path

import msgspec
import pytest

from rmft_api.core import serialization
from rmft_api.session import run_list
from rmft_api.session.progress import FILE, RunStatus
from rmft_api.session.run_list import list_table
from tests.report.conftest import played


def left(directory: Path, **said: object) -> None:
    status = RunStatus("finished", "iteration 1: test", 5, 5, 1_500_000, 0, None, 1000)
    content = serialization.encode(msgspec.structs.replace(status, **said))
    (directory / FILE).write_bytes(content)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    played(folder / "loop")
    left(folder / "loop")
    for name, at in (("old", 500), ("new", 2000)):
        (folder / name).mkdir()
        os.link(folder / "loop" / "journal.sqlite", folder / name / "journal.sqlite")
        left(folder / name, state="interrupted", at=at, rounds=2, cap=9_000_000)
    return folder


def test_the_run_that_was_at_work_last_comes_first(runs: Path) -> None:
    found = run_list.run_list(runs)
    assert [one.name for one in found.runs] == ["new", "loop", "old"]
    assert found.unreadable == {}


def test_a_finished_run_has_its_champion_and_one_that_was_stopped_its_step(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = run_list.run_list(runs)
    results = found.runs[1].results
    assert results is not None
    assert found.runs[0].results is None
    new, loop, _ = list_table(found).splitlines()[2:]
    index = results.champion.index
    assert (f"iteration {index}" if index else "base") in loop
    assert "1.50 " in loop
    assert "interrupted  iteration 1: test 2/5 rounds" in new
    assert "1.50 of 9.00" in new
