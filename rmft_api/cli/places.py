"""Where runs lie, and which name means which directory."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.errors import UsageError
from rmft_api.naming import A_NAME, RUN_NAME

RunsDir = Annotated[
    Path,
    typer.Option("--runs", help="The folder that holds runs.", envvar="RMFT_RUNS"),
]
RUNS = Path("runs")
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name.", show_default=False)]


def run_directory(runs: Path, name: str) -> Path:
    """The directory of run `name`. Raises UsageError for what cannot be a run's name."""
    if not RUN_NAME.match(name):
        raise UsageError(f"{name!r} is no run name; names have {A_NAME}{_known(runs)}")
    return runs / name


def existing_run(runs: Path, name: str) -> Path:
    """As `run_directory`, for a run that must be there."""
    directory = run_directory(runs, name)
    if not (directory / "journal.sqlite").exists():
        raise UsageError(f"no run {name!r} in {str(runs)!r}{_known(runs)}")
    return directory


def run_names(runs: Path) -> list[str]:
    """The runs in a folder, by name."""
    return sorted(journal.parent.name for journal in runs.glob("*/journal.sqlite"))


def _known(runs: Path) -> str:
    names = run_names(runs)
    return f"; runs there: {', '.join(names)}" if names else "; `rmft-api run` begins one"
