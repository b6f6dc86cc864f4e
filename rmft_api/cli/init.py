"""`rmft-api init`: a commented run file to start from."""

from typing import Annotated

import typer

from rmft_api.cli import completion


def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the file to write.", show_default=False)
    ],
    like: Annotated[
        str,
        typer.Option(
            "--from",
            help="The shipped run file to start from.",
            autocompletion=completion.shipped_files,
        ),
    ] = "quickstart",
) -> None:
    """Write a commented run file to start from.

    NAME.toml says what each important key means. A file that exists is not overwritten.
    """
    import shlex

    from rmft_api.config import starter

    path = starter.write(name, like)
    print(f"{path} written; next: `rmft-api plan {shlex.quote(str(path))}`")  # noqa: T201
