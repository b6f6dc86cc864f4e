"""The page of an ablation grid: its cells against the first one, and every run behind them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from rmft_api import statistics
from rmft_api.core.records import Split
from rmft_api.report import figures, run_sides, runs_page
from rmft_api.report.compared_data import (
    ChainPoint,
    ComparedPair,
    ComparedPlayer,
    ComparedReport,
    GridCell,
    RegretChain,
)
from rmft_api.report.data import Headline
from rmft_api.report.figures import Regrets
from rmft_api.report.play_groups import ScoredPlay
from rmft_api.report.run_sides import RunSide, RunToRead
from rmft_api.report.runs_page import SURE
from rmft_api.report.trajectory_index import TrajectoryIndex


class CellToRead(NamedTuple):
    """One cell, its runs opened."""

    name: str
    says: str
    changes: Mapping[str, str]
    seeds: int
    """How many it has."""
    runs: Sequence[RunToRead]
    """Those that have started."""


class _Cell(NamedTuple):
    """One cell, read."""

    to_read: CellToRead
    sides: Sequence[RunSide]
    """Those of its runs that have played their test scenarios."""

    def regrets(self, *, of_base: bool = False) -> Regrets:
        """By scenario; those of another seed are other scenarios."""
        return {
            scenario + _first_of(side): regret
            for side in self.sides
            for scenario, regret in side.regrets_of(0 if of_base else side.report.champion).items()
        }

    def plays(self, *, of_base: bool = False) -> tuple[ScoredPlay, ...]:
        """Of the test scenarios, numbered as `regrets` are."""
        return tuple(
            one_play(play, _first_of(side))
            for side in self.sides
            for play in side.tested_by(0 if of_base else side.report.champion)
        )


def one_play(play: ScoredPlay, first: int) -> ScoredPlay:
    """The same play, of a scenario among those of all seeds."""
    return ScoredPlay(play.scenario + first, play.kind, play.play)


def _first_of(side: RunSide) -> int:
    """Where the scenarios of a run's seed begin: the same in every cell."""
    return side.run.config.seed * 1_000_000


def gather(
    name: str,
    cells: Sequence[CellToRead],
    unreadable: Mapping[str, str],
    index: TrajectoryIndex,
) -> ComparedReport:
    """The data of the page; trajectories go into `index`."""
    every = {cell.name: [run_sides.read(run, index) for run in cell.runs] for cell in cells}
    report = runs_page.beside([side for sides in every.values() for side in sides], unreadable)
    read = [
        _Cell(cell, [s for s in every[cell.name] if s.split == "test" and s.regrets_of(0)])
        for cell in cells
    ]
    shown = [cell for cell in read if cell.sides]
    found = tuple(_cells(shown))
    return msgspec.structs.replace(
        report,
        run=name,
        about="An ablation grid: each cell is one way of doing it, held against the first cell.",
        headline=_headline(found),
        warnings=(*_missing(read), *report.warnings),
        players=tuple(_players(shown)),
        pairs=tuple(_pairs(found)),
        chains=tuple(one for cell in read if (one := _chain(cell, every[cell.to_read.name]))),
        cells=found,
    )


def _cells(shown: Sequence[_Cell]) -> Iterator[GridCell]:
    against = {
        cell.to_read.name: statistics.compare(cell.regrets(), {"": shown[0].regrets()})[""]
        for cell in shown[1:]
        if cell.regrets().keys() & shown[0].regrets().keys()
    }
    corrected = statistics.holm({name: one.p for name, one in against.items()})
    for cell in shown:
        name, plays = cell.to_read.name, cell.plays()
        measured, other = figures.measured(plays), against.get(name)
        settled = measured.get("suff_fail_freq")
        yield GridCell(
            name=name,
            says=cell.to_read.says,
            changes=dict(cell.to_read.changes),
            runs=len(cell.sides),
            of=cell.to_read.seeds,
            scenarios=len(cell.regrets()),
            regret=measured["regret"],
            drop=statistics.paired_drop(cell.regrets(of_base=True), cell.regrets()),
            lower_than_first=other.drop if other else None,
            p=other.p if other else None,
            p_holm=corrected[name] if other else None,
            suff_fail_freq=settled.mean if settled else None,
            k_min_frac=measured["k_min_frac"].mean,
            valid=measured["valid"].mean,
        )


def _players(shown: Sequence[_Cell]) -> Iterator[ComparedPlayer]:
    """The base of the first cell, and the champions of each."""
    if shown:
        first = shown[0]
        yield _player(f"{first.to_read.name}: base", first, of_base=True)
    for cell in shown:
        yield _player(cell.to_read.name, cell)


def _player(name: str, cell: _Cell, *, of_base: bool = False) -> ComparedPlayer:
    plays = cell.plays(of_base=of_base)
    measured = figures.measured(plays)
    before, after = cell.regrets(of_base=True), cell.regrets(of_base=of_base)
    count = len(cell.sides)
    return ComparedPlayer(
        name=name,
        model=f"{'base' if of_base else 'champion'} of {count} {'run' if count == 1 else 'runs'}",
        scenarios=len(after),
        regret=measured["regret"],
        drop=None if of_base else statistics.paired_drop(before, after),
        measures=measured,
        curves=figures.curves(plays),
    )


def _pairs(cells: Sequence[GridCell]) -> Iterator[ComparedPair]:
    for one in cells:
        if one.lower_than_first is not None and one.p is not None and one.p_holm is not None:
            yield ComparedPair(
                "cells",
                one.name,
                cells[0].name,
                one.scenarios,
                one.lower_than_first,
                one.p,
                one.p_holm,
            )


def _chain(cell: _Cell, sides: Sequence[RunSide]) -> RegretChain | None:
    """Mean regret by iteration over a cell's seeds: of the iterations that all of them have."""
    chains = [one for side in sides if (one := run_sides.chain(side)) is not None]
    splits: set[Split] = {one.split for one in chains}
    if not chains or len(splits) > 1:
        return None
    common = zip(*(one.points for one in chains), strict=False)
    points = tuple(
        ChainPoint(
            some[0].x,
            float(np.mean([one.mean for one in some])),
            some[0].low if len(some) == 1 else math.nan,
            some[0].high if len(some) == 1 else math.nan,
            len(some) == 1 and some[0].champion,
        )
        for some in common
    )
    return RegretChain(cell.to_read.name, splits.pop(), points)


def _missing(cells: Sequence[_Cell]) -> Iterator[str]:
    for cell in cells:
        left = cell.to_read.seeds - len(cell.sides)
        if left:
            yield (
                f"cell {cell.to_read.name}: {left} of {cell.to_read.seeds} runs have not played "
                "their test scenarios and are left out of its figures"
            )


def _headline(cells: Sequence[GridCell]) -> Headline:
    others = [one for one in cells[1:] if one.p_holm is not None]
    if not cells:
        return Headline("No run has ended yet", "There are no figures of any cell so far.", None)
    if not others:
        return Headline(f"{cells[0].name} alone has figures", "No other cell has so far.", None)
    sure = [one for one in others if one.lower_than_first and (one.p_holm or 0.0) < SURE]
    first = cells[0].name
    text = f"Paired on the same scenarios, corrected for {len(others)} comparisons (Holm)."
    if not sure:
        return Headline(f"No cell differs surely from {first}", text, False)
    sides = {
        "less": [o.name for o in sure if o.lower_than_first and o.lower_than_first.mean > 0],
        "more": [o.name for o in sure if o.lower_than_first and o.lower_than_first.mean <= 0],
    }
    told = "; ".join(f"{side} regret: {', '.join(names)}" for side, names in sides.items() if names)
    return Headline(
        f"{len(sure)} of {len(others)} cells differ from {first}", f"{text} {told}.", True
    )
