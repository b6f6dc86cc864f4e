"""`rmft-api card`: a model card of a run's champion."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.cli.options import RUNS, RunName, RunsDir

Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where it goes; RUNS/RUN/MODEL_CARD.md when absent."),
]


def card(run: RunName, out: Out = None, runs: RunsDir = RUNS) -> None:
    """Write a model card of a run's champion.

    Markdown with the head that the Hugging Face Hub reads: base, method, data with hashes, seeds,
    measures with intervals, baselines, cost, how to ask it, and what may not be concluded.
    """
    from rmft_api.session import cards
    from rmft_api.session.run_directories import existing_run

    print(cards.write(existing_run(runs, run), out))  # noqa: T201
