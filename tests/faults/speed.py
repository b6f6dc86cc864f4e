"""Clocks that run faster, in a whole process: event loop, wall clock, sleeps.

Waits of minutes are part of the protocol (quarantine, retry pauses, time-outs). They are kept as
they are and only told by a faster clock, so nothing under test is shortened relative to the rest.
"""

import asyncio
import selectors
import sys
import time
from collections.abc import Mapping


def speed_up(factor: float, epoch: float) -> None:
    """Let this process live `factor` times as fast since `epoch`. Before anything binds a clock.

    All processes of a run share the epoch, or their clocks would step back from one to the next.
    """
    if factor == 1 or "uvloop" in sys.modules:
        return  # real clocks, or this was done before
    _clocks(factor, epoch)
    # uvloop keeps its own time: without it asyncio's loop is used, which asks ours.
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    asyncio.events.new_event_loop = lambda: _FastLoop(factor)


def _clocks(factor: float, epoch: float) -> None:
    """Replace the functions of `time`: the wall clock goes on from the epoch, faster."""
    wall, sleep = time.time, time.sleep

    def patient(seconds: float) -> None:
        sleep(seconds / factor)

    time.time = lambda: epoch + (wall() - epoch) * factor
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


def from_environment(environ: Mapping[str, str]) -> None:
    """Speed up as a test asked for: RMFT_FAULTS_SPEED, RMFT_FAULTS_EPOCH."""
    factor = float(environ.get("RMFT_FAULTS_SPEED", "1"))
    speed_up(factor, float(environ.get("RMFT_FAULTS_EPOCH", time.time())))
