"""The page of an ablation grid: its cells against the first one, and every run behind them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from rmft_api import statistics
from rmft_api.core.records import Interval, Split
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
from rmft_api.report.play_groups import ScoredPlay, scenarios_of
from rmft_api.report.run_sides import RunSide, RunToRead
from rmft_api.report.runs_page import SURE
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.selection.regret import Floats, least_regret


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
    sides: Mapping[int, RunSide]
    """Those of its runs that have played their test scenarios, by seed."""

    def plays(self, *, of_base: bool = False) -> tuple[ScoredPlay, ...]:
        """Of the test scenarios; those of another seed are other scenarios."""
        return tuple(
            ScoredPlay(seed * _MOST_SCENARIOS + one.scenario, one.kind, one.play)
            for seed, side in self.sides.items()
            for one in side.tested_by(0 if of_base else side.report.champion)
        )

    def regret(self, *, of_base: bool = False) -> Interval:
        """Mean regret: over scenarios of one seed, over the means of several."""
        every = [_regrets(side, of_base=of_base) for side in self.sides.values()]
        regrets = [np.array(list(one.values())) for one in every]
        least = float(np.mean([_least(s, of_base=of_base) for s in self.sides.values()]))
        if len(regrets) == 1:
            return statistics.regret_interval(regrets[0], least=least)
        return statistics.pooled_interval(regrets, least=least)


_MOST_SCENARIOS = 1_000_000


def _regrets(side: RunSide, *, of_base: bool = False) -> Regrets:
    return side.regrets_of(0 if of_base else side.report.champion)


def _least(side: RunSide, *, of_base: bool) -> float:
    """What no play of these scenarios can be below, on average."""
    plays = side.tested_by(0 if of_base else side.report.champion)
    least = scenarios_of(plays, least_regret)
    found = statistics.averaged(
        (one.scenario, float(value)) for one, value in zip(plays, least, strict=True)
    )
    return float(np.mean(list(found.values())))


def _drops(before: Sequence[Regrets], after: Sequence[Regrets]) -> list[Floats]:
    """What regret fell by, scenario by scenario, seed by seed; on the scenarios of both."""
    found: list[Floats] = []
    for then, now in zip(before, after, strict=True):
        common = sorted(then.keys() & now.keys())
        if common:
            found.append(np.array([then[s] - now[s] for s in common]))
    return found


def _over_seeds(drops: Sequence[Floats]) -> Interval:
    if len(drops) == 1:
        return statistics.drop_interval(drops[0])
    return statistics.pooled_interval(drops)


def _p(drops: Sequence[Floats]) -> float:
    return statistics.paired_p(drops[0]) if len(drops) == 1 else statistics.pooled_p(drops)


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
        _Cell(cell, {s.run.config.seed: s for s in every[cell.name] if _is_tested(s)})
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


def _is_tested(side: RunSide) -> bool:
    return side.split == "test" and bool(_regrets(side)) and bool(_regrets(side, of_base=True))


def _cells(shown: Sequence[_Cell]) -> Iterator[GridCell]:
    against = {
        cell.to_read.name: drops for cell in shown[1:] if (drops := _against_first(cell, shown[0]))
    }
    ps = {name: _p(drops) for name, drops in against.items()}
    corrected = statistics.holm(ps)
    for cell in shown:
        name, measured = cell.to_read.name, figures.measured(cell.plays())
        settled = measured.get("suff_fail_freq")
        yield GridCell(
            name=name,
            says=cell.to_read.says,
            changes=dict(cell.to_read.changes),
            runs=len(cell.sides),
            of=cell.to_read.seeds,
            scenarios=sum(len(_regrets(side)) for side in cell.sides.values()),
            regret=cell.regret(),
            drop=_own_drop(cell),
            lower_than_first=_over_seeds(against[name]) if name in against else None,
            p=ps.get(name),
            p_holm=corrected.get(name),
            suff_fail_freq=settled.mean if settled else None,
            k_min_frac=measured["k_min_frac"].mean,
            valid=measured["valid"].mean,
        )


def _against_first(cell: _Cell, first: _Cell) -> list[Floats]:
    """What the first cell's regret is above this one's, for each seed that both have played."""
    seeds = [
        seed
        for seed, side in cell.sides.items()
        if seed in first.sides and first.sides[seed].course == side.course
    ]
    return _drops(
        [_regrets(first.sides[seed]) for seed in seeds],
        [_regrets(cell.sides[seed]) for seed in seeds],
    )


def _own_drop(cell: _Cell) -> Interval:
    sides = cell.sides.values()
    return _over_seeds(
        _drops([_regrets(s, of_base=True) for s in sides], [_regrets(s) for s in sides])
    )


def _players(shown: Sequence[_Cell]) -> Iterator[ComparedPlayer]:
    """The base of the first cell, and the champions of each."""
    if shown:
        first = shown[0]
        yield _player(f"{first.to_read.name}: base", first, of_base=True)
    for cell in shown:
        yield _player(cell.to_read.name, cell)


def _player(name: str, cell: _Cell, *, of_base: bool = False) -> ComparedPlayer:
    plays, count = cell.plays(of_base=of_base), len(cell.sides)
    return ComparedPlayer(
        name=name,
        model=f"{'base' if of_base else 'champion'} of {count} {'run' if count == 1 else 'runs'}",
        scenarios=sum(len(_regrets(side, of_base=of_base)) for side in cell.sides.values()),
        regret=cell.regret(of_base=of_base),
        drop=None if of_base else _own_drop(cell),
        measures=figures.measured(plays),
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
    text = (
        "Paired on the same scenarios"
        + (", over seeds" if cells[0].runs > 1 else "")
        + f"; corrected for {len(others)} {'comparison' if len(others) == 1 else 'comparisons'}."
    )
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
