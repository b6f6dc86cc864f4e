"""Writes the record of a grid for the claims: every test scenario's figures, cell by cell.

    python -m benchmarks.record_grid GRID.toml NAME --command "rmft-api ablate GRID.toml"
        --commit COMMIT --cpu-s SECONDS [--runs FOLDER] [--note TEXT] [--evals CELL PREFIX]

With `--evals` the figures are those of evaluations `PREFIX-1`, `PREFIX-2` and so on, each of two
models: the base and the champion of a cell's seed. What has not ended is left out, and named. The
measures of a scenario are regret (in the form that it ranks by), `suff_fail` and `early_fail` (the
best action is never chosen from round T/2, or T/4, on) and `greedy` (share of rounds on an action
of largest empirical mean).
"""

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import text_of
from rmft_api.core.errors import LockedError
from rmft_api.evaluation import measures, outcome
from rmft_api.evaluation.scoring import ScenarioSet
from rmft_api.journal import Journal
from rmft_api.selection.regret import play_in
from rmft_api.session import ablations, comparisons
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.run_identity import has_begun

RECORDS = Path(__file__).parents[1] / "docs" / "results" / "records"
BASE = "base"


def main() -> None:
    """Read the runs and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grid")
    parser.add_argument("name")
    parser.add_argument("--command", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--cpu-s", type=float, required=True)
    parser.add_argument("--note", default="")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--evals", nargs=2, metavar=("CELL", "PREFIX"))
    asked = parser.parse_args()
    found = evals(asked.runs, *asked.evals) if asked.evals else cells(asked.grid, asked.runs)
    seeds = sorted({int(seed) for by_seed in found["cells"].values() for seed in by_seed})
    source = {"command": asked.command, "seeds": seeds, "commit": asked.commit}
    record = {**source, "cpu_s": asked.cpu_s, "note": asked.note, **found}
    (RECORDS / f"{asked.name}.json").write_text(text_of(record), encoding="utf-8")


def cells(grid: str, runs: Path) -> dict[str, Any]:
    """Problems, and by cell and seed the figures of its champion; `base` is a cell too."""
    problems: tuple[str, ...] = ()
    by_cell: dict[str, dict[str, Any]] = {BASE: {}}
    for place in ablations.runs_of(grid, ()):
        try:
            ended = has_begun(runs / place.config.name) and _read(runs / place.config.name)
        except LockedError:
            ended = None  # at work
        if not ended:
            print(f"{place.config.name} has not ended: left out")
            continue
        problems, base, champion = ended
        seed = str(place.seed)
        if by_cell[BASE].setdefault(seed, base) != base:
            raise SystemExit(f"{place.config.name}: the base of seed {seed} plays otherwise here")
        by_cell.setdefault(place.cell.name, {})[seed] = champion
    return {"problems": problems, "cells": by_cell}


def evals(runs: Path, cell: str, prefix: str) -> dict[str, Any]:
    """As `cells`, of the evaluations of a cell's champions."""
    problems: tuple[str, ...] = ()
    by_cell: dict[str, dict[str, Any]] = {BASE: {}, cell: {}}
    for directory in sorted(runs.glob(f"{prefix}-[0-9]*")):
        with closing(Journal.read(directory)) as journal:
            held = outcome.scenario_set(comparisons.recorded(journal).run, "test")
            if any(len(list(journal.plays("test", i))) < len(held.scenarios) for i in (0, 1)):
                print(f"{directory.name} has not ended: left out")
                continue
            base, champion = (_figures(journal, held, index) for index in (0, 1))
        problems = tuple(problem.label for problem in held.problems)
        seed = directory.name.removeprefix(f"{prefix}-")
        by_cell[BASE][seed], by_cell[cell][seed] = base, champion
    return {"problems": problems, "cells": by_cell}


def _read(directory: Path) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]] | None:
    """Labels of the problems, in turn; the base's and the champion's figures; None: not ended."""
    with closing(Journal.read(directory)) as journal:
        if not journal.all("results", object):
            return None
        config = recorded_config(journal)
        best = outcome.champion(config, journal).index
        held = outcome.scenario_set(config, "test")
        base, champion = (_figures(journal, held, index) for index in (0, best))
    labels = tuple(problem.label for problem in held.problems)
    return labels, base, {"champion": best, **champion}


def _figures(journal: Journal, held: ScenarioSet, index: int) -> dict[str, list[float]]:
    """Each measure, scenario by scenario."""
    columns: dict[str, list[list[float]]] = {
        name: [[] for _ in held.scenarios]
        for name in ("regret", "suff_fail", "early_fail", "greedy")
    }
    for trajectory, scored in journal.plays("test", index):
        number = trajectory.address.scenario
        scenario = held.scenarios[number]
        play, kind = play_in(scenario, trajectory.rounds), scenario.regret
        columns["regret"][number].append(scored.regret)
        columns["suff_fail"][number].append(float(measures.suff_fail(play, kind)))
        early = max(1, scenario.T // 4)
        columns["early_fail"][number].append(float(measures.suff_fail(play, kind, early)))
        columns["greedy"][number].append(float(measures.greedy_frac(play)))
    return {
        name: [round(float(np.mean(some)), 3) for some in column]
        for name, column in columns.items()
    }


if __name__ == "__main__":
    main()
