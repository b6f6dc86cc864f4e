"""`rmft-api ablate`: several ways of doing it, each a run of its own, in one table."""

from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import RUNS, Budget, ReplyTokens, RunsDir

if TYPE_CHECKING:
    from rmft_api.planning import GridPlan


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
    budget: Budget = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Name the runs, how they differ, and their price; no more."),
    ] = False,
    reply_tokens: ReplyTokens = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The table, or the plan, for programs.")
    ] = False,
    runs: RunsDir = RUNS,
) -> None:
    """Walk every run of a grid, and compare its cells.

    Each is held against the first one on the same scenarios.
    Runs that have ended are not run again, and one that was stopped continues: the same command
    again resumes the grid. --budget is for all of its runs together. The embedded grid takes no
    key, no network and no GPU.
    """
    import msgspec

    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.session import ablations

    wanted = ablations.runs_of(file, cell or ())
    if dry_run:
        _show(ablations.plan_now(wanted, runs, reply_tokens, budget), as_json=as_json)
        return
    table = run_async(ablations.run_all(wanted, runs, REPORTING, budget))
    print(msgspec.json.encode(table).decode() if as_json else ablations.table_of(table))  # noqa: T201


def _show(plan: "GridPlan", *, as_json: bool) -> None:
    """Print a plan. Raises ConfigError, after it, where one of the runs would not begin."""
    from rmft_api.core.errors import ConfigError
    from rmft_api.report.text.plan import grid_json, grid_table

    print(grid_json(plan) if as_json else grid_table(plan))  # noqa: T201
    if plan.refusal:
        raise ConfigError(plan.refusal)
