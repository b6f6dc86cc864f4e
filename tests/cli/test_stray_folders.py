"""What lies under `runs/` and is no run breaks no listing, and is called what it is."""

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmft_api.cli.main import app
from rmft_api.core.errors import RmftError, UsageError
from rmft_api.journal import Journal
from rmft_api.session.run_directories import existing_run, run_names
from tests.report.conftest import played

STRAY = (
    "file",
    "broken",
    "loop",
    "empty",
    "text",
    "other",
    "folder",
    "unread",
    "never",
    "Odd Name",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run among all that somebody may have put beside it."""
    folder = tmp_path_factory.mktemp("runs")
    played(folder / "gpt-4-1-mini")
    (folder / "file").write_text("no run")
    (folder / "broken").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    for name in ("empty", "text", "other", "folder", "unread", "never", "Odd Name"):
        (folder / name).mkdir()
    (folder / "text" / "journal.sqlite").write_text("a journal of another kind, long enough")
    (folder / "folder" / "journal.sqlite").mkdir()
    (folder / "never" / "journal.sqlite").touch()
    (folder / "Odd Name" / "journal.sqlite").touch()
    other = sqlite3.connect(folder / "other" / "journal.sqlite")
    other.execute("CREATE TABLE notes (text)")
    other.close()
    (folder / "unread").chmod(0)
    return folder


def test_a_listing_shows_the_runs_and_says_what_it_passes_over(runs: Path) -> None:
    ended = CliRunner().invoke(app, ["status", "--runs", str(runs)], catch_exceptions=False)
    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[2].startswith("gpt-4-1-mini  no status yet")
    assert ended.stdout.count("\n") == 3  # headings, a rule and the run
    assert ended.stderr.count("passed over") == 3  # text, other, never


def test_a_run_is_found_by_its_path_from_any_folder(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    run = runs / "gpt-4-1-mini"
    assert existing_run(Path("runs"), str(run)) == run
    assert existing_run(Path("runs"), f"{run}/") == run
    monkeypatch.chdir(runs)
    assert existing_run(Path("runs"), "./gpt-4-1-mini") == Path("gpt-4-1-mini")
    with pytest.raises(UsageError):
        existing_run(Path("runs"), str(runs / "empty"))


@pytest.mark.parametrize("command", [["status"], ["report"], ["resume"], ["export"]])
@pytest.mark.parametrize("name", STRAY)
def test_what_is_no_run_is_refused_with_what_it_is(
    runs: Path, tmp_path: Path, name: str, command: list[str]
) -> None:
    more = [str(tmp_path / "x.csv")] if command == ["export"] else []
    words = [*command, name, *more, "--runs", str(runs)]
    ended = CliRunner().invoke(app, words, standalone_mode=False)
    assert isinstance(ended.exception, RmftError)
    assert ended.exception.exit_code in (64, 74)
    assert "\n" not in str(ended.exception)
    assert "no status yet" not in ended.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file", "is not a run: a file, and runs are folders"),
        ("broken", "is not a run: a link to 'nowhere', which does not exist"),
        ("empty", r"is not a run: the folder has no journal\.sqlite; runs there: .*gpt-4-1-mini"),
        ("Odd Name", "is not a valid run name"),
        ("none", "no run 'none' in"),
    ],
)
def test_the_kind_of_a_stray_entry_is_told(runs: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        existing_run(runs, name)


def test_another_programs_database_keeps_its_tables(runs: Path) -> None:
    def begun(run_dir: Path) -> Journal:
        return Journal.create(run_dir, "{}", {})

    for attempt in (Journal.open, Journal.read, begun):
        with pytest.raises(UsageError, match=r"another program's database \(table 'notes'\)"):
            attempt(runs / "other")
    connection = sqlite3.connect(runs / "other" / "journal.sqlite")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]
    connection.close()


@pytest.mark.parametrize(
    "word",
    ["gpt-4-1-mini", "gpt-4.1-mini", "gpt-4.1-mini.toml", "runs/gpt-4.1-mini.toml", "GPT-4.1-Mini"],
)
def test_a_run_is_found_by_its_run_files_name(runs: Path, word: str) -> None:
    assert existing_run(runs, word) == runs / "gpt-4-1-mini"


def test_a_run_is_found_by_a_run_file_that_names_it(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "other-name.toml").write_text('name = "gpt-4-1-mini"\n')
    assert existing_run(runs, str(tmp_path / "other-name.toml")) == runs / "gpt-4-1-mini"


@pytest.mark.parametrize("place", ["file", "empty", "nowhere"])
def test_a_folder_without_runs_has_none(runs: Path, place: str) -> None:
    assert run_names(runs / place) == []
