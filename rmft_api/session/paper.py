"""Figures and tables of runs and evaluations as files for a paper."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmft_api.core.errors import UsageError
from rmft_api.core.files import make_directory, replace_file

if TYPE_CHECKING:
    from rmft_api.evaluation.comparison import ComparisonResults
    from rmft_api.evaluation.scoring import Results
    from rmft_api.report.data import ReportData
    from rmft_api.report.paper.style import Format
    from rmft_api.report.paper.tables import PaperTable, TableFormat

FOLDER = "figures"


@dataclass(frozen=True)
class PaperOrder:
    """What is wanted."""

    formats: "tuple[Format, ...]" = ("svg", "pdf", "png")
    """Of figures; none: tables alone."""
    columns: int = 1
    """Over how many columns of the page: 1 is 85 mm wide, 2 is 175 mm."""
    tables: "tuple[TableFormat, ...]" = ()

    def __post_init__(self) -> None:
        from rmft_api.report.paper.style import FORMATS, WIDTHS
        from rmft_api.report.paper.tables import TABLE_FORMATS

        _check("format of figures", self.formats, FORMATS)
        _check("format of tables", self.tables, TABLE_FORMATS)
        _check("number of columns", (self.columns,), tuple(WIDTHS))


def _check(what: str, given: Sequence[object], known: Sequence[object]) -> None:
    for one in given:
        if one not in known:
            raise UsageError(f"no {what} {one!r}; there are {', '.join(map(str, known))}")


@dataclass(frozen=True)
class _Read:
    """One run or evaluation, read."""

    name: str
    run: "tuple[Results, ReportData] | None"
    comparison: "ComparisonResults | None"


def write(directories: Sequence[Path], to: Path, order: PaperOrder) -> list[Path]:
    """Write every figure and table that these runs have; the files' paths.

    Several runs have a folder each, and figures that hold all of them. Raises UsageError for a run
    that has evaluated no model yet, ConfigError without matplotlib, StorageError.
    """
    if order.formats:
        from rmft_api.report.paper import style

        style.matplotlib()
    found = [_read(directory) for directory in directories]
    paths: list[Path] = []
    for one in found:
        folder = to if len(found) == 1 else to / one.name
        paths += _write_one(one, folder, order)
    reports = [(one.name, one.run[1]) for one in found if one.run is not None]
    if len(reports) > 1 and order.formats:
        paths += _write_several(reports, to, order)
    return paths


def read_run(directory: Path) -> "tuple[Results, ReportData]":
    """A run's results and what its page shows of them. Raises UsageError for an evaluation."""
    found = _read(directory).run
    if found is None:
        raise UsageError(f"{directory.name!r} is an evaluation, not a run of training")
    return found


def _read(directory: Path) -> _Read:
    from rmft_api.journal import open_to_read
    from rmft_api.report.build import gather
    from rmft_api.session import comparisons, pages
    from rmft_api.session.recorded_config import recorded_config

    with open_to_read(directory) as journal:
        if comparisons.is_comparison(journal):
            return _Read(directory.name, None, comparisons.results_so_far(journal))
        results = pages.results_so_far(journal)
        if results is None:
            raise UsageError(
                f"run {directory.name!r} has evaluated no model yet; "
                f"`rmft-api resume {directory.name}` continues"
            )
        state = pages.run_state(directory)
        report = gather(recorded_config(journal), journal, results, state)
    return _Read(directory.name, (results, report), None)


def _write_one(one: _Read, folder: Path, order: PaperOrder) -> Iterator[Path]:
    from rmft_api.report.paper import tables

    make_directory(folder)
    for name, draw in _figures(one) if order.formats else ():
        yield from _write_figure(name, draw, folder, order)
    for form in order.tables:
        for table in _tables(one):
            path = folder / f"{table.name}{tables.SUFFIXES[form]}"
            replace_file(path, tables.formatted(table, form).encode())
            yield path


def pictures(results: "Results", report: "ReportData", folder: Path) -> dict[str, Path]:
    """A run's figures as PNG files, by name. Raises ConfigError without matplotlib."""
    read, order = (
        _Read(report.run, (results, report), None),
        PaperOrder(formats=("png",), columns=2),
    )
    return {path.stem: path for path in _write_one(read, folder, order)}


def _tables(one: _Read) -> "Iterator[PaperTable]":
    from rmft_api.report.paper import run_tables

    if one.run is not None:
        yield from run_tables.of_run(*one.run)
    if one.comparison is not None:
        yield from run_tables.of_comparison(one.comparison)


def _figures(one: _Read) -> Iterator[tuple[str, Any]]:
    from rmft_api.report.paper import comparison_plots, heat_maps, plots

    if one.run is not None:
        results, report = one.run
        yield "regret_by_iteration", partial(plots.regret_by_iteration, report)
        yield "regret_by_round", partial(plots.regret_by_round, report)
        yield "share_of_possible", partial(plots.share_of_possible, report)
        yield "paired_differences", partial(plots.paired_differences, report)
        yield "exploration", partial(plots.exploration, report)
        yield "generalisation", partial(heat_maps.of_run, results)
    if one.comparison is not None:
        found = one.comparison
        yield "players", partial(comparison_plots.players, found)
        yield "paired_differences", partial(comparison_plots.pairs, found)
        yield "generalisation", partial(heat_maps.of_comparison, found)


def _write_several(
    reports: "Sequence[tuple[str, ReportData]]", to: Path, order: PaperOrder
) -> Iterator[Path]:
    from rmft_api.report.paper import several

    draw = partial(several.regret_by_iteration, reports)
    yield from _write_figure("runs_regret_by_iteration", draw, to, order)
    yield from _write_figure("runs_champions", partial(several.champions, reports), to, order)


def _write_figure(name: str, draw: Any, folder: Path, order: PaperOrder) -> Iterator[Path]:
    from rmft_api.report.paper import style

    with style.styled():
        figure = draw(order.columns)
        if figure is None:
            return
        style.settle(figure)
        for kind in order.formats:
            path = folder / f"{name}.{kind}"
            replace_file(path, style.content(figure, kind))
            yield path
