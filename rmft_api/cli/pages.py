"""The page of a run: what the command line tells it, and where it goes."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rmft_api.cli.progress import status_of
from rmft_api.cli.recorded import recorded_config
from rmft_api.config import RunConfig
from rmft_api.errors import UsageError
from rmft_api.evaluation import Results
from rmft_api.files import replace_file
from rmft_api.journal import Journal, is_owned, snapshot
from rmft_api.outcome import results
from rmft_api.report import page
from rmft_api.report.story import Telling


@contextmanager
def looked_into(directory: Path) -> Generator[Journal]:
    """A run's journal, to read: the file itself, or a copy while somebody works on the run."""
    if is_owned(directory):
        with snapshot(directory) as journal:
            yield journal
        return
    journal = Journal.read(directory)
    try:
        yield journal
    finally:
        journal.close()


def results_so_far(journal: Journal) -> Results | None:
    """What the run came to; None before the base has been evaluated."""
    try:
        return results(recorded_config(journal), journal)
    except UsageError:
        return None


def telling_of(directory: Path) -> Telling:
    """How far a run is, by its own last word."""
    status = status_of(directory)
    if status is None:
        return Telling("interrupted", "")
    if status.state == "finished":
        return Telling("finished", "")
    rounds = f", {status.rounds:,} of {status.of:,} rounds" if status.rounds < status.of else ""
    return Telling(status.state, f"{status.stage}{rounds}")


def write_page(
    path: Path, config: RunConfig, journal: Journal, found: Results | None, telling: Telling
) -> None:
    """Write the page and say where. Raises StorageError."""
    content = page.html(config, journal, found, telling)
    replace_file(path, content)
    print(f"page: {path} ({len(content) / 1e6:.1f} MB)", file=sys.stderr)  # noqa: T201
