"""`rmft-api run`: begin a run."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.places import RUNS, RunsDir
from rmft_api.cli.plan import AcceptShutdown, ReplyTokens


def run(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A run file; without one, the embedded quick start.", show_default=False
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a key of the run file; repeatable."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="USD", help="Never spend more than this.", min=0)
    ] = None,
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
    """Play, rank by regret, fine-tune, and again; then show what came of it.

    Without FILE, a small text model on this machine learns a bandit: no key, no network, no GPU.
    """
    from rmft_api import config, resources
    from rmft_api.cli.build import begin
    from rmft_api.cli.errors import run_async
    from rmft_api.cli.plan import refuse_shutdown, show

    path = file or resources.run_files_dir() / "quickstart.toml"
    changes = [*(overrides or ()), *(() if budget is None else (f"budget_usd={budget}",))]
    settings = config.load(path, changes)
    if dry_run:
        show(settings, reply_tokens=reply_tokens, accept_shutdown=accept_shutdown, as_json=as_json)
        return
    if not accept_shutdown:
        refuse_shutdown(settings)
    run_async(begin(settings, runs, path))
