"""Files that are replaced whole: a reader meets the old bytes or the new ones, never half of them."""

import os
from pathlib import Path

from rmft_api.errors import StorageError


def replace_file(path: Path, content: bytes) -> None:
    """Write, flush to disk, rename, flush the folder. Raises StorageError."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(part, "wb", opener=_private) as file:  # noqa: PTH123 - Path.open has no opener
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; free space or mend its permissions, then resume"
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
