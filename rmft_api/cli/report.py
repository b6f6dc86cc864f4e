"""`rmft-api report`: what a run came to, as a table and as a page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, RunName, RunsDir
from rmft_api.core.errors import UsageError

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
    from rmft_api.cli.comparison_output import show
    from rmft_api.core.files import replace_file
    from rmft_api.evaluation import outcome
    from rmft_api.planning import spending
    from rmft_api.report.regret_svg import regret_svg
    from rmft_api.report.results_json import results_json
    from rmft_api.report.text.money import spending_table
    from rmft_api.report.text.results import (
        over_time_table,
        results_table,
        selections_table,
    )
    from rmft_api.session import comparisons
    from rmft_api.session.pages import (
        looked_into,
        results_so_far,
        run_state,
        serve_page,
        write_page,
    )
    from rmft_api.session.recorded_config import recorded_config
    from rmft_api.session.run_directories import existing_run

    directory = existing_run(runs, run)
    if live:
        serve_page(directory, port, _serving)
        return
    page = html or (None if no_html or as_json else directory / PAGE)
    with looked_into(directory) as journal:
        if comparisons.is_comparison(journal):
            show(comparisons.results_so_far(journal), as_json=as_json)
            return
        found = results_so_far(journal)
        money = spending(journal)
        if page is not None:
            config, state = recorded_config(journal), run_state(directory)
            size = write_page(page, config, journal, found, state)
            print(f"page: {page} ({size / 1e6:.1f} MB)", file=sys.stderr)  # noqa: T201
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


def _serving(url: str) -> None:
    print(url, flush=True)  # noqa: T201
    print("Ctrl-C ends it", file=sys.stderr, flush=True)  # noqa: T201
