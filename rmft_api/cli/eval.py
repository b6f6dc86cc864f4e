"""`rmft-api eval`: models and known algorithms on one suite."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, Budget, DryRun, Overrides, ReplyTokens, RunsDir

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="A model's id, PROFILE:MODEL, run:NAME (its champion), or run:NAME@WHICH "
        "(base, champion, last, all, or an iteration's number).",
        show_default=False,
    ),
]
SuiteName = Annotated[str, typer.Option(help="A shipped suite, or the path of a .toml file.")]
Endpoint = Annotated[
    str, typer.Option(help="The endpoint of models that are named by their id alone.")
]
Baselines = Annotated[
    list[str] | None,
    typer.Option(
        help="A known algorithm to play too, or `all`; repeatable. Absent: the suite's own."
    ),
]
Name = Annotated[
    str | None, typer.Option(help="Of the evaluation and its folder; `eval-SUITE` if absent.")
]
Like = Annotated[
    str | None,
    typer.Option(metavar="RUN", help="Use this run's prompts and sampling, not the suite's."),
]
AsJson = Annotated[bool, typer.Option("--json", help="The figures, for programs.")]
Csv = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write the figures as a table.")
]


def eval(
    models: Models = None,
    suite: SuiteName = "small",
    profile: Endpoint = "local",
    baseline: Baselines = None,
    name: Name = None,
    like: Like = None,
    overrides: Overrides = None,
    budget: Budget = None,
    dry_run: DryRun = False,
    reply_tokens: ReplyTokens = None,
    as_json: AsJson = False,
    csv: Csv = None,
    runs: RunsDir = RUNS,
) -> None:
    """Compare models and algorithms on one suite.

    All of them play the same scenarios.

    What was played is kept as a run's is: `rmft-api resume NAME` continues, `rmft-api report NAME`
    shows it again.
    """
    from rmft_api.cli.comparison_output import show, show_plan
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.session import comparisons
    from rmft_api.session.players import ComparisonOptions, described

    players, changes = tuple(models or ()), tuple(overrides or ())
    rivals = None if baseline is None else tuple(baseline)
    wanted = ComparisonOptions(players, suite, profile, rivals, name, like, changes, budget)
    config = described(wanted, runs)
    if dry_run:
        show_plan(comparisons.plan_now(config, reply_tokens), as_json=as_json)
        return
    found = run_async(comparisons.begin(config, runs, REPORTING))
    show(found, as_json=as_json, csv=csv)
