"""What a run waits for, so that no wait is silent.

A wait longer than `TELL_S` is announced, with its reason and end; `Waits` hands the wait that ends
last to one listener, which shows it (a line, the bar, `status.json`). Hundreds of requests that
meet the same limit are one wait: a line is only worth saying when it says something new.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

TELL_S = 5.0
"""Seconds below which a wait is nobody's news."""
_NEWER = 0.1
"""Share of a wait by which its end must move until that is news."""
_LONGEST_TEXT = 300


class Wait(NamedTuple):
    """One thing that is waited for."""

    what: str
    until: float
    """UTC seconds: when the wait ends, or is given up."""

    def in_words(self, now: float) -> str:
        """E.g. `waits until 12:34:56 (327 s): openai did not answer a chat: HTTP 429`."""
        return f"waits until {clock_time(self.until, now)} ({_span(self.until - now)}): {self.what}"


Listener = Callable[[Wait | None, bool], None]
"""Takes the wait that ends last (None: nothing is waited for) and whether that is news."""


def _nobody(wait: Wait | None, is_news: bool) -> None:
    pass


class Waits:
    """The waits of one run. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], float], listener: Listener = _nobody) -> None:
        self._clock = clock
        self._listener = listener
        self._current: dict[object, Wait] = {}
        self._reported: Wait | None = None

    def now(self) -> float:
        """UTC seconds, by the clock that waits are measured with."""
        return self._clock()

    def begin(self, key: object, what: str, until: float) -> None:
        """`key` waits from now on. Short waits are not shown; a key that waits already is moved."""
        if until - self._clock() < TELL_S and key not in self._current:
            return
        text = " ".join(what.split())
        text = text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
        self._current[key] = Wait(text, until)
        self._changed()

    def end(self, key: object) -> None:
        """`key` waits no longer; nothing happens where it did not."""
        wait = self._current.pop(key, None)
        if wait is None:
            return
        if wait == self._reported:
            last = self._last()
            self._reported = last if last and self._is_alike(last, wait) else None
        self._changed()

    @contextmanager
    def waiting(self, what: str, until: float) -> Generator[None]:
        """Wait for the length of the block."""
        key = object()
        self.begin(key, what, until)
        try:
            yield
        finally:
            self.end(key)

    def _last(self) -> Wait | None:
        return max(self._current.values(), key=lambda wait: wait.until, default=None)

    def _changed(self) -> None:
        last = self._last()
        is_news = last is not None and self._is_news(last)
        if is_news:
            self._reported = last
        self._listener(last, is_news)

    def _is_news(self, wait: Wait) -> bool:
        """Whether it ends well after what was shown last, or that has passed."""
        reported = self._reported
        if reported is None or reported.until <= self._clock():
            return True
        return wait.until > reported.until and not self._is_alike(wait, reported)

    def _is_alike(self, one: Wait, other: Wait) -> bool:
        margin = max(TELL_S, _NEWER * (other.until - self._clock()))
        return abs(one.until - other.until) <= margin


def clock_time(at: float, now: float) -> str:
    """A time of day in this machine's zone, with its date where that is another one."""
    then, today = (datetime.fromtimestamp(t).astimezone() for t in (at, now))
    return f"{then:%H:%M:%S}" if then.date() == today.date() else f"{then:%Y-%m-%d %H:%M}"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 600:
        return f"{whole} s"
    return f"{whole / 60:.0f} min" if whole < 5400 else f"{whole / 3600:.1f} h"
