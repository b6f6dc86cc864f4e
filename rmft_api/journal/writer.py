"""The thread that owns the journal's connection, and commits in groups.

Whatever waits when the thread is free becomes one transaction: an idle journal commits at once, a
busy one pays one fsync for many rows. Nothing is acknowledged before its COMMIT has returned, and
nothing is durable without all that was submitted before it. Work that breaks a constraint is undone
and reported alone; any other error of the database is fatal, because after a failed write nobody
knows what the disk holds.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby
from operator import attrgetter
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar, cast

from rmft_api.core.errors import StorageError
from rmft_api.core.fault_points import fault_point

T = TypeVar("T")
Value = int | str | bytes | None
Work = Callable[[sqlite3.Connection], T]
GROUP = 256
"""Most units in one transaction, so that no caller waits behind an endless one."""
_BUSY, _GATHER_S = 8, 0.008
"""After a group of so many units the next one is given this long to come together: a transaction
costs the same for one row as for two hundred."""
_AT_A_TIME = 16
"""Callers woken in one turn of the event loop, so that a group does not hold up all others."""
_MOST_ROWS, _STEP = 64, 8
"""Rows that go into one statement: so many at most, and multiples of the step, or fewer."""
_TAKES_MANY = sqlite3.sqlite_version_info >= (3, 33)
"""Whether SQLite's UPDATE takes more than one row."""


class RowStatement(NamedTuple):
    """A statement that takes many rows at a time.

    SQLite works without the interpreter's lock for as long as a statement takes; row by row it
    would have to be taken again for each.
    """

    one: str
    """The statement for one row."""
    many: str
    """The same for several; `{rows}` is where they stand."""
    row: str
    """A row in it."""

    def run(self, connection: sqlite3.Connection, rows: Sequence[Sequence[Value]]) -> None:
        """All rows, in their order."""
        if not _TAKES_MANY:
            connection.executemany(self.one, rows)
            return
        start = 0
        while start < len(rows):
            size = _size(len(rows) - start)
            some = rows[start : start + size]
            connection.execute(_of(self, size), list(chain.from_iterable(some)))
            start += size


def _size(left: int) -> int:
    """Rows of the next statement: of few sizes, because SQLite keeps each of them ready."""
    return left if left < _STEP else min(_MOST_ROWS, left - left % _STEP)


@lru_cache
def _of(rows: RowStatement, count: int) -> str:
    """The same text each time, so that SQLite knows it again."""
    return rows.many.format(rows=", ".join([rows.row] * count))


@dataclass(slots=True, eq=False)
class _Unit:
    """Rows of one statement or one piece of work, all or none, and who waits for it."""

    waiter: "asyncio.Future[Any] | Future[Any] | None"
    sql: str | RowStatement = ""
    rows: Sequence[Sequence[Value]] = ()
    work: Work[Any] | None = None
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs statements on the connection's own thread.

    `name` is what errors call the file. `relieve` is asked for room when the disk is full; with
    some, what waits is saved, and `failing` says that nothing new should start.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        relieve: Callable[[], bool] = lambda: False,
    ) -> None:
        self.failing: StorageError | None = None
        self._connection = connection
        self._name = name
        self._relieve = relieve
        self._queue: SimpleQueue[_Unit | None] = SimpleQueue()
        self._broken: StorageError | None = None
        self._closed = False
        self._last = 0
        self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
        self._thread.start()

    def write(self, sql: str | RowStatement, row: Sequence[Value]) -> "asyncio.Future[None]":
        """One statement, durable once awaited. Those of the same text run as one."""
        return self.write_all(sql, (row,))

    def write_all(
        self, sql: str | RowStatement, rows: Sequence[Sequence[Value]]
    ) -> "asyncio.Future[None]":
        """A statement for each row, all or none."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._submit(_Unit(waiter, sql, rows))
        return waiter

    def put(self, sql: str | RowStatement, row: Sequence[Value]) -> None:
        """One statement that no caller waits for: durable before whatever is submitted after it.

        Where it cannot be done, nothing after it is done either.
        """
        self._submit(_Unit(None, sql, (row,)))

    def work(self, work: Work[T]) -> "asyncio.Future[T]":
        """Several statements, all or none. May be run twice, so it must do nothing else."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._submit(_Unit(waiter, work=work))
        return waiter

    def work_now(self, work: Work[T]) -> T:
        """As `work`, for callers that are not coroutines: blocks, a few milliseconds at most."""
        waiter: Future[T] = Future()
        self._submit(_Unit(waiter, work=work))
        return waiter.result()

    def close(self) -> None:
        """Commit what waits, and end the thread. Idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()
            self._connection.close()

    def _submit(self, unit: _Unit) -> None:
        if self._closed:
            raise StorageError(f"{self._name} is closed; nothing more can be read or saved")
        self._queue.put(unit)

    def _serve(self) -> None:
        more = True
        while more:
            units, more = self._next_group()
            self._last = len(units)
            self._commit(units)
            _answer(units)

    def _next_group(self) -> tuple[list[_Unit], bool]:
        """Wait for a unit and take all that wait with it; False once closing was asked."""
        units: list[_Unit] = []
        unit = self._queue.get()
        if self._last > _BUSY and self._queue.qsize() < self._last:
            time.sleep(_GATHER_S)
        while unit is not None:
            units.append(unit)
            if len(units) == GROUP or self._queue.empty():
                return units, True
            unit = self._queue.get()
        return units, False

    def _commit(self, units: list[_Unit]) -> None:
        if self._broken is not None:
            _fail(units, self._broken)
            return
        try:
            self._transact(units)
        except BaseException as error:  # noqa: BLE001 - handed on to the unit's waiter
            self._undo(units, error)

    def _undo(self, units: list[_Unit], error: BaseException) -> None:
        database_failed = isinstance(error, sqlite3.Error)
        if database_failed and not isinstance(error, sqlite3.IntegrityError):
            self.failing = self._failure(error)
            if not (_is_full(error) and self._relieve() and self._repeat(units)):
                self._broken = self.failing
                _fail(units, self.failing)
            return
        self._connection.execute("ROLLBACK")
        if len(units) == 1:
            if units[0].waiter is None:
                self._broken = self._failure(error)
            _fail(units, error)
            return
        for unit in units:
            self._commit([unit])

    def _transact(self, units: list[_Unit]) -> None:
        self._connection.execute("BEGIN")
        for sql, group in _statements(units):
            if sql:
                _run(self._connection, sql, [row for unit in group for row in unit.rows])
            else:
                for unit in group:
                    unit.result = cast("Work[Any]", unit.work)(self._connection)
        fault_point("journal.commit")
        self._connection.execute("COMMIT")
        fault_point("journal.committed")

    def _repeat(self, units: list[_Unit]) -> bool:
        """Run a group again: without room it was undone as a whole, and the disk is sound."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._transact(units)
        except sqlite3.Error:
            return False
        return True

    def _failure(self, error: BaseException) -> StorageError:
        failure = StorageError(
            f"cannot write {self._name}: {error}; nothing more is sent or saved. "
            "Free space or repair the disk, then `rmft-api resume` continues from the last commit"
        )
        failure.__cause__ = error
        return failure


def _statements(units: Sequence[_Unit]) -> Iterator[tuple[str | RowStatement, Iterable[_Unit]]]:
    """Statements that run together, in order; neighbouring `RowStatement`s are grouped.

    None of them reads what another of its transaction writes, but for what is left of a budget;
    where that refuses one, the group is undone, and each is done by itself, in order.
    """
    for many, some in groupby(units, _is_of_rows):
        if many:
            alike: dict[str | RowStatement, list[_Unit]] = {}
            for unit in some:
                alike.setdefault(unit.sql, []).append(unit)
            yield from alike.items()
        else:
            yield from groupby(some, attrgetter("sql"))


def _is_of_rows(unit: _Unit) -> bool:
    return isinstance(unit.sql, RowStatement)


def _run(
    connection: sqlite3.Connection, sql: str | RowStatement, rows: Sequence[Sequence[Value]]
) -> None:
    if isinstance(sql, RowStatement):
        sql.run(connection, rows)
    else:
        connection.executemany(sql, rows)


def _is_full(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _fail(units: list[_Unit], error: BaseException) -> None:
    for unit in units:
        unit.error = error


def _answer(units: list[_Unit]) -> None:
    """Wake the waiters: one call into the event loop for the whole group."""
    waiting: deque[_Unit] = deque()
    loop: asyncio.AbstractEventLoop | None = None
    for unit in units:
        if isinstance(unit.waiter, Future):
            _settle(unit)
        elif unit.waiter is not None:
            loop = loop or unit.waiter.get_loop()
            waiting.append(unit)
    if loop:
        with suppress(RuntimeError):  # the loop is closed: no caller waits any more
            loop.call_soon_threadsafe(_settle_some, loop, waiting)


def _settle_some(loop: asyncio.AbstractEventLoop, waiting: deque[_Unit]) -> None:
    for _ in range(min(_AT_A_TIME, len(waiting))):
        _settle(waiting.popleft())
    if waiting:
        loop.call_soon(_settle_some, loop, waiting)


def _settle(unit: _Unit) -> None:
    waiter = unit.waiter
    if waiter is None or waiter.done():  # its caller was cancelled
        return
    if unit.error is not None:
        waiter.set_exception(unit.error)
    else:
        waiter.set_result(unit.result)
