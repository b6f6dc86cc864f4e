"""What a client process used between two moments. Standard library alone: any interpreter runs it.

A client prints one JSON line, a `Reading`, and whoever started it reads that.
"""

import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

LAG_EVERY_S = 0.01


@dataclass(frozen=True)
class Reading:
    """One timed stretch of a client."""

    calls: int
    cpu_s: float
    """User and system time of the process, all its threads."""
    wall_s: float
    rss_mb: float
    """The most that the process ever held."""
    lag_p99_ms: float | None = None
    """How late the event loop came back from a short sleep; None: not measured."""
    own_lag_p99_ms: float | None = None
    """The part of it that the loop's own thread worked; the rest it waited for a core."""
    rounds: int = 0
    """Decisions, where they are not the calls."""


@dataclass(frozen=True)
class Load:
    """What a client is to do."""

    url: str
    calls: int
    concurrency: int
    warm: int
    """Calls before the timed ones."""
    chat: list[dict[str, str]]
    lag: bool = False


def tell(reading: Reading) -> None:
    """Print a reading."""
    print(json.dumps(asdict(reading)))


async def take(
    calls: int, work: Callable[[], Awaitable[None]], *, lag: bool = False, rounds: int = 0
) -> Reading:
    """Run `work` and read what it used."""
    late: list[tuple[float, float]] = []
    watch = asyncio.create_task(_watch(late)) if lag else None
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if watch:
        watch.cancel()
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    p99, own = (_p99_ms(times) for times in zip(*late, strict=True)) if late else (None, None)
    return Reading(calls, cpu, wall, most_mb, p99, own, rounds)


async def at_once(count: int, concurrency: int, call: Callable[[], Awaitable[None]]) -> None:
    """Make `count` calls, `concurrency` under way."""
    left: Iterator[int] = iter(range(count))

    async def work() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(work() for _ in range(concurrency)))


def _p99_ms(times_s: Sequence[float]) -> float:
    return 1e3 * sorted(times_s)[int(0.99 * len(times_s))]


async def _watch(late: list[tuple[float, float]]) -> None:
    while True:
        start, worked = time.perf_counter(), time.thread_time()
        await asyncio.sleep(LAG_EVERY_S)
        over = time.perf_counter() - start - LAG_EVERY_S
        late.append((over, min(max(over, 0.0), time.thread_time() - worked)))
