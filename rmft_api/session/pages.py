"""The page of a run: its data, its file, and its address."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.core.files import replace_file
from rmft_api.evaluation.outcome import results
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import FILE, Journal, is_owned, open_to_read
from rmft_api.report import page
from rmft_api.report.data import RunState
from rmft_api.report.regret_svg import regret_svg
from rmft_api.report.trajectory_index import packed
from rmft_api.session.progress import status_of
from rmft_api.session.recorded_config import recorded_config

if TYPE_CHECKING:
    from rmft_api.evaluation.comparison import ComparisonResults
    from rmft_api.report import live


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


def serve_page(directory: Path, port: int, serving: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C, up to date while the run proceeds; `serving` takes its URL."""
    os.nice(10)  # the run comes first
    asyncio.run(_serve(directory, port, serving))


async def _serve(directory: Path, port: int, serving: Callable[[str], None]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with live_page(directory, port) as url:
        serving(url)
        await ended.wait()


@asynccontextmanager
async def live_page(directory: Path, port: int) -> AsyncGenerator[str]:
    """Serve the page until the block ends; its address. Raises ConfigError for a port in use."""
    from rmft_api.report import live  # brings aiohttp, which a run that begins does not need

    page_of = live.LivePage(directory.name, _watched(directory))
    async with live.running(page_of, port) as url:
        yield url


def _watched(directory: Path) -> "live.WatchedRun":
    from rmft_api.report import live

    numbers = itertools.count(1)

    def look() -> live.PageVersion:
        with open_to_read(directory) as journal:
            found, config = results_so_far(journal), recorded_config(journal)
            report, index = page.read(config, journal, found, run_state(directory))
        version = str(next(numbers))
        return live.PageVersion(
            version, packed(page.data(report, index, version)), tuple(index.chapters)
        )

    return live.WatchedRun(look, lambda: run_state(directory), lambda: _mark(directory))


def _mark(directory: Path) -> object:
    """What changes with every commit, and when a process starts or stops working on the run."""
    log = directory / f"{FILE}-wal"
    files = [path.stat() for path in (directory / FILE, log) if path.exists()]
    return (is_owned(directory), *((one.st_mtime_ns, one.st_size) for one in files))
