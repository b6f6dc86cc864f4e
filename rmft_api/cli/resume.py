"""`rmft-api resume`: go on with a run, whatever stopped it."""

from contextlib import closing
from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, RunName, RunsDir

RunCap = Annotated[
    float | None, typer.Option(metavar="USD", help="A new cap for the whole run.", min=0)
]
IterationCap = Annotated[
    float | None, typer.Option(metavar="USD", help="A new cap for each single iteration.", min=0)
]
Iterations = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many iterations the run is to have: extends one that has finished, too.",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Order once more the job that failed, was cancelled or was refused."
    ),
]
NewKey = Annotated[
    bool, typer.Option("--new-key", help="Go on with another key of the same provider project.")
]
MinValid = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="From now on, stop only where a smaller share of replies can be read; 0: never.",
        min=0,
        max=1,
    ),
]
AskAgain = Annotated[
    bool,
    typer.Option(
        "--ask-again",
        help="Ask anew, and pay anew, for the split whose replies could not be read.",
    ),
]
AsRecorded = Annotated[
    bool,
    typer.Option(
        "--as-recorded",
        help="Go on under the recorded settings though the run file has changed.",
    ),
]


def resume(
    run: RunName,
    budget: RunCap = None,
    iteration_budget: IterationCap = None,
    iterations: Iterations = None,
    again: Again = False,
    new_key: NewKey = False,
    min_valid: MinValid = None,
    ask_again: AskAgain = False,
    as_recorded: AsRecorded = False,
    runs: RunsDir = RUNS,
) -> None:
    """Go on where a run or an evaluation stopped.

    What was paid for is not asked again.
    """
    from rmft_api.cli.comparison_output import show
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.journal import Journal
    from rmft_api.report.text.results import results_table
    from rmft_api.session import comparisons
    from rmft_api.session.budgets import Budgets
    from rmft_api.session.run_directories import existing_run
    from rmft_api.session.runs import resume
    from rmft_api.session.valid_replies import OnStopped

    directory = existing_run(runs, run)
    caps, on_stopped = Budgets(budget, iteration_budget), OnStopped(min_valid, ask_again)
    with closing(Journal.read(directory)) as journal:
        evaluation = comparisons.is_comparison(journal)
    if evaluation:
        comparisons.refuse_iterations(run, iterations)
        show(run_async(comparisons.resume(directory, caps, on_stopped, REPORTING)))
        return
    options = {"as_recorded": as_recorded, "again": again, "new_key": new_key}
    work = resume(
        directory, caps, on_stopped, iterations=iterations, reporting=REPORTING, **options
    )
    print(results_table(run_async(work)))  # noqa: T201
