"""`rmft-api status`: how far runs are and what they have spent."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli import completion
from rmft_api.cli.options import RUNS, RunsDir

OneRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="A run's name.", show_default=False, autocompletion=completion.runs
    ),
]


def status(run: OneRun = None, runs: RunsDir = RUNS) -> None:
    """Show how far a run is and what it has spent.

    With what it is projected to spend. Without RUN: a list of all runs, the last one first.
    """
    from rmft_api.report.text.spending import spending_table
    from rmft_api.session.progress import check_begun, line_of, status_of
    from rmft_api.session.run_directories import existing_place, is_family

    if run is None:
        _list(runs)
        return
    directory = existing_place(runs, run)
    if is_family(directory):
        from rmft_api.session.family_status import status_table

        print(status_table(directory))  # noqa: T201
        return
    check_begun(directory)
    print(line_of(directory))  # noqa: T201
    found = status_of(directory)
    if found and found.spending and found.spending.lines:
        print("\n" + spending_table(found.spending))  # noqa: T201


def _list(runs: Path) -> None:
    from rmft_api.session.family_status import families_in_words
    from rmft_api.session.run_list import list_table, run_list

    found = run_list(runs)
    for name, why in found.unreadable.items():
        print(f"passed over {name!r}: {why}", file=sys.stderr)  # noqa: T201
    if found.runs:
        print(list_table(found))  # noqa: T201
        for line in families_in_words(runs):
            print(line)  # noqa: T201
    elif not found.unreadable:
        print(f"no runs in {str(runs)!r}; `rmft-api run` starts one", file=sys.stderr)  # noqa: T201
    if any(one.status and one.status.state in ("interrupted", "failed") for one in found.runs):
        print("`rmft-api resume RUN` continues a run that was stopped", file=sys.stderr)  # noqa: T201
