"""How the functions of the API are run: in an event loop of their own, and telling who asked."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rmft_api.core.errors import UsageError
from rmft_api.session.reporting import QUIET, Reporting

T = TypeVar("T")


def reporting(progress: bool) -> Reporting:
    """Whom a run tells: nobody, or stderr as on the command line."""
    if not progress:
        return QUIET
    from rmft_api.cli.console import REPORTING

    return Reporting(REPORTING.say, REPORTING.console)


def run_now(work: Callable[[], Coroutine[Any, Any, T]], twin: str) -> T:
    """Do the work in an event loop of its own. Raises UsageError inside a running one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work())
    raise UsageError(f"an event loop is running here: use `await rmft_api.{twin}(...)`")


def _run(work: Coroutine[Any, Any, T]) -> T:
    """On uvloop where there is one: half the CPU of a request is the event loop's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
