"""`rmft-api make-checkpoint`: a chat checkpoint made on the spot, to try open models with."""

from pathlib import Path
from typing import Annotated

import typer

from rmft_api.core.errors import StorageError, UsageError


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
    from rmft_api.session.embedded_server import require_open_extra

    require_open_extra()
    if folder.exists():
        raise UsageError(f"{str(folder)!r} exists; choose another folder, or remove it")
    from rmft_api.local_server.hf import example_checkpoint

    try:
        parameters = example_checkpoint.make(folder, seed, lessons, example_checkpoint.print_stderr)
    except OSError as error:
        raise StorageError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    typer.echo(f"{folder}: {parameters:,} parameters")
