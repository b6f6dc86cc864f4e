"""`rmft-api report`: the results of a run, as a table and as a page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli import completion
from rmft_api.cli.options import RUNS, RunsDir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rmft_api.evaluation.scoring import Results
    from rmft_api.journal import Journal
    from rmft_api.planning import Spending

PAGE = "report.html"
RunNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="A run or an evaluation; several runs side by side.",
        show_default=False,
        autocompletion=completion.runs,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="The figures, for programs; no page unless --html.")
]
Selections = Annotated[
    bool, typer.Option("--selections", help="Compare the selected trajectories with all.")
]
Svg = Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw regret by iteration.")]
Html = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=f"Where the page goes. Absent: RUNS/RUN/{PAGE}, or RUNS/side-by-side.html.",
    ),
]
NoHtml = Annotated[bool, typer.Option("--no-html", help="Write no page.")]
Live = Annotated[
    bool,
    typer.Option("--live", help="Serve the page on this machine, updated as the run proceeds."),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Of --live; 0 takes a free one.")]


def report(
    run: RunNames,
    as_json: AsJson = False,
    selections: Selections = False,
    svg: Svg = None,
    html: Html = None,
    no_html: NoHtml = False,
    live: Live = False,
    port: Port = 0,
    runs: RunsDir = RUNS,
) -> None:
    """Show a run's figures, and write them as a page.

    Finished or not. Several runs, and an evaluation, have a page too.
    """
    from rmft_api.journal import open_to_read
    from rmft_api.session import comparisons, pages
    from rmft_api.session.run_directories import existing_place, is_family

    names, only_runs = [*run], {"--live": live, "--svg": svg, "--selections": selections}
    if len(names) > 1:
        _show_several(names, runs, html, {**only_runs, "--json": as_json})
        return
    directory = existing_place(runs, names[0])
    if is_family(directory):
        _print_family(directory, {**only_runs, "--html": html}, as_json=as_json)
        return
    page = html or (None if no_html or as_json else directory / PAGE)
    with open_to_read(directory) as journal:
        if comparisons.is_comparison(journal):
            comparisons.refuse_pages(names[0], only_runs)
            _show_evaluation(journal, directory, page, as_json=as_json)
            return
        read = None if live else _read(journal, directory, page)
    if read is None:
        pages.serve_page(directory, port, _serving)
    elif read[0] is None:
        _tell_nothing_yet(names[0], *read[1:], is_refused=as_json or page is None)
    else:
        _print(read[0], read[1], svg, as_json=as_json, selections=selections)


def _print_family(directory: Path, only_runs: "Mapping[str, object]", *, as_json: bool) -> None:
    from rmft_api.report.text.family import family_json, family_table
    from rmft_api.session import families

    families.refuse_pages(directory, only_runs)
    found = families.results_of(directory)
    print(family_json(found) if as_json else family_table(found))  # noqa: T201


def _show_several(
    names: list[str], runs: Path, html: Path | None, asked: dict[str, object]
) -> None:
    from rmft_api.core.errors import UsageError
    from rmft_api.session import side_by_side
    from rmft_api.session.run_directories import existing_run

    if options := [option for option, value in asked.items() if value]:
        raise UsageError(f"several runs have a page together; leave out {', '.join(options)}")
    page = html or runs / side_by_side.FILE
    _say_where(
        page, side_by_side.write([existing_run(runs, name) for name in dict.fromkeys(names)], page)
    )
    print(page)  # noqa: T201


def _show_evaluation(
    journal: "Journal", directory: Path, page: Path | None, *, as_json: bool
) -> None:
    from rmft_api.cli.comparison_output import show
    from rmft_api.session.comparisons import results_so_far
    from rmft_api.session.pages import write_evaluation_page

    found = results_so_far(journal)
    if page is not None:
        _say_where(page, write_evaluation_page(page, journal, found, directory))
    show(found, as_json=as_json)


def _read(
    journal: "Journal", directory: Path, page: Path | None
) -> "tuple[Results | None, Spending, str | None]":
    """Results so far, money, and why the run stopped; the page is written where one is wanted."""
    from rmft_api.evaluation import outcome
    from rmft_api.planning import spending
    from rmft_api.session.pages import results_so_far, run_state, write_page
    from rmft_api.session.recorded_config import recorded_config

    found = results_so_far(journal)
    if page is not None:
        config, state = recorded_config(journal), run_state(directory)
        size = write_page(page, config, journal, found, state)
        _say_where(page, size)
    return found, spending(journal), outcome.stopped(journal)


def _say_where(page: Path, size: int) -> None:
    print(f"page: {page} ({size / 1e6:.1f} MB)", file=sys.stderr)  # noqa: T201


def _tell_nothing_yet(run: str, money: "Spending", why: str | None, *, is_refused: bool) -> None:
    from rmft_api.core.errors import UsageError
    from rmft_api.report.text.spending import spending_table

    next_step = f"stopped: {why}" if why else f"`rmft-api resume {run}` continues"
    nothing = f"run {run!r} has evaluated no model yet; {next_step}"
    if is_refused:
        raise UsageError(nothing)
    print(f"{nothing}\n\n{spending_table(money)}")  # noqa: T201


def _print(
    found: "Results", money: "Spending", svg: Path | None, *, as_json: bool, selections: bool
) -> None:
    from rmft_api.report.results_json import results_json
    from rmft_api.report.text.results import (
        over_time_table,
        results_table,
        selections_table,
    )
    from rmft_api.report.text.spending import spending_table
    from rmft_api.session.pages import draw

    if svg is not None:
        draw(svg, found)
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
