"""`rmft-api report`: what a run came to."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.places import RUNS, RunName, RunsDir


def report(
    run: RunName,
    as_json: Annotated[bool, typer.Option("--json", help="The figures, for programs.")] = False,
    selections: Annotated[
        bool, typer.Option("--selections", help="Show what was learnt from beside all play.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw regret by iteration.")
    ] = None,
    runs: RunsDir = RUNS,
) -> None:
    """Show the figures of a run, finished or not."""
    from rmft_api.cli.data import results_json
    from rmft_api.cli.money import spending_table
    from rmft_api.cli.places import existing_run
    from rmft_api.cli.recorded import recorded_config
    from rmft_api.cli.tables import results_table, selections_table
    from rmft_api.figures import regret_svg
    from rmft_api.files import replace_file
    from rmft_api.journal import Journal
    from rmft_api.outcome import results
    from rmft_api.planning import spending

    journal = Journal.read(existing_run(runs, run))
    try:
        found = results(recorded_config(journal), journal)
        money = spending(journal)
    finally:
        journal.close()
    if svg is not None:
        replace_file(svg, regret_svg(found).encode())
    if as_json:
        print(results_json(found, money))  # noqa: T201
        return
    if selections:
        print(selections_table(found), end="\n\n")  # noqa: T201
    print(results_table(found) + "\n\n" + spending_table(money))  # noqa: T201
