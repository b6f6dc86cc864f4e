"""Ctrl-C in a program that uses the Python API: what was asked is saved, and the run goes on."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

import rmft_api

FILE: dict[str, Any] = {
    "name": "first",
    "iterations": 1,
    "model": {"base": "scripted-random"},
    "prompts": {"set": "compact"},
    "sampling": {"max_tokens": 64},
    "rollouts": {
        "scenarios": 4,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "K": 2, "T": 12}],
    },
    "selection": {"k": 2},
    "finetuning": {"n_epochs": 1, "poll_every_s": 0.2},
    "validation": {"scenarios": 4},
    "test": {"scenarios": 4},
    "requests": {"concurrency": 8},
}
LONGER = {"rollouts.scenarios": 40, "validation.scenarios": 40}
GRID = """
base = "first.toml"
set = { "rollouts.scenarios" = 40, "validation.scenarios" = 40 }
[[cell]]
name = "rmft"
"""
BEGIN: dict[str, Callable[[Path], object]] = {
    "run": lambda folder: rmft_api.run(FILE, {"name": "longer", **LONGER}, runs=folder),
    "ablate": lambda folder: rmft_api.ablate(folder / "grid.toml", runs=folder),
    "retrain": lambda folder: rmft_api.retrain(
        "first", "local", name="again", overrides={"validation.scenarios": 60}, runs=folder
    ),
}
AGAIN: dict[str, Callable[[Path], object]] = {
    **BEGIN,
    "run": lambda folder: rmft_api.resume("longer", runs=folder),
}
RUN_OF = {"run": "longer", "ablate": "grid-rmft-1", "retrain": "again"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    rmft_api.run(FILE, runs=folder)
    grid = {**FILE, "name": "base"}
    (folder / "first.toml").write_text(toml(grid))
    (folder / "grid.toml").write_text(GRID)
    return folder


def toml(file: dict[str, Any]) -> str:
    """Every leaf as a dotted key."""
    lines: list[str] = []
    for name, value in file.items():
        values = cast("dict[str, Any]", value) if isinstance(value, dict) else {"": value}
        for key, leaf in values.items():
            text = json.dumps(leaf).replace('":', '" =')
            lines.append(f"{name}{f'.{key}' if key else ''} = {text}")
    return "\n".join(lines)


def states(run: Path) -> list[tuple[str, str]]:
    """Key and state of every request of a run that nobody works on."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as connection:
        return connection.execute("SELECT key, state FROM attempts").fetchall()


def written(run: Path) -> int:
    """Bytes of what a run has committed; its journal is locked while it goes on."""
    log = run / "journal.sqlite-wal"
    return log.stat().st_size if log.exists() else 0


@pytest.mark.parametrize("call", list(BEGIN))
def test_ctrl_c_saves_what_was_asked_and_the_same_call_goes_on(call: str, folder: Path) -> None:
    run = folder / RUN_OF[call]
    command = [sys.executable, __file__, call, str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while written(run) < 80_000 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert said.splitlines()[-1:] == ["KeyboardInterrupt"]
    status = rmft_api.open_run(run).status
    assert status is not None
    assert status.state == "interrupted"
    before = states(run)
    assert {state for _, state in before} == {"done"}
    AGAIN[call](folder)
    assert rmft_api.open_run(run).results.champion.model
    keys = [key for key, _ in states(run)]
    assert len(keys) == len(set(keys)) > len(before)


if __name__ == "__main__":
    BEGIN[sys.argv[1]](Path(sys.argv[2]))
