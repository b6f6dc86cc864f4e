"""Files and directories of our own: private, and replaced whole or not at all."""

import os
from pathlib import Path

from rmft_api.core.errors import StorageError
from rmft_api.core.fault_points import fault_point


def make_directory(path: Path) -> None:
    """Create `path` and its parents, readable by their owner alone. Raises StorageError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot create {path}: {error.strerror}; check the directory and its permissions"
        ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` so that readers and crashes meet the old file or the new. StorageError."""
    if not path.name:  # "." or "/"
        raise StorageError(f"cannot write {path}: it is a folder; name a file in it")
    draft = path.with_name(f".{path.name}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fault_point(f"{path.stem}.drafted")
        draft.replace(path)
        fsync_directory(path.parent)
        fault_point(f"{path.stem}.replaced")
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; check its folder, its permissions and the "
            "space left, then try again"
        ) from error


def fsync_directory(path: Path) -> None:
    """Wait until a file's bytes, or a directory's names, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
