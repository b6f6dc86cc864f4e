"""Where a session reports how it goes. Nothing here prints: the command line and the API choose."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from rmft_api.core.ports import Console
from rmft_api.core.waits import Wait


def _nothing(text: str) -> None:
    pass


class QuietConsole:
    """A `ports.Console` that shows nothing."""

    def line(self, text: str) -> None:
        """Take a line."""

    def stage(self, what: str) -> None:
        """Take a stage."""

    def waiting(self, wait: Wait | None, is_news: bool) -> None:
        """Take a wait."""

    @contextmanager
    def playing(self, what: str, rounds: int) -> Generator[Callable[[int], None]]:
        """Count nothing."""
        yield lambda count: None


@dataclass(frozen=True)
class Reporting:
    """Where a session prints."""

    say: Callable[[str], None] = _nothing
    """Takes what is said before a run begins: its price, and warnings."""
    console: Callable[[Callable[[], float]], Console] = lambda spent_usd: QuietConsole()
    """Makes the console of one run, given how to ask for the dollars spent so far."""
    handles_signals: bool = False
    """Ctrl-C and SIGTERM stop the run in order (`signals.py`); else cancelling its task does."""


QUIET = Reporting()
