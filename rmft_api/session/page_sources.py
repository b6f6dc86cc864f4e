"""What a page is made of: a run, an evaluation, several runs, a family, a grid, or a whole folder.

Each is read whole on demand, and knows how far it is, so that a page can be written or followed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rmft_api.core.errors import RmftError, UsageError
from rmft_api.journal import open_to_read
from rmft_api.report import evaluation_page, family_page, grid_page, page, runs_page
from rmft_api.report.compared_data import ComparedReport
from rmft_api.report.data import ReportData, RunState, State
from rmft_api.report.family_page import FamilyToRead
from rmft_api.report.grid_page import CellToRead
from rmft_api.report.index_page import IndexReport
from rmft_api.report.run_sides import RunToRead
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.session import comparisons, families, grids, pages
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.run_directories import is_family, is_grid, is_run

Report = ReportData | ComparedReport | IndexReport


@dataclass(frozen=True)
class PageSource:
    """Something that has a page."""

    title: str
    read: Callable[[], tuple[Report, TrajectoryIndex]]
    """Reads all of it; takes seconds. Raises RmftError."""
    state: Callable[[], RunState]
    mark: Callable[[], object]
    """Changes when reading would find something new."""


def of_place(directory: Path) -> PageSource:
    """Of a run, an evaluation, a family or a grid, by what lies in its folder."""
    if is_run(directory):
        return _of_run(directory)
    if is_family(directory):
        return _of_family(directory)
    if is_grid(directory):
        return _of_grid(directory)
    raise UsageError(f"{str(directory)!r} has no run, family or grid, so it has no page")


def of_several(directories: Sequence[Path]) -> PageSource:
    """Of several runs side by side.

    A run that cannot be opened is named on the page. Reading raises UsageError for an evaluation,
    and where no run can be opened.
    """

    def read() -> tuple[Report, TrajectoryIndex]:
        with ExitStack() as stack:
            runs, unreadable = _opened_runs(directories, stack)
            if not runs:
                raise UsageError(
                    f"none of these runs can be read: {'; '.join(unreadable.values())}"
                )
            return page.within_limit(lambda index: runs_page.gather_all(runs, unreadable, index))

    title = ", ".join(directory.name for directory in directories)
    return PageSource(title, read, *_together(directories))


def _of_run(directory: Path) -> PageSource:
    def read() -> tuple[Report, TrajectoryIndex]:
        with open_to_read(directory) as journal:
            state = pages.run_state(directory)
            if comparisons.is_comparison(journal):
                found, config = comparisons.results_so_far(journal), comparisons.recorded(journal)
                return page.within_limit(
                    lambda index: evaluation_page.gather(config, journal, found, state, index)
                )
            results = pages.results_so_far(journal)
            return page.read(recorded_config(journal), journal, results, state)

    return PageSource(
        directory.name,
        read,
        lambda: pages.run_state(directory),
        lambda: pages.mark_of(directory),
    )


def _of_family(directory: Path) -> PageSource:
    def read() -> tuple[Report, TrajectoryIndex]:
        record, states = families.record_of(directory), families.statuses(directory)
        started = [directory.parent / s.run for s in states if is_run(directory.parent / s.run)]
        warnings = [
            f"seed {one.seed} is not among the figures over all seeds: {one.state}"
            for one in states
            if one.state != "finished"
        ]
        try:
            found = families.results_of(directory)
        except RmftError as error:
            found = None
            warnings.append(f"there are no figures over all seeds: {error}")
        with ExitStack() as stack:
            runs, unreadable = _opened_runs(started, stack)
            family = FamilyToRead(record.name, runs, found, warnings)
            return page.within_limit(lambda index: family_page.gather(family, unreadable, index))

    record = families.record_of(directory)
    places = [directory.parent / record.run_of(seed) for seed in record.seeds]
    return PageSource(directory.name, read, *_together(places))


def _of_grid(directory: Path) -> PageSource:
    runs = directory.parent

    def read() -> tuple[Report, TrajectoryIndex]:
        record = grids.record_of(directory)
        with ExitStack() as stack:
            cells: list[CellToRead] = []
            unreadable: dict[str, str] = {}
            for cell in record.cells:
                started = [runs / name for name in cell.runs if is_run(runs / name)]
                opened, failed = _opened_runs(started, stack)
                unreadable |= failed
                cells.append(CellToRead(cell.name, cell.says, cell.changes, len(cell.runs), opened))
            return page.within_limit(
                lambda index: grid_page.gather(record.name, cells, unreadable, index)
            )

    places = [runs / name for cell in grids.record_of(directory).cells for name in cell.runs]
    return PageSource(directory.name, read, *_together(places))


def _opened_runs(
    directories: Sequence[Path], stack: ExitStack
) -> tuple[list[RunToRead], Mapping[str, str]]:
    """The runs, and those that cannot be opened, with the reason. Raises UsageError."""
    runs: list[RunToRead] = []
    unreadable: dict[str, str] = {}
    for directory in directories:
        try:
            runs.append(_opened(directory, stack))
        except UsageError:
            raise
        except RmftError as error:
            unreadable[directory.name] = str(error)
    return runs, unreadable


def _opened(directory: Path, stack: ExitStack) -> RunToRead:
    journal = stack.enter_context(open_to_read(directory))
    if comparisons.is_comparison(journal):
        raise UsageError(
            f"{directory.name!r} is an evaluation, which has a page of its own; "
            f"`rmft-api report {directory.name}` writes it"
        )
    config = recorded_config(journal)
    found, state = pages.results_so_far(journal), pages.run_state(directory)
    return RunToRead(directory.name, config, journal, found, state)


def _together(
    directories: Sequence[Path],
) -> tuple[Callable[[], RunState], Callable[[], object]]:
    """State and mark of several runs."""

    def state() -> RunState:
        states = {one.name: pages.run_state(one) for one in directories if is_run(one)}
        at_work = [f"{name}, {one.stage}" for name, one in states.items() if one.state == "running"]
        return RunState(worst([one.state for one in states.values()]), "; ".join(at_work))

    def mark() -> object:
        return tuple(pages.mark_of(one) for one in directories)

    return state, mark


def worst(states: Sequence[State]) -> State:
    """Of several: one that is under way, was interrupted or failed comes first."""
    order: tuple[State, ...] = ("running", "interrupted", "failed")
    for one in order:
        if one in states:
            return one
    return "finished"
