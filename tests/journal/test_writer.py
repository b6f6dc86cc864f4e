import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmft_api.core.errors import DataError, StorageError
from rmft_api.journal.writer import GROUP, Writer

INSERT = "INSERT INTO numbers (n) VALUES (?)"


def count(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM numbers").fetchone()[0]


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (seq INTEGER PRIMARY KEY, n UNIQUE)")
    return connection


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return opened(tmp_path / "file")


@pytest.fixture
def writer(connection: sqlite3.Connection) -> Iterator[Writer]:
    writer = Writer(connection, "file")
    yield writer
    writer.close()


class Gate:
    """Holds the thread inside a piece of work, so that a group can gather behind it."""

    def __init__(self, writer: Writer) -> None:
        self._loop = asyncio.get_running_loop()
        self._inside, self._open = asyncio.Event(), asyncio.Event()
        self.done = writer.work(self._hold)

    def _hold(self, _: sqlite3.Connection) -> None:
        self._loop.call_soon_threadsafe(self._inside.set)
        asyncio.run_coroutine_threadsafe(self._open.wait(), self._loop).result()

    async def closed(self) -> None:
        await self._inside.wait()

    def open(self) -> None:
        self._open.set()


async def test_a_write_is_durable_when_its_await_returns(writer: Writer, tmp_path: Path) -> None:
    await writer.write(INSERT, (1,))
    assert count(sqlite3.connect(tmp_path / "file")) == 1


async def test_nothing_is_acknowledged_before_its_commit(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    seen_at_commit: list[str] = []
    connection.set_trace_callback(seen_at_commit.append)
    writer = Writer(connection, "file")
    write = writer.write(INSERT, (1,))
    write.add_done_callback(lambda _: seen_at_commit.append("acknowledged"))
    await write
    await asyncio.sleep(0)
    writer.close()
    assert seen_at_commit.index("COMMIT") < seen_at_commit.index("acknowledged")


async def test_what_waits_together_is_one_transaction(
    connection: sqlite3.Connection, writer: Writer
) -> None:
    gate = Gate(writer)
    await gate.closed()
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    writes = [writer.write(INSERT, (n,)) for n in range(50)]
    gate.open()
    await asyncio.gather(*writes)
    assert statements.count("COMMIT") <= 2  # the gate's own, and one for all fifty


async def test_a_group_has_a_largest_size(connection: sqlite3.Connection, writer: Writer) -> None:
    gate = Gate(writer)
    await gate.closed()
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    writes = [writer.write(INSERT, (n,)) for n in range(2 * GROUP)]
    gate.open()
    await asyncio.gather(*writes)
    assert statements.count("COMMIT") >= 2


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.integers(0, 8), max_size=40))
def test_writes_are_committed_in_order_and_a_refused_one_spoils_no_other(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    async def submit() -> tuple[list[bool], list[int]]:
        writer = Writer(opened(tmp_path_factory.mktemp("w") / "file"), "file")
        writes: list[asyncio.Future[Any]] = [
            writer.write(INSERT, (n,))
            if n % 2
            else writer.work(lambda connection, n=n: connection.execute(INSERT, (n,)).rowcount)
            for n in numbers
        ]
        results = await asyncio.gather(*writes, return_exceptions=True)
        rows = writer.work_now(
            lambda connection: connection.execute("SELECT n FROM numbers ORDER BY seq").fetchall()
        )
        writer.close()
        return [isinstance(r, sqlite3.IntegrityError) for r in results], [n for (n,) in rows]

    refused, kept = asyncio.run(submit())
    first_of_each = list(dict.fromkeys(numbers))
    assert kept == first_of_each
    assert refused == [n in numbers[:i] for i, n in enumerate(numbers)]


async def test_what_nobody_waits_for_is_durable_before_what_is_awaited_after_it(
    writer: Writer, tmp_path: Path
) -> None:
    writer.put(INSERT, (1,))
    await writer.write(INSERT, (2,))
    assert opened(tmp_path / "file").execute("SELECT n FROM numbers").fetchall() == [(1,), (2,)]


async def test_where_what_nobody_waits_for_cannot_be_saved_nothing_after_it_is(
    writer: Writer,
) -> None:
    await writer.write(INSERT, (1,))
    writer.put(INSERT, (1,))
    with pytest.raises(StorageError, match="nothing more is sent or saved"):
        await writer.write(INSERT, (2,))
    with pytest.raises(StorageError):
        await writer.work(count)


async def test_work_that_fails_half_way_leaves_nothing(writer: Writer) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, (1,))
        raise DataError("no")

    with pytest.raises(DataError):
        await writer.work(work)
    assert writer.work_now(count) == 0


async def test_a_bug_in_work_reaches_its_caller_and_the_thread_lives_on(writer: Writer) -> None:
    with pytest.raises(ZeroDivisionError):
        await writer.work(lambda _: 1 // 0)
    await writer.write(INSERT, (1,))
    assert writer.work_now(count) == 1


async def test_after_a_failed_write_nothing_more_is_accepted(
    connection: sqlite3.Connection, writer: Writer
) -> None:
    connection.execute("PRAGMA max_page_count = 3")
    with pytest.raises(StorageError, match=r"database or disk is full.*rmft-api resume"):
        await writer.write("INSERT INTO numbers (n) VALUES (zeroblob(?))", (1_000_000,))
    connection.execute("PRAGMA max_page_count = 100000")
    with pytest.raises(StorageError, match="full"):
        await writer.write(INSERT, (1,))
    with pytest.raises(StorageError, match="full"):
        writer.work_now(count)


async def test_a_full_disk_that_is_relieved_saves_what_waits_and_warns(
    connection: sqlite3.Connection,
) -> None:
    def relieve() -> bool:
        return connection.execute("PRAGMA max_page_count = 100000").fetchone() is not None

    writer = Writer(connection, "file", relieve)
    connection.execute("PRAGMA max_page_count = 3")
    gate = Gate(writer)
    await gate.closed()
    blobs = "INSERT INTO numbers (n) VALUES (zeroblob(?))"
    writes = [writer.write(blobs, (size,)) for size in (10, 100_000, 20)]
    gate.open()
    await asyncio.gather(*writes)
    await writer.write(INSERT, (1,))
    assert writer.work_now(count) == 4
    assert isinstance(writer.failing, StorageError)
    writer.close()


async def test_a_write_whose_caller_left_is_committed_all_the_same(writer: Writer) -> None:
    gate = Gate(writer)
    await gate.closed()
    write = writer.write(INSERT, (1,))
    write.cancel()
    gate.open()
    await gate.done
    assert writer.work_now(count) == 1


async def test_closing_commits_what_waits(writer: Writer, tmp_path: Path) -> None:
    writes = [writer.write(INSERT, (n,)) for n in range(100)]
    writer.close()
    assert count(sqlite3.connect(tmp_path / "file")) == 100
    await asyncio.gather(*writes)


async def test_a_closed_writer_refuses(writer: Writer) -> None:
    writer.close()
    writer.close()
    with pytest.raises(StorageError, match="closed"):
        writer.write(INSERT, (1,))
