"""Pages that follow what they show: served on this machine until somebody ends it."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rmft_api.core.errors import RmftError
from rmft_api.report import live, page
from rmft_api.report.live import LivePage, PageVersion, WatchedRun
from rmft_api.report.trajectory_index import packed
from rmft_api.session import page_sources, run_index
from rmft_api.session.page_sources import PageSource


def serve(show: LivePage, port: int, serving: Callable[[str], None]) -> None:
    """Serve a page until Ctrl-C, up to date while runs proceed; `serving` takes its URL."""
    os.nice(10)  # runs come first
    asyncio.run(_serve(show, port, serving))


async def _serve(show: LivePage, port: int, serving: Callable[[str], None]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with live.running(show, port) as url:
        serving(url)
        await ended.wait()


@asynccontextmanager
async def live_page(show: LivePage, port: int) -> AsyncGenerator[str]:
    """Serve a page until the block ends; its address. Raises ConfigError for a port in use."""
    async with live.running(show, port) as url:
        yield url


def of_source(source: PageSource) -> LivePage:
    """A page that follows a run, an evaluation, several runs, a family or a grid."""
    return LivePage(source.title, _watched(source))


def of_folder(runs: Path) -> LivePage:
    """An index that follows a folder; each of its entries opens a page that follows too."""

    def inner(name: str) -> LivePage | None:
        try:
            source = page_sources.of_place(runs / name)
        except RmftError:
            return None
        return of_source(source)

    watched = _watched(run_index.source(runs, run_index.address_in_server))
    return LivePage(str(runs), watched, inner=inner, endless=True)


def _watched(source: PageSource) -> WatchedRun:
    numbers = itertools.count(1)

    def look() -> PageVersion:
        report, index = source.read()
        version = str(next(numbers))
        return PageVersion(
            version, packed(page.data(report, index, version)), tuple(index.chapters)
        )

    return WatchedRun(look, source.state, source.mark)
