"""What a training leaves behind so that it can be taken up after a crash.

TRL's checkpoints (`checkpoint-N`: adapter, optimiser, random states) under the job's scratch
folder. A file written last says that one is whole; a torn one is never taken up.
"""

import shutil
from pathlib import Path

from rmft_api.core.files import fsync_directory

WHOLE = "whole"
"""Name of the file that is written last."""
KEPT = 2
"""Checkpoints on the disk: while one is written, the one before it still holds."""
_PREFIX = "checkpoint-"


def folder(scratch: Path, step: int) -> Path:
    """Where the checkpoint after `step` is."""
    return scratch / f"{_PREFIX}{step}"


def mark_whole(path: Path) -> None:
    """Say that everything in a checkpoint's folder is there."""
    for part in path.rglob("*"):
        if part.is_file():
            fsync_directory(part)
    (path / WHOLE).touch()
    fsync_directory(path)


def last_step(scratch: Path) -> int:
    """The step to continue after; 0 where there is nothing whole."""
    return max((_step(path.parent) for path in scratch.glob(f"{_PREFIX}*/{WHOLE}")), default=0)


def sweep(scratch: Path) -> None:
    """Remove what is torn."""
    for path in scratch.glob(f"{_PREFIX}*"):
        if not (path / WHOLE).exists():
            shutil.rmtree(path)


def _step(path: Path) -> int:
    number = path.name.removeprefix(_PREFIX)
    return int(number) if number.isdigit() else 0
