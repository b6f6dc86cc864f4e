"""How the functions of the API are run: in an event loop of their own, with progress or without."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from rmft_api.core.errors import UsageError
from rmft_api.session.reporting import QUIET, Reporting

T = TypeVar("T")


def reporting(progress: bool) -> Reporting:
    """Where a run prints: nowhere, or on stderr as on the command line."""
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


def run_soon(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do work that takes seconds and sends nothing: in a thread of its own where a loop runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work())
    done: Future[T] = Future()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_settle, done, work), daemon=True).start()
    return done.result()


def _settle(done: "Future[T]", work: Callable[[], Coroutine[Any, Any, T]]) -> None:
    try:
        done.set_result(_run(work()))
    except BaseException as error:  # noqa: BLE001  raised where it is awaited
        done.set_exception(error)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """On uvloop where there is one: half the CPU of a request is the event loop's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
