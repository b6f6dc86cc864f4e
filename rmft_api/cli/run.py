"""`rmft-api run`: begin a run."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.places import RUNS, RunsDir


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
    runs: RunsDir = RUNS,
) -> None:
    """Play, rank by regret, fine-tune, and again; then show what came of it.

    Without FILE, a small text model on this machine learns a bandit: no key, no network, no GPU.
    """
    from rmft_api import config, resources
    from rmft_api.cli.build import begin
    from rmft_api.cli.errors import run_async

    path = file or resources.run_files_dir() / "quickstart.toml"
    changes = [*(overrides or ()), *(() if budget is None else (f"budget_usd={budget}",))]
    run_async(begin(config.load(path, changes), runs, path))
