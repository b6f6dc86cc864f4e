"""`rmft-api export`: a run's trajectories as tables for other tools."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.places import RUNS, RunName, RunsDir


class Table(StrEnum):
    """What a row is."""

    TRAJECTORIES = "trajectories"
    ROUNDS = "rounds"


def export(
    run: RunName,
    to: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .csv or .jsonl file.", show_default=False)
    ],
    table: Annotated[Table, typer.Option(help="What a row is.")] = Table.TRAJECTORIES,
    runs: RunsDir = RUNS,
) -> None:
    """Write a run's trajectories, or their rounds, as a table."""
    from rmft_api.analysis import as_text, rounds_df, trajectories_df
    from rmft_api.cli.places import existing_run
    from rmft_api.errors import UsageError
    from rmft_api.files import replace_file
    from rmft_api.journal import Journal

    if to.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"{str(to)!r} must end in .csv or .jsonl")
    journal = Journal.read(existing_run(runs, run))
    try:
        played = list(journal.all_trajectories())
    finally:
        journal.close()
    frame = trajectories_df(played) if table is Table.TRAJECTORIES else rounds_df(played)
    replace_file(to, as_text(frame, to.suffix).encode())
    print(f"{len(frame)} {table.value} in {to}")  # noqa: T201
