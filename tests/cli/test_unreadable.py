"""A run whose replies cannot be read, as its user meets it: told, mended, and gone on with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.mute import MENDED
from tests.faults.world import NAME, QUICK, Said, World, build


@pytest.fixture
def mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that mends the provider."""
    path = tmp_path / "mended"
    monkeypatch.setenv(MENDED, str(path))
    return path


@pytest.fixture
def world(tmp_path: Path, mended: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK, provider={"speaker": "tests.cli.mute:speak"})
    yield world
    world.provider.stop()


def said(world: World, *arguments: str) -> Said:
    return world.process(*arguments).start().finish(60)


def test_a_run_that_cannot_be_read_stops_and_every_advice_leads_on(
    world: World, mended: Path
) -> None:
    first = said(world, "run", f"{NAME}.toml")
    assert first.code == 65
    assert "Let me think about which button is best." in first.stderr
    assert "Traceback" not in first.stderr
    books = world.provider.books
    asked = books.requests("POST", "chat")
    assert asked <= 20
    again = said(world, "resume", NAME)
    assert (again.code, books.requests("POST", "chat")) == (65, asked)
    assert again.stderr.splitlines()[-1] == first.stderr.splitlines()[-1]
    status = said(world, "status", NAME).stdout
    assert f"too few replies can be read: `rmft-api report {NAME}` says what to do" in status
    report = said(world, "report", NAME)
    assert "has evaluated no model yet; stopped: iteration 0: validation: none" in report.stdout
    mended.touch()
    ended = said(world, "resume", NAME, "--ask-again")
    assert ended.code == 0, ended.stderr
    assert set(books.calls().values()) <= {1, 2}  # the stopped split alone was paid for anew


def test_a_run_that_cannot_be_read_goes_on_where_that_is_wanted(world: World, mended: Path) -> None:
    assert said(world, "run", f"{NAME}.toml").code == 65
    mended.touch()
    ended = said(world, "resume", NAME, "--min-valid", "0")
    assert ended.code == 0, ended.stderr
    assert set(world.provider.books.calls().values()) == {1}
