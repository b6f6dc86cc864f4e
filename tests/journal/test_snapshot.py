"""A run that goes on can be looked into without touching it."""

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from rmft_api.core.errors import LockedError, ResumableError
from rmft_api.journal import Journal, snapshot, snapshots
from tests.virtual import VirtualTime


@pytest.fixture
def owned(run_dir: Path, time: VirtualTime) -> Journal:
    return Journal.create(run_dir, '{"name":"trial"}', {"code": "1"}, clock=time.clock)


async def test_what_is_committed_is_seen_while_the_owner_works(
    owned: Journal, run_dir: Path
) -> None:
    await owned.put("model", "00", "base")
    with pytest.raises(LockedError):
        Journal.read(run_dir)
    before = sorted(path.name for path in run_dir.iterdir())
    with snapshot(run_dir) as seen:
        assert seen.all("model", str) == [("00", "base")]
        assert seen.run == owned.run
        assert seen.problems() == []
    assert sorted(path.name for path in run_dir.iterdir()) == before
    await owned.put("model", "01", "next")
    with snapshot(run_dir) as seen:
        assert len(seen.all("model", str)) == 2
    owned.close()


async def test_every_look_at_a_busy_run_is_sound(owned: Journal, run_dir: Path) -> None:
    """Numbers are written in order; a look holds the first n of them, whatever n is."""
    looks: list[int] = []
    sound: list[bool] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            with snapshot(run_dir) as seen:
                found = [int(key) for key, _ in seen.all("number", str)]
                sound.append(found == list(range(len(found))) and not seen.problems())
                looks.append(len(found))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for number in range(1_500):
            await owned.put("number", f"{number:05}", "x" * 3_000)
    finally:
        ended.set()
        thread.join()
    owned.close()
    assert all(sound)
    assert looks == sorted(looks)
    assert len(set(looks)) > 1


def test_a_log_that_was_started_anew_meanwhile_is_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first copy of the file is older than its log: together they would be no database."""
    source, target = tmp_path / "source", tmp_path / "target"
    owner = sqlite3.connect(source, isolation_level=None)
    owner.execute("PRAGMA journal_mode = WAL")
    owner.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, text TEXT)")

    def write(count: int) -> None:
        for _ in range(count):
            owner.execute("INSERT INTO numbers (text) VALUES (?)", ("x" * 3_000,))

    def copied_too_early(src: Path, dst: Path) -> None:
        dst.write_bytes(src.read_bytes())
        if written.pop():
            write(50)
            owner.execute("PRAGMA wal_checkpoint(RESTART)")
            write(1)

    written = [False, True]
    write(20)
    monkeypatch.setattr(shutil, "copyfile", copied_too_early)
    snapshots.copy_database(source, target)
    with closing(sqlite3.connect(target)) as seen:
        assert seen.execute("SELECT count(*) FROM numbers").fetchone() == (71,)
        assert seen.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    owner.close()
    assert written == []


def test_a_log_that_is_always_new_is_given_up(
    owned: Journal, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = iter(range(1_000))

    def another(log: Path) -> bytes:
        return b"%d" % next(headers)

    monkeypatch.setattr(snapshots, "_header", another)
    monkeypatch.setattr(snapshots, "PAUSE_S", 0)
    with pytest.raises(ResumableError, match="too fast"), snapshot(run_dir):
        pass
    owned.close()
