"""`rmft-api report`: what a run came to, as a table and as a page."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.places import RUNS, RunName, RunsDir
from rmft_api.errors import UsageError

PAGE = "report.html"


def report(
    run: RunName,
    as_json: Annotated[
        bool, typer.Option("--json", help="The figures, for programs; no page unless --html.")
    ] = False,
    selections: Annotated[
        bool, typer.Option("--selections", help="Show what was learnt from beside all play.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw regret by iteration.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Where the page goes; RUNS/RUN/{PAGE} when absent."),
    ] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no page.")] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Serve the page on this machine, up to date while the run goes on."
        ),
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of --live; 0 takes a free one.")] = 0,
    runs: RunsDir = RUNS,
) -> None:
    """Show a run's figures, and write them as a page.

    Finished or not; the page holds its trajectories too.

    An evaluation has figures alone.
    """
    from rmft_api import outcome
    from rmft_api.cli import contests
    from rmft_api.cli.data import results_json
    from rmft_api.cli.money import spending_table
    from rmft_api.cli.pages import (
        looked_into,
        results_so_far,
        serve_page,
        telling_of,
        write_page,
    )
    from rmft_api.cli.places import existing_run
    from rmft_api.cli.recorded import recorded_config
    from rmft_api.cli.tables import over_time_table, results_table, selections_table
    from rmft_api.figures import regret_svg
    from rmft_api.files import replace_file
    from rmft_api.planning import spending

    directory = existing_run(runs, run)
    if live:
        serve_page(directory, port)
        return
    page = html or (None if no_html or as_json else directory / PAGE)
    with looked_into(directory) as journal:
        if contests.is_contest(journal):
            contests.report(journal, as_json=as_json)
            return
        found = results_so_far(journal)
        money = spending(journal)
        if page is not None:
            write_page(page, recorded_config(journal), journal, found, telling_of(directory))
        stopped = outcome.stopped(journal)
    if found is None:
        way_on = f"stopped: {stopped}" if stopped else f"`rmft-api resume {run}` goes on"
        nothing = f"run {run!r} has evaluated no model yet; {way_on}"
        if as_json or page is None:
            raise UsageError(nothing)
        print(f"{nothing}\n\n{spending_table(money)}")  # noqa: T201
        return
    if svg is not None:
        replace_file(svg, regret_svg(found).encode())
    if as_json:
        print(results_json(found, money))  # noqa: T201
        return
    if selections:
        print(selections_table(found), end="\n\n")  # noqa: T201
    parts = (results_table(found), over_time_table(found), spending_table(money))
    print("\n\n".join(part for part in parts if part))  # noqa: T201
