"""The runs in a folder, the last one first: how far each is, what came of it, what it has spent."""

import time
from contextlib import closing
from pathlib import Path

import msgspec

from rmft_api.core.errors import RmftError
from rmft_api.core.records import Record
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal
from rmft_api.planning.plan_vs_actual import RESULTS
from rmft_api.report.text.columns import table
from rmft_api.session.progress import RunStatus, check_begun, status_of
from rmft_api.session.run_directories import run_names

HEADINGS = ("run", "state", "step", "champion", "drop to base", "spent $", "age")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


class ListedRun(Record, frozen=True):
    """One run or evaluation of a list."""

    name: str
    status: RunStatus | None
    """None: it has not said anything yet."""
    results: Results | None = None
    """Of a run that has finished."""


class RunList(Record, frozen=True):
    """What a folder holds."""

    runs: tuple[ListedRun, ...]
    """The one that was at work last comes first."""
    unreadable: dict[str, str]
    """Folders that look like a run and are none, with the reason."""


def run_list(runs: Path) -> RunList:
    """Look at every run in a folder; none of them is opened while a process works on it."""
    found: list[ListedRun] = []
    unreadable: dict[str, str] = {}
    for name in run_names(runs):
        try:
            check_begun(runs / name)
            status = status_of(runs / name)
            results = _results(runs / name) if status and status.state == "finished" else None
            found.append(ListedRun(name, status, results))
        except (RmftError, OSError) as error:
            unreadable[name] = str(error)
    found.sort(key=lambda one: one.status.at if one.status else 0, reverse=True)
    return RunList(tuple(found), unreadable)


def _results(directory: Path) -> Results | None:
    with closing(Journal.read(directory)) as journal:
        try:
            return journal.get(RESULTS, "", Results)
        except msgspec.MsgspecError:  # of a version that recorded other figures
            return None


def list_table(found: RunList) -> str:
    """The runs as people read them; empty where there is none."""
    if not found.runs:
        return ""
    now = time.time()
    rows = [HEADINGS, *(_row(one, now) for one in found.runs)]
    return table(rows, words=4, optional=("age", "step"), foot=0)


def _row(one: ListedRun, now: float) -> tuple[str, ...]:
    status = one.status
    if status is None:
        return (one.name, "no status yet", "", "", "", "", "")
    share = f" {status.rounds}/{status.of} rounds" if status.rounds < status.of else ""
    step = "" if status.state == "finished" else f"{status.stage}{share}"
    spent = f"{status.spent / 1e6:.2f}" + (f" of {status.cap / 1e6:.2f}" if status.cap else "")
    return (one.name, status.state, step, *_outcome(one.results), spent, _age(now - status.at))


def _outcome(found: Results | None) -> tuple[str, str]:
    """The champion, and how far its regret is below the base's on test scenarios."""
    if found is None:
        return "", ""
    best = next((one for one in found.iterations if one.index == found.champion.index), None)
    drop = best.test.paired_drop if best and best.test else None
    name = f"iteration {found.champion.index}" if found.champion.index else "base"
    return name, "" if drop is None else str(drop)


def _age(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
