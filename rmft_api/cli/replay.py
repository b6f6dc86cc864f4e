"""`rmft-api replay`: the chain of a run, walked again at another provider."""

from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import (
    RUNS,
    AcceptShutdown,
    Budget,
    Overrides,
    ReplyTokens,
    RunName,
    RunsDir,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rmft_api.config.schema import RunConfig
    from rmft_api.session.chains import Chain


def replay(
    run: RunName,
    profile: Annotated[str, typer.Option(help="The endpoint to walk the chain at.")],
    model: Annotated[
        str | None, typer.Option(help="The base model there; absent: the same id.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The replay's own name; RUN-at-PROFILE when absent.")
    ] = None,
    overrides: Overrides = None,
    budget: Budget = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its price; send and spend nothing.")
    ] = False,
    reply_tokens: ReplyTokens = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The comparison, or the plan, for programs.")
    ] = False,
    accept_shutdown: AcceptShutdown = False,
    runs: RunsDir = RUNS,
) -> None:
    """Walk a run's chain again at another provider.

    It learns from the very files that the run learnt from.
    The replay is a run of its own, with its own journal and budget. Its models are evaluated on
    the same held-out scenarios, and both chains are shown side by side. The same command again
    goes on with it, or shows it once more.
    """
    import sys

    from rmft_api.cli.plan import refuse_shutdown, show
    from rmft_api.session.chains import RetrainOptions, chain_of, described, fitted
    from rmft_api.session.run_directories import existing_run

    def say(text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201

    chain = fitted(chain_of(existing_run(runs, run)), profile, say)
    cap = () if budget is None else (f"budget_usd={budget}",)
    wanted = RetrainOptions(profile, model, name, (*(overrides or ()), *cap))
    config = described(chain, wanted, say)
    if dry_run:
        show(
            config,
            runs,
            reply_tokens=reply_tokens,
            accept_shutdown=accept_shutdown,
            as_json=as_json,
        )
        return
    if not accept_shutdown:
        refuse_shutdown(config)
    _walk(chain, config, runs, budget, as_json=as_json)


def _walk(
    chain: "Chain", config: "RunConfig", runs: "Path", budget: float | None, *, as_json: bool
) -> None:
    """Begin the replay or go on with it, and compare."""
    import msgspec

    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.report.text.results import results_table
    from rmft_api.session.budgets import Budgets
    from rmft_api.session.retrain_comparison import side_by_side, sides_table
    from rmft_api.session.run_directories import run_directory
    from rmft_api.session.runs import begin, resume

    directory = run_directory(runs, config.name)

    if _has_begun(directory, config):
        work = resume(directory, Budgets(run_usd=budget), reporting=REPORTING)
    else:
        work = begin(config, runs, None, chain.furnish, reporting=REPORTING)
    results = run_async(work)
    sides = side_by_side(directory, chain.directory)
    if as_json:
        print(msgspec.json.encode(sides).decode())  # noqa: T201
    else:
        print(f"{results_table(results)}\n\n{sides_table(sides)}")  # noqa: T201


def _has_begun(directory: "Path", config: "RunConfig") -> bool:
    """Whether the directory holds this very replay. Raises ConfigError for another run's."""
    from rmft_api.core.errors import ConfigError
    from rmft_api.journal import Journal
    from rmft_api.session.recorded_config import recorded_config

    if not (directory / "journal.sqlite").exists():
        return False
    journal = Journal.read(directory)
    try:
        recorded = recorded_config(journal)
    finally:
        journal.close()
    if recorded.model_copy(update={"budget_usd": config.budget_usd}) != config:
        raise ConfigError(
            f"run {config.name!r} exists and is another; --name gives the replay a name of its own"
        )
    return True
