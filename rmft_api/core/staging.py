"""Folders that appear whole or not at all: made under a hidden name beside their place.

    with staged(folder) as draft:   # alone, whatever else makes the same folder
        ... files into draft ...
    # here `folder` is there; after an error or a crash it is not

What a killed process left is removed by the next one that makes the same folder.
"""

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from rmft_api.core import locks
from rmft_api.core.errors import StorageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
MB = 10**6


@contextmanager
def staged(folder: Path, *, keep: bool = True) -> Generator[Path]:
    """An empty folder that becomes `folder`, in place of an older one. Raises StorageError.

    Without `keep` it is removed in the end: room to work in.
    """
    draft = folder.with_name(f".{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _alone(draft)
    except OSError as error:
        raise _cannot(folder, error) from error
    try:
        yield draft
        if keep:
            _put(draft, folder)
    except OSError as error:
        raise _cannot(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(descriptor)


def require_room(folder: Path, megabytes: int) -> None:
    """Raise StorageError where the disk of `folder` lacks so many MB."""
    there = next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), Path("/"))
    free = shutil.disk_usage(there).free // MB
    if free < megabytes:
        raise StorageError(
            f"{str(folder)!r} needs about {megabytes:,} MB and its disk has {free:,} MB free; make "
            "room, or choose a folder on another disk"
        )


def _alone(draft: Path) -> int:
    """Lock the draft, once its holder is done, and empty it."""
    while True:
        draft.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            descriptor = os.open(draft, os.O_RDONLY)
            locks.exclusive(descriptor, draft.parent, wait=True)
            with suppress(FileNotFoundError):
                if draft.stat().st_ino == os.fstat(descriptor).st_ino:
                    _empty(draft)
                    return descriptor
            os.close(descriptor)  # it was removed, or put in its place, while we waited


def _empty(draft: Path) -> None:
    for path in draft.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _put(draft: Path, folder: Path) -> None:
    old = draft.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    draft.chmod(0o755)
    draft.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _cannot(folder: Path, error: OSError) -> StorageError:
    if error.errno in FULL:
        return StorageError(
            f"{str(folder)!r} cannot be written: no room on the disk; nothing was kept, make room "
            "or choose a folder on another disk"
        )
    reason = error.strerror or str(error)
    return StorageError(f"{str(folder)!r} cannot be written: {reason}; choose another folder")
