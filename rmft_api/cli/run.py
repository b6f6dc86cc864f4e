"""`rmft-api run`: begin a run."""

from typing import Annotated

import typer

from rmft_api.cli.options import (
    RUNS,
    AcceptShutdown,
    Budget,
    DryRun,
    Overrides,
    ReplyTokens,
    RunFile,
    RunsDir,
    described,
    run_file,
)


def run(
    file: RunFile = None,
    overrides: Overrides = None,
    budget: Budget = None,
    dry_run: DryRun = False,
    reply_tokens: ReplyTokens = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: the plan, for programs.")
    ] = False,
    accept_shutdown: AcceptShutdown = False,
    runs: RunsDir = RUNS,
) -> None:
    """Play, rank by regret, fine-tune, and again.

    In the end it shows the results.
    Without FILE, a small text model on this machine learns a bandit: no key, no network, no GPU.
    """
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.cli.plan import show
    from rmft_api.report.text.results import results_table
    from rmft_api.session.plans import refuse_shutdown
    from rmft_api.session.runs import begin

    if not dry_run:
        _refuse_options_of_plans(as_json, reply_tokens)
    path = run_file(file)
    config = described(path, overrides, budget)
    if dry_run:
        show(config, runs, reply_tokens, accept_shutdown=accept_shutdown, as_json=as_json)
        return
    if not accept_shutdown:
        refuse_shutdown(config)
    work = begin(config, runs, path, reporting=REPORTING, accept_shutdown=accept_shutdown)
    print(results_table(run_async(work)))  # noqa: T201


def _refuse_options_of_plans(as_json: bool, reply_tokens: int | None) -> None:
    from rmft_api.core.errors import UsageError

    if as_json or reply_tokens is not None:
        raise UsageError(
            "--json and --reply-tokens are for plans and need --dry-run; "
            "`rmft-api report RUN --json` shows the results of a run"
        )
