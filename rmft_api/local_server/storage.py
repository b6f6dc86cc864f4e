"""Files that survive a crash: replaced whole by rename, or repaired and appended to."""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rmft_api.core import locks
from rmft_api.core.errors import LockedError, StorageError
from rmft_api.core.staging import FULL

T = TypeVar("T")


def is_full(error: BaseException) -> bool:
    """Whether a disk, or what one may use of it, was full; the cause of an error counts, too."""
    causes = (error, error.__cause__)
    return any(isinstance(one, OSError) and one.errno in FULL for one in causes)


def repair(path: Path) -> None:
    """Drop an unfinished last line, so that the next append starts a line of its own."""
    with path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


@contextmanager
def owned(folder: Path) -> Generator[None]:
    """Make `folder` and own it alone. Raises LockedError when another server does."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = error.strerror
        raise StorageError(
            f"cannot use {str(folder)!r}: {reason}; choose another --state"
        ) from error
    try:
        _lock_now(descriptor, folder)
        yield
    finally:
        os.close(descriptor)  # the kernel also frees it when the process dies


def _lock_now(descriptor: int, folder: Path) -> None:
    try:
        locks.exclusive(descriptor, folder)
    except BlockingIOError:
        raise LockedError(
            f"another server owns {str(folder)!r}; stop it or choose another --state"
        ) from None


@contextmanager
def waited_for(path: Path) -> Generator[None]:
    """Hold the lock file `path`, after its present holder is gone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        locks.exclusive(descriptor, path.parent, wait=True)
        yield
    finally:
        os.close(descriptor)


def read_records(root: Path, name: str, decode: Callable[[bytes], T]) -> list[T]:
    """The record `name` of every folder in `root`; a folder without one is removed.

    Raises StorageError for a record that cannot be read.
    """
    root.mkdir(exist_ok=True)
    records: list[T] = []
    for folder in root.iterdir():
        record = folder / name
        if record.exists():
            records.append(_decoded(record, decode))
        else:
            shutil.rmtree(folder)
    return records


def _decoded(record: Path, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(record.read_bytes())
    except ValueError as error:
        raise StorageError(
            f"{str(record)!r} is damaged ({error}); move its folder away to serve without it"
        ) from error
