"""`rmft-api status`: how far a run is and what it has spent."""

from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, RunsDir


def status(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's name.", show_default=False)
    ] = None,
    runs: RunsDir = RUNS,
) -> None:
    """Show how far a run is and what it has spent.

    And where that is heading; without RUN, all runs.
    """
    import sys

    from rmft_api.core.errors import RmftError
    from rmft_api.report.text.money import spending_table
    from rmft_api.session.progress import check_begun, line_of, status_of
    from rmft_api.session.run_directories import existing_run, run_names

    if run is None:
        names = run_names(runs)
        if not names:
            print(f"no runs in {str(runs)!r}; `rmft-api run` begins one", file=sys.stderr)  # noqa: T201
        for name in names:
            try:
                check_begun(runs / name)
                print(line_of(runs / name))  # noqa: T201
            except (RmftError, OSError) as error:
                print(f"passed over {name!r}: {error}", file=sys.stderr)  # noqa: T201
        return
    directory = existing_run(runs, run)
    check_begun(directory)
    print(line_of(directory))  # noqa: T201
    status = status_of(directory)
    if status and status.spending and status.spending.lines:
        print("\n" + spending_table(status.spending))  # noqa: T201
