"""A `ChatModel` that gathers what everybody asks, and sends it as one batch a round."""

import asyncio
from collections.abc import Iterator, Sequence

from rmft_api.batches.jobs import BatchJobs
from rmft_api.batches.waiting_requests import WaitingRequest
from rmft_api.core.errors import ResumableError
from rmft_api.core.records import ChatRequest, ChatResponse
from rmft_api.journal import Journal
from rmft_api.requests.journaled_chat import answered, history_of, request_digest

GATHER_S = 0.1
"""A round is complete when no request has come for so long."""
ROUNDS = 5
"""Batches in a row that a request may go through without being carried out."""


class BatchedChat:
    """Implements `ports.ChatModel`. Use it in `async with`: its worker ends with the block.

    A caller waits for a whole batch, so all possible requests must be sent at once: a lock
    step over all trajectories. What is asked while a batch is under way is the next one.
    """

    def __init__(self, journal: Journal, journeys: BatchJobs) -> None:
        self._ledger = journal.ledger
        self._journeys = journeys
        self._waiting: list[WaitingRequest] = []
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._tries: dict[str, int] = {}

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """The reply under `request.key`, paid for at most once.

        Raises BudgetError, DataError if the key asked something else before, ProviderFault
        (REJECTED) for what the model refuses, ResumableError, StorageError.
        """
        digest = request_digest(request)
        known = self._ledger.knows(request.key)
        history = await history_of(self._ledger, request, digest) if known else []
        reply = answered(history, request)
        if reply is not None:
            return reply
        last = history[-1] if history else None
        waiting = WaitingRequest(request, digest, number=len(history))
        if last and last.state == "sent" and last.request:
            waiting.attempt, waiting.reserved = last.id, last.reserved
            waiting.batch = last.request.decode()
        return await self._join(waiting)

    async def __aenter__(self) -> "BatchedChat":
        self._worker = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

    async def _join(self, waiting: WaitingRequest) -> ChatResponse:
        self._waiting.append(waiting)
        self._arrived.set()
        return await waiting.reply

    async def _serve(self) -> None:
        while True:
            await self._gathered()
            asked, self._waiting = self._waiting, []
            try:
                await self._round([one for one in asked if not one.reply.done()])
            except Exception as error:  # noqa: BLE001 - handed on to everybody who waits
                for one in (*asked, *self._waiting):
                    one.fail(error)
                self._waiting.clear()

    async def _gathered(self) -> None:
        """Wait for a first request, and then until no more come."""
        await self._arrived.wait()
        while self._arrived.is_set():
            self._arrived.clear()
            await asyncio.sleep(GATHER_S)

    async def _round(self, asked: list[WaitingRequest]) -> None:
        """Batches of an earlier process first: their trajectories then catch up with the others."""
        joined = [one for one in asked if one.batch is not None]
        fresh = [one for one in asked if one.batch is None]
        if joined:
            names = dict.fromkeys(one.batch for one in joined)
            groups = [[one for one in joined if one.batch == name] for name in names]
            await asyncio.gather(*map(self._journeys.go_on, groups))
        else:
            groups = list(self._parts(fresh))
            await asyncio.gather(*map(self._journeys.begin, groups))
        self._again(asked)

    def _again(self, asked: Sequence[WaitingRequest]) -> None:
        """Ask once more for what was not carried out."""
        left = [one for one in asked if not one.reply.done()]
        for one in left:
            tries = self._tries[one.request.key] = self._tries.get(one.request.key, 0) + 1
            if tries > ROUNDS:
                raise ResumableError(
                    f"{one.request.key} went through {tries} batches and was not carried out; "
                    "`rmft-api resume` asks again, requests.transport = 'direct' asks at once"
                )
        if left:
            self._waiting = [*left, *self._waiting]
            self._arrived.set()

    def _parts(self, asked: list[WaitingRequest]) -> Iterator[list[WaitingRequest]]:
        """As many batches as the provider's limits make of them: one model each, in key order."""
        for model in dict.fromkeys(one.request.model for one in asked):
            same = sorted(
                (o for o in asked if o.request.model == model), key=lambda o: o.request.key
            )
            part: list[WaitingRequest] = []
            size, traits = 0, self._journeys.traits
            for one in same:
                more = len(self._journeys.line(one)) + 1
                if part and (len(part) == traits.most_requests or size + more > traits.most_bytes):
                    yield part
                    part, size = [], 0
                part.append(one)
                size += more
            yield part
