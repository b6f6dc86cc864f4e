"""One line for a known error, and its exit code; a traceback only for our own bugs."""

import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rmft_api.errors import InterruptedRunError, RmftError

T = TypeVar("T")


EARLY = (
    "interrupted with nothing under way; if the run has begun, `rmft-api resume RUN` goes on, "
    "and `rmft-api status` lists the runs"
)


def guarded(main: Callable[[], T]) -> T:
    """Call `main`; a known error becomes one line on stderr and its exit code."""
    came: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
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
        raise SystemExit(74) from error  # whoever read our output went away


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop where there is one: half the CPU of a request is the event loop's."""
    import asyncio

    from rmft_api.cli.redaction import hide_keys

    hide_keys()
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def _say(error: RmftError | str) -> None:
    line = " ".join(str(error).split())
    print(f"rmft-api: {line}", file=sys.stderr)  # noqa: T201
