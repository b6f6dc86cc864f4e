"""`rmft-api figures`: figures and tables of runs for a paper."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli import completion
from rmft_api.cli.options import RUNS, RunsDir

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Runs and evaluations.",
        show_default=False,
        autocompletion=completion.runs,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where files go; RUNS/RUN/figures of the first when absent."),
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="FORMAT", help="svg, pdf or png; repeatable. All if absent."),
]
Columns = Annotated[int, typer.Option(help="Width: 1 column of a page (85 mm), or 2 (175 mm).")]
Tables = Annotated[
    list[str] | None,
    typer.Option(
        "--table", metavar="FORMAT", help="Also every table: latex, markdown or csv; repeatable."
    ),
]
TablesOnly = Annotated[bool, typer.Option("--no-figures", help="Tables alone; no matplotlib.")]


def figures(
    run: Names,
    out: Out = None,
    formats: Formats = None,
    columns: Columns = 1,
    table: Tables = None,
    no_figures: TablesOnly = False,
    runs: RunsDir = RUNS,
) -> None:
    """Draw runs and evaluations, and write their tables.

    Figures need the extra [figures]. Several runs have a folder each, and figures of all of them.
    """
    from rmft_api.core.errors import UsageError
    from rmft_api.report.paper.style import FORMATS
    from rmft_api.session import paper
    from rmft_api.session.run_directories import existing_run

    if no_figures and not table:
        raise UsageError("--no-figures leaves nothing to write; add --table latex, markdown or csv")
    directories = [existing_run(runs, name) for name in dict.fromkeys(run)]
    to = out or directories[0] / paper.FOLDER
    wanted = () if no_figures else (*(formats or FORMATS),)
    order = paper.PaperOrder(formats=wanted, columns=columns, tables=tuple(table or ()))  # pyright: ignore[reportArgumentType] - checked when it is made
    for path in paper.write(directories, to, order):
        print(path)  # noqa: T201
