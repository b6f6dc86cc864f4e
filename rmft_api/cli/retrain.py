"""`rmft-api retrain`: the chain of a run, trained again at another provider."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import (
    RUNS,
    AcceptShutdown,
    Budget,
    DryRun,
    Overrides,
    ReplyTokens,
    RunName,
    RunsDir,
    with_budget,
)

if TYPE_CHECKING:
    from rmft_api.session.retraining import Retrained

Endpoint = Annotated[str, typer.Option(help="The endpoint to train at.")]
Base = Annotated[str | None, typer.Option(help="The base model there; absent: the same id.")]
Name = Annotated[str | None, typer.Option(help="The new run's name; RUN-at-PROFILE when absent.")]
AsJson = Annotated[bool, typer.Option("--json", help="The comparison, or the plan, for programs.")]


def retrain(
    run: RunName,
    profile: Endpoint,
    model: Base = None,
    name: Name = None,
    overrides: Overrides = None,
    budget: Budget = None,
    dry_run: DryRun = False,
    reply_tokens: ReplyTokens = None,
    as_json: AsJson = False,
    accept_shutdown: AcceptShutdown = False,
    runs: RunsDir = RUNS,
) -> None:
    """Train a run's chain again at another provider.

    On the very files that the run trained on. This is a run of its own, with its own journal and
    budget. Its models are evaluated on the same held-out scenarios, and both chains are shown side
    by side. The same command again continues it, or shows it once more.
    """
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.cli.plan import show
    from rmft_api.session.chains import RetrainOptions
    from rmft_api.session.plans import refuse_shutdown
    from rmft_api.session.retraining import chain_and_settings, retrained
    from rmft_api.session.run_directories import existing_run

    wanted = RetrainOptions(profile, model, name, with_budget(overrides, budget))
    chain, config = chain_and_settings(existing_run(runs, run), wanted, _say)
    if dry_run:
        show(config, runs, reply_tokens, accept_shutdown=accept_shutdown, as_json=as_json)
        return
    if not accept_shutdown:
        refuse_shutdown(config)
    _print(run_async(retrained(chain, config, runs, REPORTING)), as_json=as_json)


def _print(found: "Retrained", *, as_json: bool) -> None:
    import msgspec

    from rmft_api.report.text.results import results_table
    from rmft_api.session.retrain_comparison import sides_table

    comparison = msgspec.json.encode(found.sides).decode()
    tables = f"{results_table(found.results)}\n\n{sides_table(found.sides)}"
    print(comparison if as_json else tables)  # noqa: T201


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
