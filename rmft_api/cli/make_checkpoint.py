"""`rmft-api make-checkpoint`: a chat checkpoint made on the spot, to try open models with."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def make_checkpoint(
    folder: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")],
    steps: Annotated[
        int,
        typer.Option(min=0, help="Training steps on batches of scripted play; 0: random weights."),
    ] = 120,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    lessons: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Make a tiny open checkpoint, to try engine hf.

    In Hugging Face's format, without a download.
    Some hundred thousand parameters, half a minute on one core. It is no evidence about large
    models.
    """
    from rmft_api.core.errors import UsageError
    from rmft_api.session.make_checkpoint import make_checkpoint as make

    if lessons is not None:
        raise UsageError(f"--lessons is now --steps; give --steps {lessons}")
    parameters = make(folder, seed, steps, _say)
    typer.echo(f"{folder}: {parameters:,} parameters")


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
