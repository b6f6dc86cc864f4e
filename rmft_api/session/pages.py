"""The page of a run or an evaluation: its data, and its file."""

from pathlib import Path
from typing import TYPE_CHECKING

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.core.files import replace_file
from rmft_api.evaluation.outcome import results
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import FILE, Journal, is_owned
from rmft_api.report import page
from rmft_api.report.data import RunState
from rmft_api.report.regret_svg import regret_svg
from rmft_api.session.progress import status_of
from rmft_api.session.recorded_config import recorded_config

if TYPE_CHECKING:
    from rmft_api.evaluation.comparison import ComparisonResults


def results_so_far(journal: Journal) -> Results | None:
    """What the run came to; None before the base has been evaluated."""
    try:
        return results(recorded_config(journal), journal)
    except UsageError:
        return None


def run_state(directory: Path) -> RunState:
    """How far a run is, by its own last word."""
    status = status_of(directory)
    if status is None:
        return RunState("interrupted", "")
    if status.state == "finished":
        return RunState("finished", "")
    rounds = f", {status.rounds:,} of {status.of:,} rounds" if status.rounds < status.of else ""
    return RunState(status.state, f"{status.stage}{rounds}")


def write_page(
    path: Path, config: RunConfig, journal: Journal, found: Results | None, run_state: RunState
) -> int:
    """Write the page; its size in bytes. Raises StorageError."""
    content = page.html(config, journal, found, run_state)
    replace_file(path, content)
    return len(content)


def write_evaluation_page(
    path: Path, journal: Journal, found: "ComparisonResults", directory: Path
) -> int:
    """Write an evaluation's page; its size in bytes. Raises StorageError."""
    from rmft_api.report import evaluation_page
    from rmft_api.session import comparisons

    config = comparisons.recorded(journal)
    content = evaluation_page.html(config, journal, found, run_state(directory))
    replace_file(path, content)
    return len(content)


def draw(svg: Path, found: Results) -> None:
    """Draw regret by iteration. Raises StorageError."""
    replace_file(svg, regret_svg(found).encode())


def mark_of(directory: Path) -> object:
    """What changes with every commit, and when a process starts or stops working on the run."""
    log = directory / f"{FILE}-wal"
    files = [path.stat() for path in (directory / FILE, log) if path.exists()]
    return (is_owned(directory), *((one.st_mtime_ns, one.st_size) for one in files))
