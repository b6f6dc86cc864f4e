"""`rmft-api status`: how far a run is and what it has spent."""

from typing import Annotated

import typer

from rmft_api.cli.places import RUNS, RunsDir


def status(
    run: Annotated[str | None, typer.Argument(metavar="RUN", show_default=False)] = None,
    runs: RunsDir = RUNS,
) -> None:
    """Show how far a run is and what it has spent; without RUN, all runs."""
    from rmft_api.cli.places import existing_run, run_names
    from rmft_api.cli.progress import line_of

    names = [run] if run else run_names(runs)
    for name in names:
        print(line_of(existing_run(runs, name)))  # noqa: T201
