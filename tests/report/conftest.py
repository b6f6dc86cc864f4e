"""Runs to tell of, and a browser to see the page in."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from rmft_api.core.errors import ResumableError
from rmft_api.core.records import ChatRequest, ChatResponse
from rmft_api.evaluation.outcome import results
from rmft_api.journal import Journal
from rmft_api.loop import iterate
from rmft_api.report import page
from rmft_api.report.data import RunState
from tests.loop_world import Skilled, World, config
from tests.report import chromium
from tests.report.chromium import Chromium

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked = 3'>",
    "<!--<script>",
    "]]><svg/onload=window.hacked=4>",
    "javascript:window.hacked=5",
    "{{script}} {{data}} ${window.hacked=6} \u202e\u2066 evil \u200f\x08 \U0001f600",
    "\u2028\u2029 " + "huge " * 5_000,
)
TOLD = RunState("finished", "")


@dataclass
class Rude(Skilled):
    """Plays as well, and says what would break a careless page."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        reply = await super().reply(request)
        choices = tuple(
            msgspec.structs.replace(
                choice, content=f"{HOSTILE[(len(self.asked) + i) % len(HOSTILE)]}\n{choice.content}"
            )
            for i, choice in enumerate(reply.choices)
        )
        return msgspec.structs.replace(reply, choices=choices)


def played(path: Path, end_after: int | None = None, **changes: Any) -> Path:
    """A run's directory; `end_after` stops it at that request."""
    world = World(path, config(**changes), ["skill-0.5", "skill-0.9", "skill-0.6"])
    world.chat = Rude(world.config, end_after=end_after)
    asyncio.run(_walk(world))
    return path


async def _walk(world: World) -> None:
    journal = world.journal()
    try:
        await iterate(world.run(journal))
    except ResumableError:
        pass  # as the test wanted it
    finally:
        journal.close()


def written(run_dir: Path, to: Path) -> Path:
    """The run's page, in a file."""
    journal = Journal.read(run_dir)
    try:
        settings = config().model_validate_json(journal.run.config_json)
        found = results(settings, journal)
        to.write_bytes(page.html(settings, journal, found, TOLD))
    finally:
        journal.close()
    return to


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that went to its end; its model says hostile things."""
    return played(tmp_path_factory.mktemp("finished") / "loop")


@pytest.fixture(scope="session")
def report(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run's page."""
    return written(finished, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="session")
def runs_of_all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a family, a grid, their runs, and an evaluation."""
    from tests.report.several_runs import filled

    return filled(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="session")
def odd_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that are early, untested, damaged, or of another version, by name."""
    from tests.report.several_runs import odd

    return odd(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="session")
def running_browser() -> Iterator[Chromium]:
    program = chromium.find()
    if program is None:
        pytest.skip("no chromium here: the page cannot be seen as a reader sees it")
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        Chromium(program, Path(profile)) as browser,
    ):
        yield browser


@pytest.fixture
def browser(running_browser: Chromium) -> Chromium:
    """A browser as a new reader has it."""
    running_browser.size(1280, 900)
    running_browser.prefer("light")
    return running_browser
