"""`rmft-api eval`: models and known algorithms on one suite."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, Budget, Overrides, ReplyTokens, RunsDir


def eval(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="A model's id, PROFILE:MODEL, run:NAME (its champion), or run:NAME@WHICH "
            "(base, champion, last, all, or an iteration's number).",
            show_default=False,
        ),
    ] = None,
    suite: Annotated[
        str, typer.Option(help="A shipped suite, or the path of a .toml file.")
    ] = "small",
    profile: Annotated[
        str, typer.Option(help="The endpoint of models that are named by their id alone.")
    ] = "local",
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="A known algorithm to play too; repeatable. Absent: the suite's own."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the evaluation and its folder; `eval-SUITE` if absent.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Tell and sample as this run does, not as the suite."),
    ] = None,
    overrides: Overrides = None,
    budget: Budget = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its price; send and spend nothing.")
    ] = False,
    reply_tokens: ReplyTokens = None,
    as_json: Annotated[bool, typer.Option("--json", help="The figures, for programs.")] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the figures as a table.")
    ] = None,
    runs: RunsDir = RUNS,
) -> None:
    """Compare models and algorithms on one suite.

    All of them play the same scenarios.

    What was played is kept as a run's is: `rmft-api resume NAME` goes on, `rmft-api report NAME`
    shows it again.
    """
    from rmft_api.cli.comparison_output import show, show_plan
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.session import comparisons
    from rmft_api.session.players import ComparisonOptions, described

    wanted = ComparisonOptions(
        models=tuple(models or ()),
        suite=suite,
        profile=profile,
        baselines=None if baseline is None else tuple(baseline),
        name=name,
        like=like,
        overrides=tuple(overrides or ()),
        budget_usd=budget,
    )
    config = described(wanted, runs)
    if dry_run:
        show_plan(comparisons.plan_of(config, reply_tokens), as_json=as_json)
        return
    found = run_async(comparisons.begin(config, runs, REPORTING))
    show(found, as_json=as_json, csv=csv)
