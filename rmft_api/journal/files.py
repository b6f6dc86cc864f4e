"""Files and directories of a run: private, and replaced whole or not at all."""

import os
from pathlib import Path
from typing import IO

from rmft_api.errors import StorageError


def make_directory(path: Path) -> None:
    """Create `path` and its parents, readable by their owner alone. Raises StorageError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot create {path}: {error.strerror}; check the directory and its permissions"
        ) from error


def replace(path: Path, content: bytes) -> None:
    """Write `content` so that readers and crashes meet the old file or the new. StorageError."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; free space or fix it, then resume the run"
        ) from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a rename alone may be lost with the power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Ballast:
    """Disk space kept back, so that paid replies under way can be saved when the disk is full."""

    SIZE = 16 * 2**20

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "ballast"

    def load(self) -> None:
        """Take the space. Raises StorageError where there is not even so much."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                _fill(file, self.SIZE)
        except OSError as error:
            self.drop()
            raise StorageError(
                f"cannot set {self.SIZE // 2**20} MB aside in {self._path.parent}: "
                f"{error.strerror}; free some space, then go on"
            ) from error

    def drop(self) -> bool:
        """Give the space back; whether there was any."""
        try:
            self._path.unlink()
        except OSError:  # gone already, or a disk that takes no orders: then there is none to give
            return False
        return True


def _fill(file: IO[bytes], size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.write(bytes(size))
