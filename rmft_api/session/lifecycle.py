"""Walks whatever a journal keeps to its end: signals, caps, `status.json`, and the way on."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import (
    InterruptedRunError,
    ResumableError,
    RmftError,
    StorageError,
    UnreadableError,
)
from rmft_api.core.ports import BatchClient, ChatModel, Console
from rmft_api.journal import Journal
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.requests.journaled_chat import JournaledChat, Pacing
from rmft_api.requests.retries import Retries
from rmft_api.session.budgets import set_caps
from rmft_api.session.prepare import batches_of
from rmft_api.session.progress import BEAT_S, State, TrackedConsole
from rmft_api.session.reporting import Reporting
from rmft_api.session.signals import StopSignal

if TYPE_CHECKING:
    from rmft_api.batches import BatchedChat

T = TypeVar("T")
Work = Coroutine[Any, Any, T]
Connected = Callable[[StopSignal, Console], AbstractAsyncContextManager[Work[T]]]
"""Connects everything for the length of its block, and hands out the work to be done there."""


async def run_to_end(
    config: RunConfig, journal: Journal, opened: Connected[T], reporting: Reporting
) -> T:
    """Do the work to its end, and end well whatever happens; the journal is closed then."""
    name, totals = config.name, journal.ledger.totals
    with with_resume_hint(name), closing(journal):
        show = TrackedConsole(reporting.console(lambda: totals().spent / 1e6), journal)
        stop = StopSignal(name, show.line)
        state: State = "failed"
        try:
            await set_caps(journal, config)
            async with opened(stop, show) as work:
                task = asyncio.create_task(work)
                beat = asyncio.create_task(_beat(show))
                if reporting.handles_signals:
                    stop.listen(task)
                try:
                    result = await _ended(task, stop, journal)
                finally:
                    beat.cancel()
            state = "finished"
        except (InterruptedRunError, ResumableError, asyncio.CancelledError):
            state = "interrupted"
            raise
        except UnreadableError:
            show.why = "too few replies can be read"
            raise
        finally:
            stop.rest()
            show.write(state)
    return result


@contextmanager
def with_resume_hint(name: str) -> Generator[None]:
    """Add to any error how a run that has started continues: `RmftError.hint`."""
    try:
        yield
    except RmftError as error:
        if "rmft-api resume" not in str(error):
            error.hint = f"once that is fixed, `rmft-api resume {name}` continues"
        raise


def paid_once(
    journal: Journal, wire: ChatModel, retries: Retries, profile: Profile, pace: Pacing
) -> JournaledChat:
    """The endpoint's chats, asked for once, paced, and held to the prices of its profile."""
    prices = Prices(profile)
    return JournaledChat(
        journal, wire, retries, price=prices.worst_case, cost=prices.cost, pace=pace
    )


def in_batches(
    journal: Journal,
    wire: BatchClient,
    retries: Retries,
    profile: Profile,
    say: Callable[[str], None],
) -> "BatchedChat":
    """The endpoint's chats in batches, held to the batch prices of its profile.

    Raises ConfigError where the profile has none.
    """
    from rmft_api.batches import BatchAnswers, BatchedChat, BatchJobs

    traits = batches_of(profile)
    prices = Prices(profile, batch=True)
    answers = BatchAnswers(journal.ledger, wire, prices.cost)
    wait_s = profile.timeouts.upload_s
    journeys = BatchJobs(
        journal, wire, retries, traits, prices.worst_case, answers, say, timeout_s=wait_s
    )
    return BatchedChat(journal, journeys)


async def _beat(show: TrackedConsole) -> None:
    """Show in `status` that the run is alive, also while it waits."""
    while True:
        await asyncio.sleep(BEAT_S)
        with suppress(StorageError):  # the next write of the run meets it too
            await asyncio.to_thread(show.beat)


async def _ended(work: asyncio.Task[T], stop: StopSignal, journal: Journal) -> T:
    """The results; whatever ends the work, replies under way are awaited and saved first."""
    try:
        return await work
    except asyncio.CancelledError:
        if stop.signal_number:
            raise stop.error() from None
        raise  # the task that cancelled waits for just that
    except ResumableError:
        stop.check()  # say that the run was stopped, not what it left open
        raise
    finally:
        await journal.drain(0 if stop.cut.is_set() else stop.drain_s)
