"""Options that several commands share, and the run file that they describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli import completion

if TYPE_CHECKING:
    from rmft_api.config.changes import Change
    from rmft_api.config.schema import RunConfig

RUNS = Path("runs")
RunsDir = Annotated[
    Path,
    typer.Option("--runs", help="The folder that holds runs.", envvar="RMFT_RUNS"),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's name.", show_default=False, autocompletion=completion.runs
    ),
]
RunFile = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help="A run file, or the name of a shipped one; without it, the embedded quick start.",
        show_default=False,
        autocompletion=completion.run_files,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the run file; repeatable."),
]
Budget = Annotated[
    float | None, typer.Option(metavar="USD", help="Never spend more than this.", min=0)
]
ReplyTokens = Annotated[
    int | None,
    typer.Option(min=1, help="Assumed length of a reply in a plan; half of max_tokens if absent."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and its price; send and spend nothing.")
]
Seeds = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="A family of N runs, from the run file's seed on, under one budget.",
        min=2,
        show_default=False,
    ),
]
AcceptShutdown = Annotated[
    bool,
    typer.Option("--accept-shutdown", help="Begin though the model's end comes before the run's."),
]


def run_file(file: str | None) -> Path:
    """The file named, or the embedded quick start. Raises ConfigError for one that is not there."""
    from rmft_api.config import run_files

    return run_files.quickstart() if file is None else run_files.find(file)


def described(file: Path, overrides: list[str] | None, budget: float | None) -> "RunConfig":
    """The run that a file and the command line describe. Raises ConfigError."""
    from rmft_api.config import schema

    return schema.load(file, with_budget(overrides, budget))


def with_budget(overrides: list[str] | None, budget: float | None) -> "tuple[str | Change, ...]":
    """The changes of a command line, `--budget` among them."""
    from rmft_api.config.changes import Change

    cap = () if budget is None else (Change("budget_usd", budget),)
    return (*(overrides or ()), *cap)
