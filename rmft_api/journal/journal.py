"""The journal of a run: one SQLite file, the truth about what came back from outside.

The run itself is a deterministic program. Asked again after a crash, the journal answers instead of
the network, and everything else is computed again (docs/design.md 4).

One connection owns the file, with SQLite's exclusive lock: versions before 3.51.3 can damage a
write-ahead log that two connections share. A live run is watched through what its owner exports;
`Journal.read` is for runs that no process owns, and leaves their directory as it was.
"""

import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from rmft_api.core import serialization
from rmft_api.core.errors import DataError, StorageError, UsageError
from rmft_api.core.fault_points import fault_point
from rmft_api.core.files import fsync_directory, make_directory
from rmft_api.core.records import Address, Record, Scored, Split
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.journal import schema, stored_plays
from rmft_api.journal.in_flight import InFlight
from rmft_api.journal.ledger import Ledger
from rmft_api.journal.lock import RunLock
from rmft_api.journal.reserved_space import ReservedSpace
from rmft_api.journal.stored_plays import Played
from rmft_api.journal.writer import Writer

T = TypeVar("T")
Clock = Callable[[], float]
FILE = "journal.sqlite"

_PRAGMAS = (
    "PRAGMA locking_mode = EXCLUSIVE",  # before the log is first touched: then it needs no -shm
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
_RUN = "INSERT INTO run (id, created, config, provenance) VALUES (1, ?, ?, ?)"
_PUT = """INSERT INTO records (kind, key, payload) VALUES (?, ?, ?)
  ON CONFLICT (kind, key) DO UPDATE SET payload = excluded.payload"""
_UNEQUAL = """SELECT scope, spent, reserved FROM budget WHERE
  (spent, reserved, excess) IS NOT (
    SELECT coalesce(sum(spent), 0), coalesce(sum(reserved), 0), coalesce(sum(excess), 0)
    FROM attempts WHERE budget.scope IN (-1, attempts.iteration))"""
_FORGET = "DELETE FROM records WHERE kind = ? AND key = ?"
_UNPLAY = "DELETE FROM trajectories WHERE split = ? AND iteration = ?"
_EVENT = "INSERT INTO events (at, kind, text) VALUES (?, ?, ?)"


class RunRow(Record, frozen=True):
    """What a run was started with."""

    created: int
    """UTC milliseconds."""
    config_json: str
    provenance: dict[str, str]
    """Hashes and versions, as the caller named them."""


class LogEvent(Record, frozen=True):
    """A line of the run's log, for people."""

    seq: int
    at: int
    """UTC milliseconds."""
    kind: str
    text: str


class Journal:
    """An open journal: start one with `create`, continue with `open`, look into one with `read`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        run_dir: Path,
        clock: Clock = time.time,
        relieve: Callable[[], bool] = lambda: False,
    ) -> None:
        self.run_dir = run_dir
        self._clock = clock
        self._held = ExitStack()
        self._writer = Writer(connection, str(run_dir / FILE), relieve)
        try:
            self.run = self._writer.work_now(_read_run)
            self.ledger = Ledger(self._writer, run_dir.name, clock)
        except BaseException:  # a signal, too: the file must stay open under its thread
            self._writer.close()
            raise
        self.in_flight = InFlight()
        self._plays = stored_plays.TrajectoryReader(self._writer.work_now)

    @classmethod
    def create(
        cls,
        run_dir: Path,
        config_json: str,
        provenance: Mapping[str, str],
        *,
        clock: Clock = time.time,
    ) -> Self:
        """Begin a run. Raises UsageError if it exists, LockedError, StorageError."""
        make_directory(run_dir)
        provenance_json = msgspec.json.encode(dict(provenance)).decode()
        row = (int(clock() * 1000), config_json, provenance_json)
        return cls._own(run_dir, clock, lambda connection: _begin_run(connection, run_dir, row))

    @classmethod
    def open(cls, run_dir: Path, *, clock: Clock = time.time) -> Self:
        """Own an existing run. Raises UsageError if there is none, LockedError, StorageError."""
        _require(run_dir)
        return cls._own(run_dir, clock, lambda connection: _check(connection, run_dir))

    @classmethod
    def _own(
        cls, run_dir: Path, clock: Clock, prepare: Callable[[sqlite3.Connection], None]
    ) -> Self:
        """The lock first, then everything else; what fails lets go of all of it."""
        with ExitStack() as held:
            held.callback(RunLock.own(run_dir).release)
            fault_point("run.locked")
            connection = held.enter_context(closing(_connect(run_dir / FILE)))
            prepare(connection)
            fault_point("run.opened")
            reserved = ReservedSpace(run_dir)
            reserved.load()
            held.callback(reserved.drop)
            journal = cls(connection, run_dir, clock, reserved.drop)
            journal._held = held.pop_all()
        return journal

    @classmethod
    def read(cls, run_dir: Path) -> Self:
        """Open a run that no process owns; writing fails. Raises as `open` does."""
        _require(run_dir)
        with ExitStack() as held:
            held.callback(RunLock.share(run_dir).release)
            connection = held.enter_context(closing(_connect_to_read(run_dir / FILE)))
            _check(connection, run_dir)
            journal = cls(connection, run_dir)
            journal._held = held.pop_all()
        return journal

    def close(self) -> None:
        """Commit what waits, fold the log into the file, free the run. Idempotent."""
        self._writer.close()
        self._held.close()

    async def drain(self, within_s: float) -> int:
        """Wait until requests under way have ended and what they earned is durable.

        After `within_s` those left are cancelled; their number. Raises StorageError.
        """
        late = await self.in_flight.drain(within_s)
        await self._writer.work(lambda connection: None)
        return late

    def problems(self) -> list[str]:
        """What is wrong with the file or its sums; empty for a sound journal."""
        return self._writer.work_now(_problems)

    async def save_trajectories(self, finished: Iterable[tuple[StoredTrajectory, Scored]]) -> None:
        """Keep finished trajectories, all or none."""
        rows = [stored_plays.row(kept, scored) for kept, scored in finished]
        await self._writer.write_all(stored_plays.SAVE, rows)
        fault_point("trajectories.saved")

    def trajectories(
        self, split: Split, iteration: int, among: Container[Address] | None = None
    ) -> list[Played]:
        """An iteration's finished trajectories (`among` some) by scenario, then trajectory."""
        return list(self._plays.whole(split, iteration, among))

    def plays(self, split: Split, iteration: int) -> Iterator[Played]:
        """The same without a word: prompts and replies are empty. One by one, as they are read."""
        return self._plays.silent(split, iteration)

    def all_trajectories(self) -> Iterator[Played]:
        """Every finished trajectory, by split, iteration, scenario and trajectory."""
        return self._plays.whole()

    async def put(self, kind: str, key: str, record: object) -> None:
        """Keep a record under (kind, key), in place of an earlier one."""
        await self._writer.write(_PUT, (kind, key, serialization.encode(record)))
        fault_point(f"{kind}.saved")

    def get(self, kind: str, key: str, returns: type[T]) -> T | None:
        """The record under (kind, key)."""
        sql = "SELECT payload FROM records WHERE kind = ? AND key = ?"
        found = self._writer.work_now(
            lambda connection: connection.execute(sql, (kind, key)).fetchone()
        )
        return None if found is None else serialization.decode(found[0], returns)

    def all(self, kind: str, returns: type[T]) -> list[tuple[str, T]]:
        """All records of a kind with their keys, in the keys' order."""
        sql = "SELECT key, payload FROM records WHERE kind = ? ORDER BY key"
        rows = self._writer.work_now(lambda connection: connection.execute(sql, (kind,)).fetchall())
        return [(key, serialization.decode(payload, returns)) for key, payload in rows]

    async def forget(self, kind: str, key: str) -> None:
        """Keep no record under (kind, key) any more."""
        await self._writer.write(_FORGET, (kind, key))

    async def set_aside(self, split: Split, iteration: int) -> int:
        """Let a split be played and asked again: its plays are dropped, its replies count no more.

        What was asked and what it cost stays. How many requests these were.
        """
        await self._writer.write(_UNPLAY, (split, iteration))
        return await self.ledger.set_aside(f"{split}/{iteration}/")

    async def event(self, kind: str, text: str) -> None:
        """Add a line to the run's log."""
        await self._writer.write(_EVENT, (int(self._clock() * 1000), kind, text))

    def events(self) -> list[LogEvent]:
        """The run's log."""
        sql = "SELECT seq, at, kind, text FROM events ORDER BY seq"
        rows = self._writer.work_now(lambda connection: connection.execute(sql).fetchall())
        return [LogEvent(*row) for row in rows]


def _require(run_dir: Path) -> None:
    if not (run_dir / FILE).exists():
        raise UsageError(f"no run in {str(run_dir)!r}; `rmft-api run` starts one")


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Without a log to recover, the file is opened as if on a read-only disk."""
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    uri = f"{path.resolve().as_uri()}?{mode}"
    try:
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _begin_run(connection: sqlite3.Connection, run_dir: Path, row: tuple[int, str, str]) -> None:
    """Make the tables and the run's row, both or neither."""
    run = run_dir.name
    try:
        _refuse_foreign(connection, run_dir)
        if connection.execute("PRAGMA user_version").fetchone()[0] != 0:
            raise UsageError(
                f"run {run!r} exists; `rmft-api resume {run}` continues it, or choose another name"
            )
        connection.execute("BEGIN")
        schema.create(connection)
        connection.execute(_RUN, row)
        fault_point("run.creating")
        connection.execute("COMMIT")
        fsync_directory(run_dir)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"cannot write {run_dir / FILE}: {error}; free some space, then try again"
        ) from error


def _check(connection: sqlite3.Connection, run_dir: Path) -> None:
    """Refuse a damaged file, one that was never started, and one of another version."""
    path = run_dir / FILE
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        _refuse_foreign(connection, run_dir)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    if verdict != "ok":
        raise _unusable(path, verdict)
    if version == 0:
        raise UsageError(f"run {run_dir.name!r} was never started; start it with `rmft-api run`")
    if version != schema.VERSION:
        raise DataError(
            f"{path} has version {version}, this rmft-api reads {schema.VERSION}; "
            "use the rmft-api that wrote it"
        )


def _refuse_foreign(connection: sqlite3.Connection, run_dir: Path) -> None:
    """Raise UsageError for another program's database: its tables are not a run's."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master LIMIT 100")]
    if tables and "run" not in tables:
        raise UsageError(
            f"{str(run_dir)!r} is not a run: its {FILE} is another program's database "
            f"(table {min(tables)!r}); choose another name"
        )


def _unusable(path: Path, why: object) -> StorageError:
    return StorageError(
        f"cannot use {path}: {why}; check the disk and permissions, or restore a copy"
    )


def _read_run(connection: sqlite3.Connection) -> RunRow:
    created, config, provenance = connection.execute(
        "SELECT created, config, provenance FROM run"
    ).fetchone()
    return RunRow(created, config, msgspec.json.decode(provenance, type=dict[str, str]))


def _problems(connection: sqlite3.Connection) -> list[str]:
    damage = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
    return damage + [
        f"budget {scope} says spent {spent}, reserved {reserved}; its attempts say otherwise"
        for scope, spent, reserved in connection.execute(_UNEQUAL)
    ]
