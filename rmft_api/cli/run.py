"""`rmft-api run`: begin a run."""

from typing import Annotated

import typer

from rmft_api.cli.options import (
    RUNS,
    AcceptShutdown,
    Budget,
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its price; send and spend nothing.")
    ] = False,
    reply_tokens: ReplyTokens = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: the plan, for programs.")
    ] = False,
    accept_shutdown: AcceptShutdown = False,
    runs: RunsDir = RUNS,
) -> None:
    """Play, rank by regret, fine-tune, and again.

    In the end it shows what came of it.
    Without FILE, a small text model on this machine learns a bandit: no key, no network, no GPU.
    """
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.cli.plan import refuse_shutdown, show
    from rmft_api.core.errors import UsageError
    from rmft_api.report.text.results import results_table
    from rmft_api.session.runs import begin

    if not dry_run and (as_json or reply_tokens is not None):
        raise UsageError(
            "--json and --reply-tokens are of plans: they need --dry-run; what a run came to is "
            "told by `rmft-api report RUN --json`"
        )
    path = run_file(file)
    settings = described(path, overrides, budget)
    if dry_run:
        show(
            settings,
            runs,
            reply_tokens=reply_tokens,
            accept_shutdown=accept_shutdown,
            as_json=as_json,
        )
        return
    if not accept_shutdown:
        refuse_shutdown(settings)
    work = begin(settings, runs, path, reporting=REPORTING, accept_shutdown=accept_shutdown)
    print(results_table(run_async(work)))  # noqa: T201
