"""`rmft-api resume`: continue a run, whatever stopped it."""

from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import RUNS, RunName, RunsDir

if TYPE_CHECKING:
    from rmft_api.evaluation.comparison import ComparisonResults
    from rmft_api.evaluation.family import FamilyResults
    from rmft_api.evaluation.scoring import Results

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
    bool, typer.Option("--new-key", help="Continue with another key of the same provider project.")
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
        help="Ask again, and pay again, for the split whose replies could not be read.",
    ),
]
AsRecorded = Annotated[
    bool,
    typer.Option(
        "--as-recorded",
        help="Continue under the recorded settings though the run file has changed.",
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
    """Continue a run, a family of seeds or an evaluation.

    What was paid for is not asked again.
    """
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.session.budgets import Budgets
    from rmft_api.session.resume import resume
    from rmft_api.session.resume_options import ResumeOptions
    from rmft_api.session.run_directories import existing_place
    from rmft_api.session.valid_replies import OnStopped

    options = ResumeOptions(
        caps=Budgets(budget, iteration_budget),
        on_stopped=OnStopped(min_valid, ask_again),
        iterations=iterations,
        as_recorded=as_recorded,
        again=again,
        new_key=new_key,
    )
    _show(run_async(resume(existing_place(runs, run), options, REPORTING)))


def _show(found: "Results | FamilyResults | ComparisonResults") -> None:
    from rmft_api.cli.comparison_output import show
    from rmft_api.evaluation.family import FamilyResults
    from rmft_api.evaluation.scoring import Results
    from rmft_api.report.text.family import family_table
    from rmft_api.report.text.results import results_table

    if isinstance(found, Results):
        print(results_table(found))  # noqa: T201
    elif isinstance(found, FamilyResults):
        print(family_table(found))  # noqa: T201
    else:
        show(found)
