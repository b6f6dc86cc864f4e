"""What the program is called, which commands it has, and what a shell completes."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmft_api.cli.main import OLD_NAMES, app
from rmft_api.config.run_files import shipped


def completed(folder: Path, *words: str) -> list[str]:
    """What bash is offered in the place of the last word."""
    environment = os.environ | {
        "_RMFT_API_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("rmft-api", *words)),
        "COMP_CWORD": str(len(words)),
    }
    program = Path(sys.executable).with_name("rmft-api")
    ended = subprocess.run([program], cwd=folder, env=environment, capture_output=True, check=True)
    return ended.stdout.decode().split()


def test_the_version_is_told() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert (ended.exit_code, ended.output) == (0, f"rmft-api {version('rmft-api')}\n")


@pytest.mark.parametrize("old", OLD_NAMES)
def test_an_old_name_does_the_same_and_says_the_new_one(old: str) -> None:
    new = OLD_NAMES[old].__name__
    helped = CliRunner().invoke(app, [old, "--help"])
    assert helped.exit_code == 0
    assert helped.output == CliRunner().invoke(app, [new, "--help"]).output.replace(new, old, 1)
    assert f"\n  {old} " not in CliRunner().invoke(app, ["--help"]).output


def test_an_old_name_is_one_line_on_stderr() -> None:
    old, new = (CliRunner().invoke(app, [name]) for name in ("models", "profiles"))
    assert old.stderr == "`rmft-api models` is now `rmft-api profiles`\n"
    assert old.stdout == new.stdout != ""
    assert new.stderr == ""


def test_a_shell_completes_commands_run_files_and_runs(tmp_path: Path) -> None:
    assert completed(tmp_path, "pl") == ["plan"]
    assert completed(tmp_path, "plan", "") == list(shipped())
    (tmp_path / "mine.toml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "journal.sqlite").touch()
    assert completed(tmp_path, "run", "m") == ["mine.toml"]
    assert completed(tmp_path, "run", "run") == ["runs/"]
    assert completed(tmp_path, "resume", "") == ["first"]
    assert completed(tmp_path, "report", "--runs", "elsewhere", "") == []


def test_what_is_completed_needs_no_heavy_package() -> None:
    code = (
        "import sys; from rmft_api.cli.completion import run_files; run_files('');"
        "from rmft_api.session.run_directories import run_names;"
        "print(*(name for name in ('pydantic', 'numpy', 'msgspec') if name in sys.modules))"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.split() == []
