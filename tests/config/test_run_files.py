"""A run file is found by its path, or by the name of one that ships, from any folder."""

from pathlib import Path

import pytest

from rmft_api.config import run_files, schema
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", run_files.shipped())
def test_every_shipped_file_is_found_by_its_name_and_can_be_run(name: str) -> None:
    shipped = resources.run_files_dir() / f"{name}.toml"
    assert run_files.find(name) == run_files.find(f"{name}.toml") == shipped
    assert schema.load(run_files.find(name)).iterations


def test_what_lies_in_the_working_folder_comes_before_what_ships(elsewhere: Path) -> None:
    (elsewhere / "theory").mkdir()  # a folder of that name is no run file
    assert run_files.find("theory").parent == resources.run_files_dir()
    (elsewhere / "runs").mkdir()
    (elsewhere / "runs" / "theory.toml").touch()
    assert run_files.find("theory") == Path("runs/theory.toml")
    (elsewhere / "theory.toml").touch()
    assert run_files.find("theory") == run_files.find("theory.toml") == Path("theory.toml")
    (elsewhere / "gpt-4.1-mini").touch()
    assert run_files.find("gpt-4.1-mini") == Path("gpt-4.1-mini")


def test_a_path_is_looked_for_where_it_says(elsewhere: Path) -> None:
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "small.toml").touch()
    assert run_files.find("mine/small") == run_files.find(Path("mine/small.toml"))
    with pytest.raises(ConfigError, match="no run file 'mine/theory'"):
        run_files.find("mine/theory")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("gpt4o-mini", "gpt-4o-mini"), ("runs/theory.toml", "theory"), ("Quick-start", "quickstart")],
)
def test_an_unknown_name_is_answered_with_those_that_ship(wrong: str, meant: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        run_files.find(wrong)
    said = str(refusal.value)
    assert f"no run file {wrong!r}, did you mean '{meant}'" in said
    assert said.endswith(f"shipped run files: {', '.join(run_files.shipped())}")
    assert "\n" not in said and str(resources.run_files_dir()) not in said


@pytest.mark.parametrize("name", ["", ".", "/", "a" * 5000, "a\0b", "../.."])
def test_what_cannot_be_a_file_is_an_unknown_name(name: str) -> None:
    with pytest.raises(ConfigError, match="no run file"):
        run_files.find(name)
