"""The index of a folder: its runs, evaluations, families, grids and pages, read entry by entry."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from rmft_api.core.errors import RmftError, UsageError
from rmft_api.core.files import replace_file
from rmft_api.core.records import Split
from rmft_api.evaluation.scoring import Evaluated, Results
from rmft_api.journal import Journal, open_to_read
from rmft_api.planning.plan_vs_actual import RESULTS
from rmft_api.report import index_page, page
from rmft_api.report.data import RunState
from rmft_api.report.index_page import IndexEntry, IndexReport
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.session import comparisons, families, grids, page_sources, pages
from rmft_api.session.page_sources import PageSource
from rmft_api.session.progress import check_begun, status_of
from rmft_api.session.run_directories import FAMILY, GRID, family_names, grid_names, run_names

FILE = "index.html"
PAGE = "report.html"
"""Of a run, an evaluation, a family or a grid, in its folder."""
Address = Callable[[Path], str | None]
"""From the folder of an entry to where its page lies, from the index; None: nowhere."""


def write(runs: Path, to: Path, say: Callable[[str], None]) -> int:
    """Write the index and every page that is missing or older than its run; the index's size.

    `say` takes a line for each page. What cannot be shown is named in the index. Raises UsageError
    where there is no such folder, StorageError.
    """
    if not runs.is_dir():
        raise UsageError(f"no folder {str(runs)!r}; --runs names the folder of runs")
    failed = dict(_write_pages(runs, say))
    content = page.of_data(_read(runs, _Entries(runs, _address_of_file(to.parent)), failed), _NONE)
    replace_file(to, content)
    return len(content)


_NONE = TrajectoryIndex()


def source(runs: Path, address: Address) -> PageSource:
    """The index as something that can be followed."""
    entries = _Entries(runs, address)

    def state() -> RunState:
        states = {one: pages.run_state(runs / one) for one in run_names(runs)}
        at_work = [f"{name}, {s.stage}" for name, s in states.items() if s.state == "running"]
        return RunState("running" if at_work else "finished", "; ".join(at_work))

    return PageSource(
        str(runs), lambda: (_read(runs, entries, {}), TrajectoryIndex()), state, lambda: _mark(runs)
    )


def address_in_server(directory: Path) -> str:
    """Where an entry's page is served, from the index."""
    return f"of/{directory.name}/"


def _address_of_file(folder: Path) -> Address:
    def address(directory: Path) -> str | None:
        path = directory / PAGE
        if not path.is_file():
            return None
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()

    return address


def _places(runs: Path) -> list[Path]:
    """Whatever has a page of its own."""
    return [runs / name for name in (*run_names(runs), *family_names(runs), *grid_names(runs))]


def _write_pages(runs: Path, say: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Pages that are missing or out of date; (name, why) where one cannot be written."""
    for directory in _places(runs):
        path = directory / PAGE
        try:
            made = page_sources.of_place(directory)
            if _is_current(path, directory):
                continue
            content = page.of_data(*made.read())
            replace_file(path, content)
            say(f"page: {path} ({len(content) / 1e6:.1f} MB)")
        except Exception as error:  # noqa: BLE001 - one damaged folder leaves the others their pages
            yield directory.name, _reason(error)


def _is_current(path: Path, directory: Path) -> bool:
    if not path.is_file():
        return False
    changed = [one for one in _watched_files(directory) if one.exists()]
    return all(one.stat().st_mtime_ns <= path.stat().st_mtime_ns for one in changed)


def _watched_files(directory: Path) -> list[Path]:
    """What an entry's page is made of."""
    own = [directory / name for name in ("journal.sqlite", "status.json", FAMILY, GRID)]
    members = [directory.parent / name for name in _members(directory)]
    return own + [one / name for one in members for name in ("journal.sqlite", "status.json")]


def _members(directory: Path) -> tuple[str, ...]:
    """The runs of a family or grid; none where its record cannot be read."""
    try:
        if (directory / FAMILY).is_file():
            record = families.record_of(directory)
            return tuple(map(record.run_of, record.seeds))
        if (directory / GRID).is_file():
            return tuple(name for cell in grids.record_of(directory).cells for name in cell.runs)
    except RmftError:
        return ()
    return ()


def _mark(runs: Path) -> object:
    return tuple((one.name, pages.mark_of(one)) for one in _places(runs))


def _read(runs: Path, entries: "_Entries", failed: dict[str, str]) -> IndexReport:
    found, unreadable = entries.read()
    return index_page.gather(str(runs), found, {**failed, **unreadable})


class _Entries:
    """Reads a folder; what has not changed since the last time is not read again."""

    def __init__(self, runs: Path, address: Address) -> None:
        self._runs, self._address = runs, address
        self._kept: dict[str, tuple[object, IndexEntry]] = {}

    def read(self) -> tuple[list[IndexEntry], dict[str, str]]:
        """The entries, and folders that cannot be read, with the reason."""
        found: dict[str, IndexEntry] = {}
        unreadable: dict[str, str] = {}
        for name in run_names(self._runs):
            try:
                found[name] = self._run(self._runs / name)
            except Exception as error:  # noqa: BLE001 - one damaged folder is named, and no more
                unreadable[name] = _reason(error)
        together: list[IndexEntry] = []
        for kind, names in (("family", family_names), ("grid", grid_names)):
            for name in names(self._runs):
                try:
                    together.append(self._of(kind, self._runs / name, found))
                except Exception as error:  # noqa: BLE001 - as above
                    unreadable[name] = _reason(error)
        return [*found.values(), *together, *_pages_of_several(self._runs)], unreadable

    def _run(self, directory: Path) -> IndexEntry:
        mark = (pages.mark_of(directory), status_of(directory))
        kept = self._kept.get(directory.name)
        if kept is None or kept[0] != mark:
            kept = (mark, _entry(directory))
            self._kept[directory.name] = kept
        return msgspec.structs.replace(kept[1], page=self._address(directory))

    def _of(self, kind: str, directory: Path, runs: dict[str, IndexEntry]) -> IndexEntry:
        """A family or a grid, from what is known of its runs."""
        if kind == "family":
            record = families.record_of(directory)
            names = tuple(map(record.run_of, record.seeds))
            note, what = "", "seeds"
        else:
            names = tuple(n for cell in grids.record_of(directory).cells for n in cell.runs)
            cells = [cell.name for cell in grids.record_of(directory).cells]
            note, what = f"cells: {', '.join(cells)}", "runs"
        members = [runs[name] for name in names if name in runs]
        ended = sum(one.state == "finished" for one in members)
        state = page_sources.worst([one.state for one in members if one.state is not None])
        if state == "finished" and ended < len(names):
            state = "interrupted"
        return IndexEntry(
            name=directory.name,
            kind="family" if kind == "family" else "grid",
            page=self._address(directory),
            state=state if members else None,
            stage=f"{ended} of {len(names)} {what} finished",
            at=max((one.at or 0 for one in members), default=0) or None,
            points=_mean_points(members) if kind == "family" else (),
            spent=sum(one.spent for one in members),
            of=names,
            note=note,
        )


def _entry(directory: Path) -> IndexEntry:
    """A run or an evaluation. Raises whatever reading it raises."""
    check_begun(directory)
    status, state = status_of(directory), pages.run_state(directory)
    with open_to_read(directory) as journal:
        if comparisons.is_comparison(journal):
            found = _evaluation(directory, journal)
        else:
            found = _of_results(directory, _results(journal, is_over=state.state == "finished"))
        created = journal.run.created
    return msgspec.structs.replace(
        found,
        state=state.state,
        stage=state.stage,
        at=status.at * 1000 if status else created,
        spent=status.spent if status else 0,
        cap=status.cap if status else None,
    )


def _results(journal: Journal, *, is_over: bool) -> Results | None:
    """As the run recorded them at its end; worked out where it did not, or in another version."""
    try:
        found = journal.get(RESULTS, "", Results) if is_over else None
    except (RmftError, msgspec.MsgspecError):
        found = None
    return found or pages.results_so_far(journal)


def _of_results(directory: Path, found: Results | None) -> IndexEntry:
    if found is None:
        return IndexEntry(directory.name, "run", note="no model has been evaluated yet")
    tested = all(one.test for one in found.iterations)
    split: Split = "test" if tested else "validation"
    best = next(one for one in found.iterations if one.index == found.champion.index)
    shown: Split = "test" if best.test else "validation"
    figures = best.test or best.validation
    return IndexEntry(
        directory.name,
        "run",
        champion=f"iteration {best.index}" if best.index else "base",
        regret=figures.regret,
        drop=figures.paired_drop,
        split=shown,
        points=tuple(_regret(one, split) for one in found.iterations),
    )


def _regret(one: Evaluated, split: Split) -> float:
    figures = one.test if split == "test" and one.test else one.validation
    return figures.regret.mean


def _evaluation(directory: Path, journal: Journal) -> IndexEntry:
    found = comparisons.results_so_far(journal)
    models = [one for one in found.players if one.model is not None]
    note = f"suite {found.suite}, {len(models)} {'model' if len(models) == 1 else 'models'}"
    if not models:
        return IndexEntry(directory.name, "evaluation", note=f"{note} have played")
    best = min(models, key=lambda one: one.figures.regret.mean)
    return IndexEntry(
        directory.name,
        "evaluation",
        champion=best.label,
        regret=best.figures.regret,
        split="test",
        note=note,
    )


def _mean_points(members: Sequence[IndexEntry]) -> tuple[float, ...]:
    """Mean regret by iteration, of the iterations that all of them have."""
    common = zip(*(one.points for one in members if one.points), strict=False)
    return tuple(float(np.mean(some)) for some in common)


def _pages_of_several(runs: Path) -> Iterator[IndexEntry]:
    """Pages of several runs that were written into the folder of runs itself."""
    for path in sorted(runs.glob("*.html")):
        try:
            with path.open("rb") as file:
                is_ours = page.MARK in file.read(4096)
            at = int(path.stat().st_mtime * 1000)
        except OSError:
            continue
        if is_ours and path.name != FILE:
            yield IndexEntry(path.name, "page", page=path.name, at=at, note="several runs")


def _reason(error: Exception) -> str:
    """In one line."""
    if isinstance(error, RmftError | OSError):
        return " ".join(str(error).split())
    return f"it cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
