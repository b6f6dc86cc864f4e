"""The runs of a grid: walked one after the other, and held against the first cell's."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from rmft_api import statistics
from rmft_api.config import run_files
from rmft_api.config.grid import GridRun, grid_runs, load
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import BudgetError, ConfigError, UsageError
from rmft_api.core.records import Interval, Record
from rmft_api.evaluation import outcome
from rmft_api.evaluation.measures import unread_warning
from rmft_api.evaluation.scoring import Performance
from rmft_api.journal import Journal, open_to_read
from rmft_api.planning import GridPlan, PlannedGridRun, plan_grid
from rmft_api.report.text.columns import paragraph, table
from rmft_api.selection.regret import Floats
from rmft_api.session import grids, plans
from rmft_api.session.budgets import Budgets, left_of
from rmft_api.session.grids import GridRecord
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.reporting import QUIET, Reporting
from rmft_api.session.resume_options import ResumeOptions
from rmft_api.session.run_identity import has_begun
from rmft_api.session.runs import begin, resume
from rmft_api.session.starting_models import resolved
from rmft_api.statistics import FEWEST_SEEDS, Comparison, pooled_interval

HEADINGS = (
    "cell",
    "regret",
    "drop to base",
    "against the first",
    "p",
    "SuffFail",
    "K x MinFrac",
    "valid",
)


class AblationRow(Record, frozen=True):
    """One cell: its champions on the test scenarios of all seeds."""

    cell: str
    says: str
    scenarios: int
    regret: Interval
    drop: Interval
    """What regret fell by from the base, scenario by scenario; 0 where the base is the champion."""
    against: Comparison | None
    """How far regret is below the first cell's, on the same scenarios; None for the first."""
    suff_fail_freq: float | None
    k_min_frac: float
    valid: float
    """Share of the champions' replies that could be read."""
    base_valid: float
    """The same of the base's."""
    seeds: int = 1
    """Over several, figures are of the seeds' means, and intervals know seeds and scenarios."""


_Ends = tuple[Performance, Performance]
"""The base and the champion of one run."""


def runs_of(file: str | Path | None, cells: Sequence[str]) -> list[GridRun]:
    """The runs of a grid file, the shipped one for None, of these cells or all. Raises ConfigError.

    The first cell is always among them.
    """
    path = run_files.ablations() if file is None else run_files.find(file)
    return chosen(list(grid_runs(path, load(path))), cells)


async def run_all(
    places: Sequence[GridRun],
    runs: Path,
    reporting: Reporting = QUIET,
    budget_usd: float | None = None,
) -> list[AblationRow]:
    """Take every run to its end, one after the other, wherever it stands; then compare the cells.

    `budget_usd` is the most that all these runs may have spent together in the end. Raises
    ConfigError for a run of other settings, BudgetError where the budget is taken.
    """
    grids.keep(places, runs)
    directories = [runs / place.config.name for place in places]
    for place, directory in zip(places, directories, strict=True):
        others = [one for one in directories if one != directory]
        left = None if budget_usd is None else left_of(budget_usd, others)
        await run_cell(place, runs, reporting, left)
    return compared(places, runs)


def chosen(every: Sequence[GridRun], cells: Sequence[str]) -> list[GridRun]:
    """The runs of these cells, all where none is named; the first cell is always among them."""
    known = list(dict.fromkeys(place.cell.name for place in every))
    for name in cells:
        if name not in known:
            raise ConfigError(f"no cell {name!r} in this grid; it has {', '.join(known)}")
    return [one for one in every if not cells or one.cell.name in (known[0], *cells)]


async def plan_of(
    places: Sequence[GridRun],
    runs: Path,
    reply_tokens: int | None = None,
    budget_usd: float | None = None,
) -> GridPlan:
    """What all runs of a grid will do and cost, with `budget_usd` for all of them together.

    Sends nothing; raises as `plans.plan_of` does.
    """
    planned = [
        PlannedGridRun(
            cell=place.cell.name,
            seed=place.seed,
            changes=dict(place.cell.set),
            plan=await plans.plan_of(place.config, runs, reply_tokens),
        )
        for place in places
    ]
    return plan_grid(planned, budget_usd)


def plan_now(
    places: Sequence[GridRun],
    runs: Path,
    reply_tokens: int | None = None,
    budget_usd: float | None = None,
) -> GridPlan:
    """As `plan_of`, where no event loop runs."""
    return asyncio.run(plan_of(places, runs, reply_tokens, budget_usd))


async def run_cell(
    place: GridRun, runs: Path, reporting: Reporting = QUIET, left_usd: float | None = None
) -> None:
    """Take one run to its end, wherever it stands, within what is left of the grid's budget.

    Raises ConfigError for one of other settings, BudgetError where nothing is left.
    """
    directory = runs / place.config.name
    if not has_begun(directory):
        await begin(_within(place.config, left_usd), runs, None, reporting=reporting)
        return
    with closing(Journal.read(directory)) as journal:
        recorded, ended = recorded_config(journal), _has_ended(journal)
    wanted = resolved(place.config, runs).model_copy(update={"budget_usd": recorded.budget_usd})
    if recorded != wanted:
        raise ConfigError(
            f"run {place.config.name!r} exists with other settings than the grid's; move it away, "
            "or give another folder with --runs"
        )
    if not ended:
        caps = Budgets(None if left_usd is None else _within(place.config, left_usd).budget_usd)
        await resume(directory, ResumeOptions(caps=caps), reporting)


def _within(config: RunConfig, left_usd: float | None) -> RunConfig:
    """The run with what is left of the grid's budget, or its own cap where that is lower."""
    if left_usd is None:
        return config
    if left_usd <= 0.0:
        raise BudgetError(
            f"the other runs of the grid have taken its whole budget before {config.name!r}; the "
            "same command with a higher --budget continues the grid"
        )
    own = config.budget_usd
    return config.model_copy(update={"budget_usd": left_usd if own is None else min(own, left_usd)})


def _has_ended(journal: Journal) -> bool:
    return bool(journal.all("results", object))


def compared(places: Sequence[GridRun], runs: Path) -> list[AblationRow]:
    """One row for each cell, in the grid's order.

    Over several seeds every figure is of the seeds' means (`statistics.pooled_interval`).
    """
    says = {place.cell.name: place.cell.says for place in places}
    names_of: dict[str, list[str]] = {}
    for place in places:
        names_of.setdefault(place.cell.name, []).append(place.config.name)
    return _rows(names_of, says, runs)


def recorded_rows(record: GridRecord, runs: Path) -> list[AblationRow]:
    """As `compared`, of a grid as it was recorded. Raises UsageError before all runs have ended."""
    every = [name for cell in record.cells for name in cell.runs]
    left = [name for name in every if not has_begun(runs / name) or not _ended(runs / name)]
    if left:
        raise UsageError(
            f"{len(left)} of {len(every)} runs of grid {record.name!r} have not ended, so its "
            f"cells are not compared yet: {', '.join(left[:3])}{' ...' if left[3:] else ''}; the "
            "same `rmft-api ablate` continues"
        )
    names_of = {cell.name: cell.runs for cell in record.cells}
    return _rows(names_of, {cell.name: cell.says for cell in record.cells}, runs)


def _ended(directory: Path) -> bool:
    with open_to_read(directory) as journal:
        return _has_ended(journal)


def _rows(
    names_of: Mapping[str, Sequence[str]], says: Mapping[str, str], runs: Path
) -> list[AblationRow]:
    cells = {cell: [_ends(runs / name) for name in some] for cell, some in names_of.items()}
    first = next(iter(cells.values()))
    others = {
        name: [_fallen(mine, theirs) for (_, mine), (_, theirs) in zip(ends, first, strict=True)]
        for name, ends in cells.items()
        if ends is not first
    }
    corrected = statistics.holm({name: _p(drops) for name, drops in others.items()})
    return [
        _row(name, says[name], ends, _against(others.get(name), corrected.get(name)))
        for name, ends in cells.items()
    ]


def _row(name: str, says: str, ends: Sequence[_Ends], against: Comparison | None) -> AblationRow:
    bests = [best for _, best in ends]
    return AblationRow(
        cell=name,
        says=says,
        scenarios=sum(len(best.regret_M) for best in bests),
        regret=_regret(bests),
        drop=_over_seeds([_fallen(best, base) for base, best in ends]),
        against=against,
        suff_fail_freq=_known_mean([best.suff_fail_M for best in bests]),
        k_min_frac=_mean([best.k_min_frac_M.mean() for best in bests]),
        valid=_mean([best.valid_M.mean() for best in bests]),
        base_valid=_mean([base.valid_M.mean() for base, _ in ends]),
        seeds=len(ends),
    )


def _against(drops: Sequence[Floats] | None, p_holm: float | None) -> Comparison | None:
    if drops is None or p_holm is None:
        return None
    return Comparison(_over_seeds(drops), _p(drops), p_holm)


def _fallen(mine: Performance, other: Performance) -> Floats:
    """What the other's regret is above mine, scenario by scenario. Raises ConfigError."""
    if mine.numbers != other.numbers:
        raise ConfigError(
            "cells of one seed have different test scenarios; a grid changes none of [test]"
        )
    return other.regret_M - mine.regret_M


def _over_seeds(drops: Sequence[Floats]) -> Interval:
    return statistics.drop_interval(drops[0]) if len(drops) == 1 else pooled_interval(drops)


def _p(drops: Sequence[Floats]) -> float:
    """Two-sided, of no difference: over scenarios of one seed, over the means of several."""
    return statistics.paired_p(drops[0]) if len(drops) == 1 else statistics.pooled_p(drops)


def _ends(directory: Path) -> _Ends:
    """The base and the champion on the run's test scenarios."""
    journal = Journal.read(directory)
    try:
        config = recorded_config(journal)
        played = outcome.performances(config, journal, "test")
        return played[0], played[outcome.champion(config, journal).index]
    finally:
        journal.close()


def _regret(played: Sequence[Performance]) -> Interval:
    if len(played) == 1:
        return played[0].regret()
    least = float(np.mean([one.least_M.mean() for one in played]))
    return pooled_interval([one.regret_M for one in played], least=least)


def _known_mean(figures: Sequence[Floats]) -> float | None:
    """None where all problems have state."""
    known = [float(one[np.isfinite(one)].mean()) for one in figures if np.isfinite(one).any()]
    return _mean(known) if known else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def table_of(rows: Sequence[AblationRow]) -> str:
    """The grid as people read it."""
    shown = table(
        [HEADINGS, *map(_cells, rows)], words=4, optional=("K x MinFrac", "SuffFail"), foot=0
    )
    return "\n".join([shown, "", *map(paragraph, _notes(rows))])


def _cells(row: AblationRow) -> tuple[str, ...]:
    against = row.against
    return (
        row.cell,
        str(row.regret),
        str(row.drop),
        str(against.drop) if against else "",
        f"{against.p_holm:.3f}" if against else "",
        "" if row.suff_fail_freq is None else f"{row.suff_fail_freq:.2f}",
        f"{row.k_min_frac:.2f}",
        f"{row.valid:.1%}",
    )


def _notes(rows: Sequence[AblationRow]) -> Iterator[str]:
    of_seeds = f" of {rows[0].seeds} seeds" if rows[0].seeds > 1 else ""
    yield (
        f"champions on {rows[0].scenarios} test scenarios{of_seeds}; drops are paired, 95 %; p is "
        "of the difference to the first cell, corrected for all cells (Holm)"
    )
    if 1 < rows[0].seeds < FEWEST_SEEDS:
        yield f"an interval over seeds needs at least {FEWEST_SEEDS} of them"
    yield from (f"{row.cell}: {row.says}" for row in rows if row.says)
    for row in rows:
        for who, valid in (("the base", row.base_valid), ("the champion", row.valid)):
            if lines := unread_warning(valid):
                yield f"warning, {row.cell}, {who}: {lines}"
