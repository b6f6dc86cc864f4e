"""What a person sees while a run proceeds: a progress bar on a terminal, plain lines elsewhere.

Everything here goes to stderr; results go to stdout and are written by the commands.
"""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rmft_api.core.ports import Console
from rmft_api.core.waits import Wait, clock_time
from rmft_api.session.reporting import Reporting

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Tick = Callable[[int], None]
Cost = Callable[[], float]
"""US dollars spent so far."""


def clean(text: str) -> str:
    """Model and provider text made safe to print: no control characters reach the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def console(cost: Cost) -> Console:
    """The console that fits: a bar if stderr is a terminal."""
    return _Terminal(cost) if sys.stderr.isatty() else _Plain(cost)


class _Plain:
    """A line per stage, and one every few seconds while it lasts."""

    def __init__(self, cost: Cost, every_s: float = 10.0) -> None:
        self._cost = cost
        self._every_s = every_s

    def line(self, text: str) -> None:
        print(clean(text), file=sys.stderr, flush=True)  # noqa: T201

    def stage(self, what: str) -> None:
        self.line(what)

    def waiting(self, wait: Wait | None, is_news: bool) -> None:
        if wait is not None and is_news:
            self.line(wait.in_words(time.time()))

    @contextmanager
    def playing(self, what: str, rounds: int) -> Generator[Tick]:
        start = last = time.monotonic()
        done = 0

        def tick(count: int) -> None:
            nonlocal done, last
            done += count
            now = time.monotonic()
            if now - last >= self._every_s:
                last = now
                self.line(f"{what}: {done}/{rounds} rounds, {_rate(done, now - start, rounds)}")

        yield tick
        elapsed = time.monotonic() - start
        if done:
            spent = f", ${self._cost():.2f} spent" if self._cost() else ""
            self.line(f"{what}: {done} rounds in {elapsed:.1f} s{spent}")


def _rate(done: int, elapsed_s: float, rounds: int) -> str:
    per_s = done / max(elapsed_s, 1e-9)
    return f"{per_s:.0f} rounds/s, {max(rounds - done, 0) / max(per_s, 1e-9):.0f} s left"


class _Terminal:
    """One bar at the foot of the terminal; lines scroll above it."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._shown_cost, self._shown_at = "", 0.0
        self._progress: Progress | None = None
        self._what = ""
        self._task: TaskID | None = None

    def line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(clean(text), markup=False, highlight=False)
        else:
            print(clean(text), file=sys.stderr, flush=True)  # noqa: T201

    def stage(self, what: str) -> None:
        self.line(what)

    def waiting(self, wait: Wait | None, is_news: bool) -> None:
        now = time.time()
        if wait is not None and is_news:
            self.line(wait.in_words(now))
        if self._progress is not None and self._task is not None:
            note = f" (waits until {clock_time(wait.until, now)})" if wait else ""
            self._progress.update(self._task, description=f"{self._what}{note}")

    @contextmanager
    def playing(self, what: str, rounds: int) -> Generator[Tick]:
        from rmft_api.cli.progress_bar import (
            bar,  # a terminal's own costs: 0.1 s that a pipe need not pay
        )

        with bar() as progress:
            self._progress = progress
            task = progress.add_task(what, total=rounds, cost="")
            self._what, self._task = what, task
            try:
                yield lambda count: progress.update(task, advance=count, cost=self._spent())
            finally:
                self._progress = None

    def _spent(self) -> str:
        """What was spent, looked up once a second: the journal has more to do."""
        now = time.monotonic()
        if now - self._shown_at > 1.0:
            self._shown_at = now
            self._shown_cost = f"${cost:.2f}" if (cost := self._cost()) else ""
        return self._shown_cost


def _say(text: str) -> None:
    print(clean(text), file=sys.stderr, flush=True)  # noqa: T201


REPORTING = Reporting(_say, console, handles_signals=True)
"""Where commands report."""
