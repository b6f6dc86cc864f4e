"""`rmft-api init` writes a file that means what the shipped one does, and says what each key is."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmft_api.cli.main import app
from rmft_api.config import run_files, schema, starter
from rmft_api.core.errors import StorageError, UsageError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("like", run_files.shipped())
def test_a_written_file_means_what_the_shipped_one_does(like: str) -> None:
    written = schema.load(starter.write("mine", like))
    shipped = schema.load(run_files.find(like))
    assert written.name == "mine"
    assert written == shipped.model_copy(update={"name": "mine"})


@pytest.mark.parametrize("like", run_files.shipped())
def test_every_key_that_is_offered_can_be_set(elsewhere: Path, like: str) -> None:
    text = starter.run_file_text(like)
    every = elsewhere / "every.toml"
    every.write_text(re.sub(r"(?m)^#(?=\w+ = )", "", text))
    assert schema.load(every).budget_usd is not None
    keys = re.findall(r"(?m)^#?(\w+) = ", text)
    assert {"seed", "base", "story", "concurrency", "k", "min_pulls", "n_epochs"} <= set(keys)
    assert text.count("\n# ") > len(keys) / 2


def test_a_file_that_exists_is_left_alone(elsewhere: Path) -> None:
    (elsewhere / "mine.toml").write_text("mine")
    for name in ("mine", "mine.toml"):
        with pytest.raises(UsageError, match=r"'mine\.toml' exists"):
            starter.write(name)
    assert (elsewhere / "mine.toml").read_text() == "mine"
    with pytest.raises(UsageError, match=r"these do: .*quickstart"):
        starter.write("other", "quick")
    for name in ("no/folder/mine", "a" * 300, "a\0b"):
        with pytest.raises(StorageError, match="cannot be written"):
            starter.write(name)


def test_the_command_names_the_next_one(elsewhere: Path) -> None:
    ended = CliRunner().invoke(app, ["init", "my run", "--from", "gpt-4o-mini"])
    assert ended.output == "my run.toml written; next: `rmft-api plan 'my run.toml'`\n"
    assert schema.load(elsewhere / "my run.toml").name == "my-run"
