"""Dynamic batching: rows that wait together are sampled together, on one thread.

A lone request never waits. When several clients were answered by the last round they are likely
to be back within a moment, so the next round waits for as many, but no longer than nothing new
arrives for `gap_s`, and never longer than `most_s`.

A completion does not depend on its batch (the engine's promise), so rows may be cut and joined
freely, and an unreadable chat is found by halving its batch until it stands alone.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from rmft_api.local_server.engine import Model, Prompt, SampledText, never

ROWS = 64
"""Rows of a batch at most, where the model names no other number (`rows`)."""

Outcome = SampledText | Exception
_EMPTY = SampledText((), "stop", 0, 0)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Ticket:
    """One request's rows, and where its results are awaited."""

    prompts: Sequence[Prompt]
    future: asyncio.Future[list[Outcome]]


@dataclass(slots=True)
class _Queue:
    """Requests to one model."""

    model: Model
    tickets: list[_Ticket] = field(default_factory=list[_Ticket])


class Batcher:
    """Collects rows from all requests and samples them in rounds. Needs `run` to be running."""

    def __init__(self, *, gap_s: float = 0.002, most_s: float = 0.01) -> None:
        self._gap_s = gap_s
        self._most_s = most_s
        self._queues: dict[int, _Queue] = {}
        self._waiting = 0
        self._most = ROWS
        self._wanted = 1
        """Rows that end the wait."""
        self._some = asyncio.Event()
        self._enough = asyncio.Event()

    async def complete(
        self, model: Model, prompts: Sequence[Prompt], has_left: Callable[[], bool] = never
    ) -> list[SampledText]:
        """Sample the rows of one request. Raises what the engine raised for one of them.

        Once its client `has_left`, or this call is cancelled, its rows are sampled no further.
        """
        ticket = _ticket(prompts, has_left)
        self._most = max(self._most, rows_of(model))
        self._queues.setdefault(id(model), _Queue(model)).tickets.append(ticket)
        self._waiting += len(prompts)
        self._some.set()
        if self._waiting >= self._wanted:
            self._enough.set()
        return [_completion(outcome) for outcome in await ticket.future]

    async def run(self) -> None:
        """Sample until cancelled."""
        with ThreadPoolExecutor(1, "sampling") as thread:
            while True:
                await self._gather()
                queues, answered = list(self._queues.values()), self._waiting
                self._queues, self._waiting = {}, 0
                self._some.clear()
                for queue in queues:
                    await _sample(thread, queue)
                self._wanted = min(self._most, answered + self._waiting)

    async def _gather(self) -> None:
        await self._some.wait()
        clock = asyncio.get_running_loop().time
        end = clock() + self._most_s
        seen = 0
        while seen < self._waiting < self._wanted and clock() < end:
            seen = self._waiting
            self._enough.clear()
            await _within(self._enough, self._gap_s)


def _ticket(prompts: Sequence[Prompt], has_left: Callable[[], bool]) -> _Ticket:
    future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()

    def is_gone() -> bool:
        return future.cancelled() or has_left()

    return _Ticket([replace(prompt, is_gone=is_gone) for prompt in prompts], future)


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def _sample(thread: ThreadPoolExecutor, queue: _Queue) -> None:
    rows = [prompt for ticket in queue.tickets for prompt in ticket.prompts]
    outcomes: list[Outcome] = []
    most = rows_of(queue.model)
    for start in range(0, len(rows), most):
        batch = rows[start : start + most]
        loop = asyncio.get_running_loop()
        outcomes += await loop.run_in_executor(thread, sample_wanted, queue.model, batch)
        _hand_out(queue.tickets, outcomes)


def rows_of(model: Model) -> int:
    """The most rows that a model likes to sample at once."""
    return int(getattr(model, "rows", ROWS))


def _hand_out(tickets: list[_Ticket], outcomes: list[Outcome]) -> None:
    """Answer the tickets whose rows are all there, and take them off both lists."""
    while tickets and len(tickets[0].prompts) <= len(outcomes):
        ticket = tickets.pop(0)
        if not ticket.future.done():  # its client may have gone
            ticket.future.set_result(outcomes[: len(ticket.prompts)])
        del outcomes[: len(ticket.prompts)]


def sample_wanted(model: Model, prompts: Sequence[Prompt]) -> list[Outcome]:
    """Sample the prompts that a client waits for; the others get an empty answer."""
    outcomes: list[Outcome] = [_EMPTY] * len(prompts)
    wanted = [place for place, prompt in enumerate(prompts) if not prompt.is_gone()]
    if wanted:
        found = sample_each(model, [prompts[place] for place in wanted])
        for place, outcome in zip(wanted, found, strict=True):
            outcomes[place] = outcome
    return outcomes


def sample_each(model: Model, prompts: Sequence[Prompt]) -> list[Outcome]:
    """Sample every prompt; one that fails gets its error and its neighbours their answers."""
    try:
        return [*_all_of(model.complete(prompts), len(prompts))]
    except Exception as error:
        if len(prompts) == 1:
            log.debug("a prompt failed", exc_info=error)
            return [error]
        middle = len(prompts) // 2
        return sample_each(model, prompts[:middle]) + sample_each(model, prompts[middle:])


def _all_of(completions: list[SampledText], wanted: int) -> list[SampledText]:
    if len(completions) != wanted:
        raise RuntimeError(f"the engine gave {len(completions)} completions for {wanted} prompts")
    return completions


def _completion(outcome: Outcome) -> SampledText:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
