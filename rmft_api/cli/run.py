"""`rmft-api run`: begin a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    Seeds,
    described,
    run_file,
)

if TYPE_CHECKING:
    from rmft_api.config.schema import RunConfig


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
    seeds: Seeds = None,
    runs: RunsDir = RUNS,
) -> None:
    """Play, rank by regret, fine-tune, and again.

    In the end it shows the results.
    Without FILE, a small text model on this machine learns a bandit: no key, no network, no GPU.
    With --seeds each seed is a run of its own, NAME-seed-1 and so on, and NAME is all of them.
    """
    from rmft_api.cli.plan import show
    from rmft_api.session.plans import refuse_shutdown

    if not dry_run:
        _refuse_options_of_plans(as_json, reply_tokens)
    path = run_file(file)
    config = described(path, overrides, budget)
    if dry_run:
        given = (config, runs, reply_tokens)
        show(*given, seeds=seeds, accept_shutdown=accept_shutdown, as_json=as_json)
        return
    if not accept_shutdown:
        refuse_shutdown(config)
    _begin(config, seeds, runs, path, accept_shutdown=accept_shutdown)


def _begin(
    config: "RunConfig", seeds: int | None, runs: Path, path: Path, *, accept_shutdown: bool
) -> None:
    """Run one seed or several to the end, and print what came of it."""
    from rmft_api.cli.console import REPORTING
    from rmft_api.cli.errors import run_async
    from rmft_api.report.text.results import results_table
    from rmft_api.session.runs import begin

    if seeds is None:
        work = begin(config, runs, path, reporting=REPORTING, accept_shutdown=accept_shutdown)
        print(results_table(run_async(work)))  # noqa: T201
        return
    from rmft_api.report.text.family import family_table
    from rmft_api.session import families

    all_seeds = families.begin(
        *(config, seeds, runs, path, REPORTING), accept_shutdown=accept_shutdown
    )
    print(family_table(run_async(all_seeds)))  # noqa: T201


def _refuse_options_of_plans(as_json: bool, reply_tokens: int | None) -> None:
    from rmft_api.core.errors import UsageError

    if as_json or reply_tokens is not None:
        raise UsageError(
            "--json and --reply-tokens are for plans and need --dry-run; "
            "`rmft-api report RUN --json` shows the results of a run"
        )
