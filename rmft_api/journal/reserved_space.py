"""Disk space held in reserve, so that paid replies in flight can be saved when the disk is full."""

import os
from pathlib import Path
from typing import IO

from rmft_api.core.errors import StorageError


class ReservedSpace:
    """A file that takes space until it is dropped."""

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
                f"{error.strerror}; free some space"
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
