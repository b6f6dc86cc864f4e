import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from rmft_api.core.errors import DataError, LockedError, StorageError, UsageError
from rmft_api.core.records import (
    Address,
    Message,
    Record,
    Regrets,
    Round,
    Scored,
    Split,
    Trajectory,
)
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.journal import FILE, Journal, LogEvent, stored_plays
from rmft_api.journal.reserved_space import ReservedSpace
from tests.virtual import VirtualTime


class Note(Record, frozen=True):
    """A record to keep."""

    text: str
    scores: tuple[float, ...] = ()


def played(split: Split, iteration: int, scenario: int, number: int) -> tuple[Trajectory, Scored]:
    address = Address(split, iteration, scenario, number)
    told = (Message("user", "Which button? \u2028 \U0001f600 \x00"),)
    round = Round(told, "Action: 1", "read", 1, (0.0, 1.0), (0.25, 0.5))
    regrets = Regrets(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    return (
        Trajectory(address, "m", ("red", "blue"), (round,) * 3),
        Scored(address, "pseudo", regrets, 0.5, (0, 3), 1.0),
    )


def kept(finished: list[tuple[Trajectory, Scored]]) -> list[tuple[StoredTrajectory, Scored]]:
    return [(StoredTrajectory.of(trajectory), scored) for trajectory, scored in finished]


def test_a_signal_while_a_journal_opens_ends_its_thread_before_the_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rmft_api.journal.journal.Ledger", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        Journal.create(tmp_path / "run", "{}", {})
    assert threading.active_count() == before


async def test_a_drain_ends_when_what_was_earned_is_durable(journal: Journal) -> None:
    attempt = await journal.ledger.begin("train/1/0/0/0", "chat", b"0" * 16, 0)
    journal.ledger.answered(attempt, b"[]", 0)
    assert await journal.drain(1.0) == 0
    journal.ledger.answered(attempt, b"[]", -1)  # no bill is negative: the file refuses it
    with pytest.raises(StorageError, match="nothing more is sent or saved"):
        await journal.drain(1.0)


async def test_what_was_kept_is_there_in_the_next_process(journal: Journal) -> None:
    await journal.put("iteration", "1", Note("second", (0.1, 1e300)))
    await journal.put("iteration", "0", Note("first"))
    await journal.put("iteration", "0", Note("first, corrected"))
    await journal.event("run", "began")
    journal.close()
    again = Journal.open(journal.run_dir)
    assert again.get("iteration", "1", Note) == Note("second", (0.1, 1e300))
    assert again.get("iteration", "2", Note) is None
    assert again.get("other", "1", Note) is None
    assert again.all("iteration", Note) == [
        ("0", Note("first, corrected")),
        ("1", Note("second", (0.1, 1e300))),
    ]
    assert again.run.config_json == '{"name":"trial"}'
    assert again.run.provenance == {"code": "1"}
    assert again.events() == [LogEvent(1, 1_800_000_000_000, "run", "began")]
    again.close()


async def test_plays_come_without_words_and_words_for_those_that_are_asked_for(
    journal: Journal,
) -> None:
    saved = [played("train", 1, 0, n) for n in range(3)]
    await journal.save_trajectories(kept(saved))
    for (play, score), (whole, same) in zip(journal.plays("train", 1), saved, strict=True):
        assert [(r.prompt, r.reply) for r in play.rounds] == [((), "")] * 3
        assert [r.rewards for r in play.rounds] == [r.rewards for r in whole.rounds]
        assert (play.address, score) == (whole.address, same)
    wanted = {saved[1][0].address}
    assert journal.trajectories("train", 1, wanted) == saved[1:2]
    assert list(journal.all_trajectories()) == saved


async def test_more_trajectories_than_are_read_at_once_come_in_order(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_plays, "TOGETHER", 2)
    saved = [played("train", i, s, n) for i in (1, 2) for s in (0, 10, 11) for n in range(3)]
    await journal.save_trajectories(kept(saved[::-1]))
    assert journal.trajectories("train", 1) == saved[:9]
    assert list(journal.all_trajectories()) == saved


async def test_trajectories_come_back_whole_and_in_order(journal: Journal) -> None:
    await journal.save_trajectories(kept([played("train", 1, 0, n) for n in (2, 0)]))
    await journal.save_trajectories(kept([played("train", 1, 0, 1), played("test", 1, 0, 0)]))
    await journal.save_trajectories(kept([played("train", 0, 5, 0)]))
    await journal.save_trajectories(kept([played("train", 1, 0, 1)]))
    assert journal.trajectories("train", 1) == [played("train", 1, 0, n) for n in range(3)]
    assert journal.trajectories("train", 0) == [played("train", 0, 5, 0)]
    assert journal.trajectories("validation", 0) == []


def test_only_its_owner_may_look_into_a_run(journal: Journal) -> None:
    assert stat.S_IMODE(journal.run_dir.stat().st_mode) == 0o700
    for path in journal.run_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_run_that_exists_is_not_begun_again(journal: Journal) -> None:
    journal.close()
    with pytest.raises(UsageError, match="`rmft-api resume trial`"):
        Journal.create(journal.run_dir, "{}", {})
    assert journal.run_dir.exists()


def test_a_run_that_was_never_begun_cannot_be_resumed_but_begun(run_dir: Path) -> None:
    with pytest.raises(UsageError, match="no run in"):
        Journal.open(run_dir)
    assert not run_dir.exists()
    run_dir.mkdir()
    (run_dir / FILE).touch()
    with pytest.raises(UsageError, match="never started"):
        Journal.open(run_dir)
    Journal.create(run_dir, "{}", {}).close()


def test_two_processes_cannot_own_a_run(journal: Journal) -> None:
    with pytest.raises(LockedError):
        Journal.open(journal.run_dir)
    with pytest.raises(LockedError):
        Journal.create(journal.run_dir, "{}", {})
    with pytest.raises(LockedError):
        Journal.read(journal.run_dir)


async def test_reading_changes_nothing(journal: Journal) -> None:
    await journal.put("iteration", "0", Note("first"))
    journal.close()
    before = {path.name: path.read_bytes() for path in journal.run_dir.iterdir()}
    reader, other = Journal.read(journal.run_dir), Journal.read(journal.run_dir)
    assert reader.get("iteration", "0", Note) == other.get("iteration", "0", Note) == Note("first")
    with pytest.raises(StorageError):
        await reader.put("iteration", "0", Note("changed"))
    reader.close()
    other.close()
    assert {path.name: path.read_bytes() for path in journal.run_dir.iterdir()} == before


async def test_a_killed_run_is_read_with_its_last_commits(journal: Journal, tmp_path: Path) -> None:
    await journal.put("iteration", "0", Note("only in the log"))
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in journal.run_dir.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    reader = Journal.read(copy)
    assert reader.get("iteration", "0", Note) == Note("only in the log")
    reader.close()


def test_it_is_written_as_safely_as_sqlite_can(journal: Journal) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "locking_mode", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert journal._writer.work_now(pragmas) == ["wal", 2, "exclusive", 1]  # pyright: ignore[reportPrivateUsage]
    assert not (journal.run_dir / f"{FILE}-shm").exists()


def test_a_damaged_file_is_told_and_left_alone(journal: Journal) -> None:
    journal.close()
    file = journal.run_dir / FILE
    damaged = file.read_bytes()[:4096] + b"\xff" * 8192
    file.write_bytes(damaged)
    with pytest.raises(StorageError, match="restore a copy"):
        Journal.open(journal.run_dir)
    file.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageError, match="restore a copy"):
        Journal.open(journal.run_dir)


async def test_sums_that_do_not_match_the_attempts_are_found(journal: Journal) -> None:
    await journal.ledger.set_cap(1000)
    attempt = await journal.ledger.begin("a", "chat", b"digest", 600)
    await journal.ledger.done(attempt, b"{}", 700)
    assert journal.problems() == []
    journal.close()
    with sqlite3.connect(journal.run_dir / FILE) as connection:
        connection.execute("UPDATE budget SET spent = 1 WHERE scope = 0")
    connection.close()
    again = Journal.open(journal.run_dir)
    (problem,) = again.problems()
    assert problem.startswith("budget 0 says spent 1,")
    again.close()


def test_a_journal_of_another_version_is_refused(journal: Journal) -> None:
    journal.close()
    with sqlite3.connect(journal.run_dir / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataError, match="version 99"):
        Journal.open(journal.run_dir)


def test_space_is_kept_back_while_a_run_is_owned(journal: Journal) -> None:
    ballast = journal.run_dir / "ballast"
    assert ballast.stat().st_size == ReservedSpace.SIZE
    journal.close()
    assert not ballast.exists()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot create"):
        Journal.create(tmp_path / "file" / "trial", "{}", {})


def test_a_failed_start_frees_the_run(run_dir: Path, time: VirtualTime) -> None:
    run_dir.mkdir()
    (run_dir / FILE).write_bytes(b"not a database at all" * 100)
    for _ in range(2):
        with pytest.raises(StorageError):
            Journal.create(run_dir, "{}", {})
