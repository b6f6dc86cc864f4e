"""`rmft-api export`: a run's trajectories for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, RunName, RunsDir
from rmft_api.session.exports import Table

To = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="A .csv, .jsonl or .parquet file; a .jsonl file for TRL; a folder for datasets.",
        show_default=False,
    ),
]
Chosen = Annotated[
    Table,
    typer.Option(
        help="trajectories or rounds: a row each. datasets: a folder that Hugging Face "
        "datasets loads. messages, prompt-completion, preference: the selected training data, "
        "as TRL's trainers take it."
    ),
]


def export(run: RunName, to: To, table: Chosen = Table.TRAJECTORIES, runs: RunsDir = RUNS) -> None:
    """Write a run's trajectories for other tools.

    As a table, as a dataset, or as training data for TRL.
    """
    from rmft_api.session import exports
    from rmft_api.session.run_directories import existing_run

    count = exports.export(existing_run(runs, run), to, table)
    what = "trajectories" if table is Table.DATASETS else table.value
    print(f"{count} {what} in {to}")  # noqa: T201
