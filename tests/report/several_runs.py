"""A folder of small runs of every kind: seeds of a family, cells of a grid, and what is odd."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import rmft_api
from rmft_api.config.grid import Cell, GridRun
from rmft_api.core import serialization
from rmft_api.core.files import replace_file
from rmft_api.session import grids
from rmft_api.session.families import FamilyRecord
from rmft_api.session.progress import FILE, RunStatus
from rmft_api.session.run_directories import FAMILY
from tests.loop_world import config
from tests.report.conftest import played

SEEDS = (5, 6, 7)
SMALL: dict[str, Any] = {
    "iterations": 1,
    "rollouts": {
        "scenarios": 1,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "K": 3, "T": 8}],
    },
    "validation": {"scenarios": 3},
    "test": {"scenarios": 4},
}
RANDOM: dict[str, Any] = {"selection": {"k": 2, "rank_by": "random"}}


def small(folder: Path, name: str, *, end_after: int | None = None, **changes: Any) -> Path:
    """A run of a second or less, with its status."""
    directory = played(folder / name, end_after=end_after, **{**SMALL, "name": name, **changes})
    state = "finished" if end_after is None else "interrupted"
    status = RunStatus(state, "iteration 1: test", 5, 5, 250_000, 0, None, 1_700_000_000)
    replace_file(directory / FILE, serialization.encode(status))
    return directory


def family(folder: Path, name: str = "fam", seeds: tuple[int, ...] = SEEDS) -> Path:
    """The record of a family whose runs lie in `folder`."""
    raw = config(**SMALL).model_dump_json()
    record = FamilyRecord(name, seeds, raw, str(folder), 1, {}, None)
    (folder / name).mkdir()
    replace_file(folder / name / FAMILY, serialization.encode(record))
    return folder / name


def grid(folder: Path, cells: dict[str, list[str]]) -> Path:
    """The record of a grid: runs by cell, one a seed."""
    says = {name: f"this is {name}" for name in cells}
    keys: dict[str, dict[str, Any]] = {name: {} for name in cells}
    keys |= {"random": {"selection.rank_by": "random"}} if "random" in cells else {}
    places = [
        GridRun(
            Cell(name=cell, says=says[cell], set=keys[cell]),
            seed,
            config(name=run, seed=seed),
            "ab",
        )
        for cell, runs in cells.items()
        for seed, run in zip(SEEDS, runs, strict=False)
    ]
    grids.keep(places, folder)
    return folder / "ab"


def filled(folder: Path) -> Path:
    """Three seeds of a family, whose runs are the first cell of a grid; and an evaluation."""
    for seed in SEEDS:
        small(folder, f"fam-seed-{seed}", seed=seed)
        small(folder, f"ab-random-{seed}", seed=seed, **RANDOM)
    family(folder)
    cells = {"rmft": "fam-seed", "random": "ab-random"}
    grid(folder, {cell: [f"{stem}-{seed}" for seed in SEEDS] for cell, stem in cells.items()})
    rmft_api.evaluate(
        [], "small", name="held", baselines=["random"], overrides={"scenarios": 2}, runs=folder
    )
    return folder


def odd(folder: Path) -> dict[str, Path]:
    """Runs that a page has to say something about."""
    finished = small(folder, "whole")
    older = folder / "older"
    shutil.copytree(finished, older)
    with closing(sqlite3.connect(older / "journal.sqlite")) as journal, journal:
        journal.execute("UPDATE run SET config = '{\"gone\": 1}'")
    torn = folder / "torn"
    torn.mkdir()
    (torn / "journal.sqlite").write_bytes((finished / "journal.sqlite").read_bytes()[:5000])
    junk = folder / "junk"
    junk.mkdir()
    (junk / "journal.sqlite").write_text("no database")
    return {
        "whole": finished,
        "seed": small(folder, "seed", seed=9),
        "untested": small(folder, "untested", end_after=110),
        "early": small(folder, "early", end_after=3),
        "other": small(
            folder,
            "other",
            test={"scenarios": 3, "problems": [{"environment": "bandit", "K": 3, "T": 8}]},
        ),
        "older": older,
        "torn": torn,
        "junk": junk,
    }
