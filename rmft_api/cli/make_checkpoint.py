"""`rmft-api make-checkpoint`: a chat checkpoint made on the spot, to try open models with."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def make_checkpoint(
    folder: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")],
    lessons: Annotated[
        int, typer.Option(min=0, help="Batches of scripted play it is schooled on; 0: random.")
    ] = 120,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Make a tiny open checkpoint, to try engine hf.

    In Hugging Face's format, without a download.
    Some hundred thousand parameters, half a minute on one core. It is no evidence about large
    models.
    """
    from rmft_api.session.make_checkpoint import make_checkpoint as make

    parameters = make(folder, seed, lessons, _tell)
    typer.echo(f"{folder}: {parameters:,} parameters")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
