"""How far a run is: written by the run as it goes, read by `rmft-api status` at any time.

`status.json` is replaced whole, so that a reader needs no lock and never opens a live journal.
"""

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Literal

import msgspec

from rmft_api.core import serialization
from rmft_api.core.errors import LockedError
from rmft_api.core.files import replace_file
from rmft_api.core.ports import Console
from rmft_api.core.records import Record
from rmft_api.core.waits import Wait
from rmft_api.journal import Journal, is_owned
from rmft_api.planning import ObservedReplies, Spending, spending

FILE = "status.json"
EVERY_S = 2.0
BEAT_S = 10.0
"""How old the file of a run under way gets."""
SUM_EVERY_S = 10.0
"""How often money and tokens are summed by phase."""
State = Literal["running", "interrupted", "failed", "finished"]


class RunStatus(Record, frozen=True):
    """One look at a run. Money is micro-dollars, `at` UTC seconds."""

    state: State
    stage: str
    rounds: int
    of: int
    spent: int
    reserved: int
    cap: int | None
    at: int
    spending: Spending | None = None
    """By phase, as of the last look."""
    waits_for: str = ""
    """What is waited for; empty: nothing for long."""
    waits_until: float = 0.0
    """UTC seconds: when that wait ends, or is given up."""
    why: str = ""
    """Why it ended, in a few words, where the way on is not just to resume it."""


class TrackedConsole:
    """A console that also keeps `status.json` up to date."""

    def __init__(self, console: Console, journal: Journal) -> None:
        self._console = console
        self._path = journal.run_dir / FILE
        self._journal = journal
        self._lock = Lock()
        self._stage, self._rounds, self._of = "starting", 0, 0
        self._written = self._summed = 0.0
        self._spending: Spending | None = None
        self._wait: Wait | None = None
        self._is_over = False
        self.why = ""
        self.write("running")

    def line(self, text: str) -> None:
        """Say one thing."""
        self._console.line(text)
        self.write("running")

    def stage(self, what: str) -> None:
        """Name what the run does now."""
        self._stage, self._rounds, self._of = what, 0, 0
        self._console.stage(what)
        self.write("running")

    def waiting(self, wait: Wait | None, is_news: bool) -> None:
        """Show what is waited for."""
        self._wait = wait
        self._console.waiting(wait, is_news)
        if is_news:
            self.write("running")

    def beat(self) -> None:
        """Keep the file fresh while nothing else happens."""
        if time.monotonic() - self._written > BEAT_S:
            self.write("running")

    @contextmanager
    def playing(self, what: str, rounds: int) -> Generator[Callable[[int], None]]:
        """Show the progress of `rounds` decisions."""
        self._stage, self._rounds, self._of = what, 0, rounds
        writing: Future[None] | None = None
        with (
            self._console.playing(what, rounds) as tick,
            ThreadPoolExecutor(1, "status") as beside,  # sums and the disk hold up no request
        ):

            def counted(count: int) -> None:
                nonlocal writing
                tick(count)
                self._rounds += count
                if time.monotonic() - self._written > EVERY_S and (not writing or writing.done()):
                    if writing:
                        writing.result()
                    writing = beside.submit(self.write, "running")

            yield counted
        self.write("running")

    def write(self, state: State) -> None:
        """Replace the file. Raises StorageError."""
        with self._lock:
            if self._is_over and state == "running":
                return  # a look from beside that came too late
            self._is_over = state != "running"
            self._write(state)

    def _write(self, state: State) -> None:
        self._written = time.monotonic()
        taken = self._journal.ledger.totals()
        status = RunStatus(
            state=state,
            stage=self._stage,
            rounds=self._rounds,
            of=self._of,
            spent=taken.spent,
            reserved=taken.reserved,
            cap=taken.cap,
            at=int(time.time()),
            spending=self._spent(anew=state != "running"),
            waits_for=self._wait.what if self._wait and state == "running" else "",
            waits_until=self._wait.until if self._wait and state == "running" else 0.0,
            why=self.why,
        )
        replace_file(self._path, serialization.encode(status))

    def _spent(self, *, anew: bool) -> Spending:
        """Summed now and then: the journal has better things to do."""
        due = time.monotonic() - self._summed > SUM_EVERY_S
        if self._spending is None or due or anew:
            self._spending = spending(self._journal)
            self._summed = time.monotonic()
        return self._spending


def status_of(run_dir: Path) -> RunStatus | None:
    """The run's last word. One that says "running" though no process owns it was killed."""
    try:
        status = serialization.decode((run_dir / FILE).read_bytes(), RunStatus)
    except (OSError, msgspec.MsgspecError):
        return None
    if status.state == "running" and not is_owned(run_dir):
        return msgspec.structs.replace(status, state="interrupted")
    return status


def check_begun(run_dir: Path) -> None:
    """Raise RmftError where a folder without a status holds no run.

    A run that a process owns has started, whatever it has written so far.
    """
    if status_of(run_dir) is not None:
        return
    try:
        Journal.read(run_dir).close()
    except LockedError:
        return


def observed_replies(run_dir: Path) -> ObservedReplies | None:
    """The replies of a run so far; None where there is none."""
    status = status_of(run_dir)
    return status.spending.observed if status and status.spending else None


def line_of(run_dir: Path) -> str:
    """The run in one line."""
    status = status_of(run_dir)
    if status is None:
        return f"{run_dir.name}: no status yet"
    share = f" {status.rounds}/{status.of} rounds" if status.rounds < status.of else ""
    money = f", ${status.spent / 1e6:.2f} spent" if status.cap or status.spent else ""
    held = f", ${status.reserved / 1e6:.2f} reserved" if status.reserved else ""
    cap = f" of ${status.cap / 1e6:.2f}" if status.cap else ""
    heading = _heading(status.spending) if status.cap and status.state != "finished" else ""
    ended = status.state in ("running", "finished")
    way_on = f"{status.why}: `rmft-api report {run_dir.name}` says what to do"
    goes_on = f"`rmft-api resume {run_dir.name}` continues"
    resume = "" if ended else f"; {way_on if status.why else goes_on}"
    age = max(0, int(time.time()) - status.at)
    stage = "" if status.state == "finished" else f", {status.stage}{share}"  # else its last step
    what = f"{status.state}{stage}{money}{held}{cap}{heading}, {age} s ago{resume}"
    return f"{run_dir.name}: {what}{_waiting(status)}"


def _waiting(status: RunStatus) -> str:
    if status.state != "running" or not status.waits_for:
        return ""
    return f"\n  {Wait(status.waits_for, status.waits_until).in_words(time.time())}"


def _heading(found: Spending | None) -> str:
    if found is None or found.projected is None:
        return ""
    return f", heading for ${found.projected / 1e6:.2f}"
