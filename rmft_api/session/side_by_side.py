"""Several runs on one page: opened, read, written."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rmft_api.core.errors import RmftError, UsageError
from rmft_api.core.files import make_directory, replace_file
from rmft_api.journal import open_to_read
from rmft_api.report.runs_page import RunToRead, html
from rmft_api.session import comparisons, pages
from rmft_api.session.recorded_config import recorded_config

FILE = "side-by-side.html"


def write(directories: Sequence[Path], to: Path) -> int:
    """Write the page of several runs; its size in bytes.

    A run that cannot be opened is named on the page. Raises UsageError for an evaluation, and
    where no run can be opened; StorageError.
    """
    runs: list[RunToRead] = []
    unreadable: dict[str, str] = {}
    with ExitStack() as stack:
        for directory in directories:
            try:
                runs.append(_opened(directory, stack))
            except UsageError:
                raise
            except RmftError as error:
                unreadable[directory.name] = str(error)
        if not runs:
            raise UsageError(f"none of these runs can be read: {'; '.join(unreadable.values())}")
        content = html(runs, unreadable)
    make_directory(to.parent)
    replace_file(to, content)
    return len(content)


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
