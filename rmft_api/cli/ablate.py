"""`rmft-api ablate`: several ways of doing it, each a run of its own, in one table."""

from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, RunsDir


def ablate(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="A grid file; without one, the shipped one.", show_default=False
        ),
    ] = None,
    cell: Annotated[
        list[str] | None, typer.Option(help="Only this cell; repeatable.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Name the runs and how they differ; run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The table, for programs.")] = False,
    runs: RunsDir = RUNS,
) -> None:
    """Walk every run of a grid, and compare its cells.

    Each is held against the first one on the same scenarios.
    Runs that have ended are not walked again, and one that was stopped goes on: the same command
    again resumes the grid. The embedded grid takes no key, no network and no GPU.
    """
    import msgspec

    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.session import ablations

    wanted = ablations.runs_of(file, cell or ())
    if dry_run:
        print(ablations.listed(wanted))  # noqa: T201
        return
    table = run_async(ablations.walk(wanted, runs, REPORTING))
    print(msgspec.json.encode(table).decode() if as_json else ablations.table_of(table))  # noqa: T201
