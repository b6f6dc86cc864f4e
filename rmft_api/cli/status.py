"""`rmft-api status`: how far a run is and what it has spent."""

from typing import Annotated

import typer

from rmft_api.cli.places import RUNS, RunsDir


def status(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's name.", show_default=False)
    ] = None,
    runs: RunsDir = RUNS,
) -> None:
    """Show how far a run is and what it has spent.

    And where that is heading; without RUN, all runs.
    """
    import sys

    from rmft_api.cli.money import spending_table
    from rmft_api.cli.places import existing_run, run_names
    from rmft_api.cli.progress import line_of, status_of

    names = [run] if run else run_names(runs)
    if not names:
        print(f"no runs in {str(runs)!r}; `rmft-api run` begins one", file=sys.stderr)  # noqa: T201
    for name in names:
        print(line_of(existing_run(runs, name)))  # noqa: T201
    status = status_of(existing_run(runs, run)) if run else None
    if status and status.spending and status.spending.lines:
        print("\n" + spending_table(status.spending))  # noqa: T201
