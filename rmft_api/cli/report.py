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
    list[str] | None,
    typer.Argument(
        metavar="RUN...",
        help="A run, an evaluation, a family of seeds or an ablation grid; several runs.",
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
        help=f"Where the page goes. Absent: RUNS/RUN/{PAGE}, RUNS/side-by-side.html or index.html.",
    ),
]
NoHtml = Annotated[bool, typer.Option("--no-html", help="Write no page.")]
Live = Annotated[
    bool,
    typer.Option("--live", help="Serve the page on this machine, updated as runs proceed."),
]
All = Annotated[
    bool,
    typer.Option("--all", help="An index of the folder of runs, with a page of each of them."),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Of --live; 0 takes a free one.")]


def report(
    run: RunNames = None,
    every: All = False,
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

    Finished or not. Evaluations, families of seeds, ablation grids and several runs have a page
    too; --all writes an index of everything in the folder of runs.
    """
    from rmft_api.session.run_directories import existing_page, is_family, is_grid

    names = [*(run or ())]
    only_one = {"--svg": svg, "--selections": selections}
    only_single = {**only_one, "--json": as_json, "--no-html": no_html}
    if every or len(names) != 1:
        _show_together(names, runs, html, port, only_single, every=every, live=live)
        return
    directory = existing_page(runs, names[0])
    if live:
        _refuse("a page that is served has no file and no table", {**only_single, "--html": html})
        _serve_place(directory, port)
        return
    page = html or (None if no_html or as_json else directory / PAGE)
    if is_family(directory) or is_grid(directory):
        _show_several_seeds(directory, page, only_one, as_json=as_json)
        return
    _show_run(directory, page, only_one, svg, as_json=as_json, selections=selections)


def _show_run(
    directory: Path,
    page: Path | None,
    only_runs: "Mapping[str, object]",
    svg: Path | None,
    *,
    as_json: bool,
    selections: bool,
) -> None:
    from rmft_api.journal import open_to_read
    from rmft_api.session import comparisons

    with open_to_read(directory) as journal:
        if comparisons.is_comparison(journal):
            comparisons.refuse_pages(directory.name, only_runs)
            _show_evaluation(journal, directory, page, as_json=as_json)
            return
        read = _read(journal, directory, page)
    if read[0] is None:
        _tell_nothing_yet(directory.name, *read[1:], is_refused=as_json or page is None)
    else:
        _print(read[0], read[1], svg, as_json=as_json, selections=selections)


def _refuse(why: str, asked: "Mapping[str, object]") -> None:
    from rmft_api.core.errors import UsageError

    if options := [option for option, value in asked.items() if value]:
        raise UsageError(f"{why}; leave out {', '.join(options)}")


def _show_several_seeds(
    directory: Path, page: Path | None, only_runs: "Mapping[str, object]", *, as_json: bool
) -> None:
    """A family of seeds, or a grid."""
    from rmft_api.session import page_sources, side_by_side
    from rmft_api.session.tables import family_or_grid

    _refuse(f"{directory.name!r} is a family of runs or a grid", only_runs)
    if page is not None:
        _say_where(page, side_by_side.write_page(page_sources.of_place(directory), page))
    print(family_or_grid(directory, as_json=as_json))  # noqa: T201


def _show_together(
    names: list[str],
    runs: Path,
    html: Path | None,
    port: int,
    only_single: "Mapping[str, object]",
    *,
    every: bool,
    live: bool,
) -> None:
    """Several runs, or the index of all."""
    from rmft_api.core.errors import UsageError
    from rmft_api.session import live_pages, page_sources, run_index, side_by_side
    from rmft_api.session.run_directories import existing_run

    _refuse("several runs have a page together", {**only_single, "--html": live and html})
    if every and names:
        raise UsageError(f"--all is of every run; leave out {', '.join(names)}, or --all")
    if not every and not names:
        raise UsageError("name a run, or --all for an index of every run")
    directories = [existing_run(runs, name) for name in dict.fromkeys(names)]
    if live:
        of_several = page_sources.of_several(directories)
        show = live_pages.of_folder(runs) if every else live_pages.of_source(of_several)
        live_pages.serve(show, port, _serving)
        return
    page = html or runs / (run_index.FILE if every else side_by_side.FILE)
    size = run_index.write(runs, page, _say) if every else side_by_side.write(directories, page)
    _say_where(page, size)
    print(page)  # noqa: T201


def _serve_place(directory: Path, port: int) -> None:
    from rmft_api.session import live_pages, page_sources

    live_pages.serve(live_pages.of_source(page_sources.of_place(directory)), port, _serving)


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
    _say(f"page: {page} ({size / 1e6:.1f} MB)")


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


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
