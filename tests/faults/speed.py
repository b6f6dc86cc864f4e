"""Clocks that run faster, in a whole process: event loop, wall clock, sleeps.

Waits of minutes are part of the protocol (quarantine, retry pauses, time-outs). They are kept as
they are and only told by a faster clock, so nothing under test is shortened relative to the rest.
"""

import asyncio
import selectors
import sys
import time
from collections.abc import Mapping


def speed_up(factor: float) -> None:
    """Let this process live `factor` times as fast. Before anything that binds a clock."""
    if factor == 1:
        return
    _clocks(factor)
    # uvloop keeps its own time: without it asyncio's loop is used, which asks ours.
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    asyncio.events.new_event_loop = lambda: _FastLoop(factor)


def _clocks(factor: float) -> None:
    """Replace the functions of `time`: the wall clock goes on from now, faster."""
    wall, sleep, started = time.time, time.sleep, time.time()

    def patient(seconds: float) -> None:
        sleep(seconds / factor)

    time.time = lambda: started + (wall() - started) * factor
    time.sleep = patient


class _PatientSelector(selectors.DefaultSelector):
    """Waits real seconds for virtual ones."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self._factor)


class _FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds are short."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        super().__init__(_PatientSelector(factor))

    def time(self) -> float:
        return super().time() * self._factor


def from_environment(environ: Mapping[str, str]) -> float:
    """The factor that a test asked for."""
    return float(environ.get("RMFT_FAULTS_SPEED", "1"))
