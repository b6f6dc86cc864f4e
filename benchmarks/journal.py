"""What the journal costs: calls booked and answered, so many under way, as a run books them.

    python benchmarks/journal.py [--calls 40000]

Every call is two rows (reserved before it is sent, settled after), both durable before anybody goes
on. A commit is one fsync of the log; checkpoints add two for each thousand pages.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from rmft_api.cli.errors import run_async
from rmft_api.journal import Journal
from rmft_api.journal.ledger import digest_of

ANSWER = b'{"id":"chatcmpl-1","choices":[{"content":"The first looks best.","n":0}]}' * 3
WIDTHS = (1, 16, 200, 1000)


async def booked(folder: Path, calls: int, width: int) -> str:
    """A line of the table."""
    journal = Journal.create(folder / str(width), "{}", {})
    await journal.ledger.set_cap(10**12)
    commits = counted(journal)
    numbers = iter(range(calls))

    async def work() -> None:
        for number in numbers:
            key = f"train/1/{number // 25}/0/{number % 25}"
            attempt = await journal.ledger.begin(key, "chat", digest_of(key.encode()), 100)
            await journal.ledger.done(attempt, ANSWER, 60)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(width)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    journal.close()
    made = commits()
    return (
        f"| {width} | {2 * calls / wall:,.0f} | {1e6 * cpu / 2 / calls:.0f} | "
        f"{2 * calls / made:.1f} | {made / wall:.0f} |"
    )


def counted(journal: Journal) -> Callable[[], int]:
    """How many transactions were committed since."""
    writer, groups = journal._writer, count()
    transact = writer._transact

    def counting(units: list[Any]) -> None:
        next(groups)
        transact(units)

    writer._transact = counting
    return lambda: next(groups)


async def main() -> None:
    """Print a row for each width."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=40_000)
    calls = parser.parse_args().calls
    print(f"SQLite {sqlite3.sqlite_version}")
    print("| under way | rows/s | CPU us a row | rows a commit | commits (fsyncs)/s |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for width in WIDTHS:
            some = min(calls, 100 * width)
            print(await booked(Path(folder), some, width), flush=True)


if __name__ == "__main__":
    run_async(main())
