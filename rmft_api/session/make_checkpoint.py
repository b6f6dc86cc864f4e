"""A chat checkpoint made on the spot, to try open models with."""

from collections.abc import Callable
from pathlib import Path

from rmft_api.core.errors import StorageError, UsageError
from rmft_api.session.embedded_server import require_open_extra


def make_checkpoint(folder: Path, seed: int, steps: int, say: Callable[[str], None]) -> int:
    """Make it; how many parameters it has. `steps`: of training on batches of scripted play.

    Raises UsageError where the folder exists, ConfigError without the packages, StorageError.
    """
    require_open_extra()
    if folder.exists():
        raise UsageError(f"{str(folder)!r} exists; choose another folder, or remove it")
    from rmft_api.local_server.hf import example_checkpoint

    try:
        return example_checkpoint.make(folder, seed, steps, say)
    except OSError as error:
        raise StorageError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
