"""One process per run: flock on `run.lock`, held for life and freed by the kernel at death.

The process id inside is for people; a lock never expires by age.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rmft_api.core import locks
from rmft_api.core.errors import LockedError, StorageError

FILE = "run.lock"
_OWN = os.O_RDWR | os.O_CREAT


class RunLock:
    """A run's lock, held until `release`."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def own(cls, run_dir: Path) -> Self:
        """Take the lock. Raises LockedError when another process holds it, else as `locks` does."""
        descriptor = _take(run_dir, _OWN, locks.exclusive)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(descriptor)
            raise StorageError(
                f"cannot write {run_dir / FILE}: {error.strerror}; free space or repair the disk"
            ) from error
        return cls(descriptor)

    @classmethod
    def share(cls, run_dir: Path) -> Self:
        """Take the lock with other readers; a directory without one (a copy) needs none."""
        if not (run_dir / FILE).exists():
            return cls(None)
        return cls(_take(run_dir, os.O_RDONLY, locks.shared))

    def release(self) -> None:
        """Let the next process in. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_owned(run_dir: Path) -> bool:
    """Whether a process works on the run at this moment."""
    try:
        RunLock.share(run_dir).release()
    except LockedError:
        return True
    return False


def _take(run_dir: Path, flags: int, lock: Callable[[int, Path], None]) -> int:
    locks.check_platform()
    path = run_dir / FILE
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(
            f"cannot open {path}: {error.strerror}; check its permissions"
        ) from error
    try:
        lock(descriptor, run_dir)
    except BlockingIOError:
        raise _locked(run_dir.name, descriptor) from None
    except StorageError:
        os.close(descriptor)
        raise
    return descriptor


def _locked(run: str, descriptor: int) -> LockedError:
    owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
    os.close(descriptor)
    return LockedError(
        f"run {run!r} is in use by process {owner}; `rmft-api status {run}` shows how far it is"
    )
