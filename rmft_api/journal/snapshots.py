"""Snapshots of a running run: a copy of its journal, made without touching the journal itself.

The owner's lock keeps other connections out for good reason (`journal.py`), and reading files needs
no connection. SQLite changes the database file only from frames of the log, and starts the log
again (with another salt in its header) only when all of it is in the file. So a copy of the file,
then of the log, is the state at the log's last commit if the log was not started again meanwhile:
pages that were being written into the file stand in the log too, and a torn frame at its end fails
its own checksum.
"""

import shutil
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rmft_api.core.errors import ResumableError, StorageError
from rmft_api.journal.journal import FILE, Journal
from rmft_api.journal.lock import is_owned

TRIES = 50
PAUSE_S = 0.05
_HEADER = 32
"""Bytes of a log's header; the salts are among them."""


@contextmanager
def open_to_read(run_dir: Path) -> Generator[Journal]:
    """The journal of `run_dir`, to read: itself, or a snapshot while a process works on the run.

    Raises as `snapshot` and `Journal.read` do.
    """
    if is_owned(run_dir):
        with snapshot(run_dir) as journal:
            yield journal
        return
    with closing(Journal.read(run_dir)) as journal:
        yield journal


@contextmanager
def snapshot(run_dir: Path) -> Generator[Journal]:
    """The journal of `run_dir` as it is at this moment, opened to read.

    Raises ResumableError where the run writes too fast to be copied, and as `Journal.read` does.
    """
    with TemporaryDirectory(prefix="rmft-look-") as folder:
        copy = Path(folder) / run_dir.name
        copy.mkdir()
        try:
            copy_database(run_dir / FILE, copy / FILE)
        except OSError as error:
            raise StorageError(f"cannot copy {run_dir / FILE}: {error.strerror}") from error
        journal = Journal.read(copy)
        try:
            yield journal
        finally:
            journal.close()


def copy_database(source: Path, target: Path) -> None:
    """Copy a database in WAL mode, with its log, while its owner writes. Raises ResumableError."""
    log, copied_log = _log_of(source), _log_of(target)
    for _ in range(TRIES):
        before = _header(log)
        shutil.copyfile(source, target)
        copied_log.write_bytes(log.read_bytes() if log.exists() else b"")
        if before == _header(copied_log) == _header(log):
            return
        time.sleep(PAUSE_S)
    raise ResumableError(f"run {source.parent.name!r} writes too fast to be copied; try again")


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def _header(log: Path) -> bytes:
    if not log.exists():
        return b""
    with log.open("rb") as file:
        return file.read(_HEADER)
