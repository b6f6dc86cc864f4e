"""One line for a known error, and its exit code; a traceback only for our own bugs."""

import errno
import gc
import signal
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from rmft_api.core.errors import InterruptedRunError, RmftError

T = TypeVar("T")
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_STOPPING = {signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__}
"""Those that the platform has."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
EARLY = (
    "interrupted with nothing in flight; if the run has started, `rmft-api resume RUN` continues, "
    "and `rmft-api status` lists the runs"
)


def guarded(main: Callable[[], T]) -> T:
    """Call `main`; a known error becomes one line on stderr and its exit code."""
    came: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    for number in _STOPPING - {signal.SIGINT}:
        signal.signal(number, interrupt)
    try:
        return main()
    except InterruptedRunError as error:
        _say(error)
        raise SystemExit(128 + error.signal_number) from error
    except RmftError as error:
        _say(error)
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        _say(EARLY)
        raise SystemExit(128 + (came or [signal.SIGINT])[0]) from error
    except BrokenPipeError as error:
        raise SystemExit(74) from error  # the reader of our output is gone
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _say(f"output cannot be written ({error.strerror}); free space, or write it elsewhere")
        raise SystemExit(74) from error


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop where there is one: half the CPU of a request is the event loop's."""
    import asyncio

    from rmft_api.cli.redaction import hide_keys

    hide_keys()
    gc.freeze()  # what was imported stays: it is looked through no more
    try:
        import uvloop
    except ImportError:
        fresh_loop = None
    else:
        fresh_loop = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=fresh_loop) as runner:
            with _signals_held():  # half a loop cannot be closed
                runner.get_loop()
            return runner.run(work)
    finally:
        work.close()


@contextmanager
def _signals_held() -> Generator[None]:
    """Let signals wait until the block has ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _say(error: RmftError | str) -> None:
    line = " ".join(str(error).split())
    print(f"rmft-api: {line}", file=sys.stderr)  # noqa: T201
    if isinstance(error, RmftError) and error.hint:
        print(error.hint, file=sys.stderr)  # noqa: T201
