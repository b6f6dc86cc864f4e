import subprocess
import sys
from pathlib import Path

import pytest

from rmft_api.core.errors import LockedError, StorageError
from rmft_api.journal.lock import RunLock

HOLD = """
import sys, pathlib
from rmft_api.journal.lock import RunLock
RunLock.own(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"in use by process {holder.pid};"):
            RunLock.own(tmp_path)
        with pytest.raises(LockedError):
            RunLock.share(tmp_path)
        holder.kill()
        holder.wait()
        RunLock.own(tmp_path).release()  # free at once, although it was killed


def test_readers_share_and_keep_owners_out(tmp_path: Path) -> None:
    RunLock.own(tmp_path).release()
    one, two = RunLock.share(tmp_path), RunLock.share(tmp_path)
    one.release()
    with pytest.raises(LockedError):
        RunLock.own(tmp_path)
    two.release()
    RunLock.own(tmp_path).release()


def test_releasing_twice_closes_nobody_elses_file(tmp_path: Path) -> None:
    lock = RunLock.own(tmp_path)
    lock.release()
    with (tmp_path / "other").open("w") as other:
        lock.release()
        other.write("still open")


def test_a_directory_without_a_lock_is_read_without_making_one(tmp_path: Path) -> None:
    RunLock.share(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"run\.lock"):
        RunLock.own(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
