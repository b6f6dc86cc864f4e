"""A page that follows its run."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.evaluation.outcome import results
from rmft_api.journal import Journal
from rmft_api.report import live, page
from rmft_api.report.data import RunState
from rmft_api.report.live import LivePage, PageVersion, WatchedRun
from rmft_api.report.trajectory_index import packed
from tests.report.chromium import Chromium
from tests.report.conftest import played


class Stage:
    """A run whose progress the test directs: first `early`, then `late`."""

    def __init__(self, early: Path, late: Path) -> None:
        self.runs = [early, late]
        self.telling = RunState("running", "iteration 1: playing, 10 of 60 rounds")
        self.at = 0

    def look(self) -> PageVersion:
        journal = Journal.read(self.runs[self.at])
        try:
            config = RunConfig.model_validate_json(journal.run.config_json)
            found = results(config, journal) if self.at else None
            story, book = page.read(config, journal, found, self.telling)
        finally:
            journal.close()
        version = str(self.at + 1)
        return PageVersion(version, packed(page.data(story, book, version)), tuple(book.chapters))

    def end(self) -> None:
        """The run comes to its end."""
        self.telling, self.at = RunState("finished", ""), 1

    @property
    def watched(self) -> WatchedRun:
        return WatchedRun(self.look, lambda: self.telling, lambda: self.at)


@pytest.fixture
def stage(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(live, "PULSE_S", 0.02)
    monkeypatch.setattr(live, "SHARE", 100.0)
    return Stage(played(tmp_path / "loop", end_after=40), finished)


@contextmanager
def serving(stage: Stage) -> Generator[str]:
    """The page's address, served by a thread of its own until the block ends."""
    ready, over = threading.Event(), asyncio.Event()
    found: list[tuple[str, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with live.running(LivePage("loop", stage.watched), 0) as url:
            found.append((url, asyncio.get_running_loop()))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    url, loop = found[0]
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
    assert not thread.is_alive()


def test_the_page_brings_itself_up_to_date(browser: Chromium, stage: Stage) -> None:
    with serving(stage) as url:
        browser.open(url)
        browser.until("document.querySelector('h1')?.textContent.startsWith('No model')")
        assert "10 of 60 rounds" in browser.until("document.querySelector('#state').textContent")
        browser.run("document.querySelector('.list').focus()")
        browser.press("ArrowDown")
        chosen = browser.until("document.querySelector('.view').dataset.shown")
        stage.end()
        browser.until("document.querySelector('h1').textContent.startsWith('No sure change')")
        browser.until("document.querySelector('#state').textContent === 'finished'")
        assert browser.run("document.querySelector('.view').dataset.shown") == chosen
        browser.run("document.querySelector('.list').focus()")
        browser.press("End")  # the new edition's chapters open
        browser.until(f"document.querySelector('.view').dataset.shown !== {chosen!r}")
        assert browser.complaints() == []
        assert all(address.startswith(url.rstrip("/")) for address in browser.requests())


async def test_only_this_machines_own_names_are_answered_to(stage: Stage) -> None:
    async with (
        live.running(LivePage("loop", stage.watched), 0) as url,
        aiohttp.ClientSession() as client,
    ):
        for host, status in (("evil.example", 403), ("localhost:1", 200), ("127.0.0.1", 200)):
            async with client.get(url, headers={"Host": host}) as answer:
                assert answer.status == status
        origin = url.split("/", 3)[:3]
        async with client.get("/".join(origin)) as answer:
            assert answer.status == 404  # who does not know the token sees nothing
        async with client.get(f"{url}chapter/99/0") as answer:
            assert answer.status == 404


async def test_listeners_are_let_go_of_when_it_ends(stage: Stage) -> None:
    show = LivePage("loop", stage.watched)
    async with aiohttp.ClientSession() as client:
        async with live.running(show, 0) as url:
            answer = await client.get(f"{url}events/0")
            first = await answer.content.readline()
        rest = await answer.content.read()
    assert first.startswith(b"event: state")
    assert b"event: end" not in rest  # the run goes on; only the server has ended


async def test_a_port_in_use_is_told(stage: Stage) -> None:
    async with live.running(LivePage("loop", stage.watched), 0) as url:
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(ConfigError, match="another --port"):
            async with live.running(LivePage("loop", stage.watched), port):
                pass
