"""Chat calls that are paid once: a `ChatModel` that asks the journal first.

    known and answered -> the journal's reply, no request
    otherwise          -> reserve and record, ask the wire, record the reply and its cost

Between the two commits a crash or a broken connection leaves a call of which it is unknown whether
it was billed: its reservation stays, and it is asked again once. So at worst a crash costs one
worst-case price for each request under way.

No caller waits for the second commit: the journal keeps the order of what it is given, so whatever
is done next and awaited (the next request's reservation, a trajectory) is durable only with the
reply.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from rmft_api.core import chat_stats
from rmft_api.core.errors import BudgetError, FaultKind, ProviderFault, ResumableError
from rmft_api.core.fault_points import fault_point
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, ChatResponse, Message, Sampling, Usage
from rmft_api.journal import Journal
from rmft_api.journal.ledger import Attempt, Ledger, digest_of, fault_of
from rmft_api.requests.retries import Retries

Price = Callable[[ChatRequest], int | None]
"""The most that a request can cost in micro-dollars; None: unknown, so it is not sent."""
Cost = Callable[[ChatRequest, ChatResponse], int | None]
"""What a reply cost in micro-dollars; None: not stated, so what was reserved counts as spent."""


class Pacing(Protocol):
    """Waits until a request fits the provider's limits, before anything is reserved for it."""

    async def __call__(self, request: ChatRequest) -> None:
        """Take a turn."""
        ...

    def dropped(self, request: ChatRequest) -> None:
        """Give the turn back: the request was not sent."""
        ...


OVERRUNS = 3
"""Replies billed at more than twice their worst case after which the prices cannot be right."""
LONG = 8
"""Number of messages from which a chat is identified by a digest of its statistics."""


class JournaledChat:
    """Implements `ports.ChatModel` over `wire`, which sends exactly one request per `reply`."""

    def __init__(
        self,
        journal: Journal,
        wire: ChatModel,
        retries: Retries,
        *,
        price: Price,
        cost: Cost,
        pace: Pacing | None = None,
    ) -> None:
        self._ledger = journal.ledger
        self._in_flight = journal.in_flight
        self._wire = wire
        self._retries = retries
        self._price = price
        self._cost = cost
        self._pace = pace
        self._overruns = 0

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """The reply under `request.key`, asked for at most once if it can be helped.

        Raises BudgetError, DataError if the key asked something else before, StorageError, and
        what `Retries.send` raises.
        """
        call = _Call(request, request_digest(request), self._send)
        if self._ledger.knows(request.key):
            return await self._go_on(call)
        return await self._retries.send(call, request.key)

    async def _go_on(self, call: "_Call") -> ChatResponse:
        """Answer from the journal, or send what is still owed."""
        history = await history_of(self._ledger, call.request, call.digest)
        known = answered(history, call.request)
        if known is not None:
            return known
        call.number = len(history)
        lost = sum(attempt.unanswered for attempt in history)
        return await self._retries.send(call, call.request.key, lost=lost)

    async def _send(self, call: "_Call") -> ChatResponse:
        """One attempt. Once reserved, it runs to its end whatever becomes of the caller."""
        if self._pace is not None:
            await self._pace(call.request)
        reserve, started = self._begin(call)
        return await self._in_flight.run(self._book(call.request, reserve, started))

    async def _book(
        self, request: ChatRequest, reserve: int, started: Awaitable[int]
    ) -> ChatResponse:
        try:
            attempt = await started
        except BaseException:
            self._drop(request)
            raise
        fault_point("call.reserved")
        try:
            reply = await self._wire.reply(request)
        except ProviderFault as fault:
            fault_point("call.failed")
            await self._ledger.failed(attempt, fault, cost_of(fault, request, self._cost))
            fault_point("call.failure_saved")
            raise
        fault_point("call.answered")
        cost = self._cost(request, reply)
        cost = reserve if cost is None else cost
        self._ledger.answered(attempt, _encode(reply), cost if reserve or cost else None)
        fault_point("call.saved")
        self._watch(request, reserve, cost)
        return reply

    def _begin(self, call: "_Call") -> tuple[int, Awaitable[int]]:
        """What is reserved, and the attempt; where nothing can be, the turn is given back."""
        request = call.request
        try:
            reserve = self._worst_case(request)
            return reserve, self._ledger.begin(
                request.key, "chat", call.digest, reserve, number=call.number
            )
        except BaseException:
            self._drop(request)
            raise

    def _drop(self, request: ChatRequest) -> None:
        if self._pace is not None:
            self._pace.dropped(request)

    def _worst_case(self, request: ChatRequest) -> int:
        price = self._price(request)
        if price is None:
            raise BudgetError(
                f"the price of {request.model!r} is not known, so nothing is asked of it; "
                "add it to a prices file of yours"
            )
        return price

    def _watch(self, request: ChatRequest, reserve: int, cost: int) -> None:
        self._overruns = self._overruns + 1 if cost > 2 * reserve else 0
        if self._overruns == OVERRUNS:
            raise ResumableError(
                f"{request.key}: {OVERRUNS} replies in a row were billed at more than twice the "
                f"most that {request.model!r} should cost (the last {cost} for {reserve} "
                "micro-dollars); correct its price, then resume"
            )


async def probe(
    journal: Journal, wire: ChatModel, request: ChatRequest, reserve: int
) -> ChatResponse:
    """Ask whether a model answers: never from the journal, and paid for like any other request.

    `reserve`: the most that it can cost, in micro-dollars, and what it is booked at. Raises
    BudgetError, and ProviderFault as `wire` does; a 404 is WAIT, as the endpoint that answers
    chats lags behind the one that made the model.
    """
    ledger = journal.ledger
    digest = digest_of(_encode((request.model, request.messages)))
    number = 1 + len(await ledger.history(request.key, digest))
    attempt = await ledger.begin(request.key, "probe", digest, reserve, number=number)
    try:
        reply = await wire.reply(request)
    except ProviderFault as fault:
        if fault.status == 404:
            fault.kind = FaultKind.WAIT
        await ledger.failed(attempt, fault)
        raise
    await ledger.done(attempt, _encode(reply), reserve)
    return reply


def probe_of(key: str, model: str) -> ChatRequest:
    """The shortest chat there is."""
    return ChatRequest(
        key, model, (Message("user", "1"),), 1, 0, Sampling(temperature=1.0, max_tokens=1)
    )


@dataclass(slots=True, eq=False)
class _Call:
    """A request under way; each call of it is one more attempt."""

    request: ChatRequest
    digest: bytes
    send: Callable[["_Call"], Coroutine[Any, Any, ChatResponse]]
    number: int = 0

    def __call__(self) -> Coroutine[Any, Any, ChatResponse]:
        self.number += 1
        return self.send(self)


_encode = msgspec.json.Encoder().encode
_replies = msgspec.json.Decoder(ChatResponse)


async def history_of(ledger: Ledger, request: ChatRequest, digest: bytes) -> list[Attempt]:
    """All attempts of an ask, oldest first. Raises DataError where it asked something else before.

    How many choices one request may ask for is no part of what is asked: a profile may lower it in
    the middle of a run (`chat.n`), as an endpoint that ignores it requires.
    """
    history = await ledger.attempts(request.key)
    for attempt in history:
        if attempt.digest != digest and not _asked_for_more(attempt, request):
            raise ledger.asks_something_else(request.key)
    return history


def answered(history: Sequence[Attempt], request: ChatRequest) -> ChatResponse | None:
    """The reply that is known, or None. Raises ProviderFault for a refusal that is known."""
    last = history[-1] if history else None
    if last and last.state == "refused":
        raise fault_of(last)
    if last is None or last.state != "done":
        return None
    reply = _replies.decode(last.answer or b"")
    if len(reply.choices) <= request.n:
        return reply
    return msgspec.structs.replace(reply, choices=reply.choices[: request.n])


def cost_of(fault: ProviderFault, request: ChatRequest, cost: Cost) -> int | None:
    """What a reply cost that is no answer; None: not known, so its kind says what is kept."""
    if fault.billed is None:
        return None
    return cost(request, ChatResponse("", request.model, (), Usage(*fault.billed)))


MOST_CHOICES = 1024
"""More are asked for by no profile."""


def _asked_for_more(attempt: Attempt, request: ChatRequest) -> bool:
    """Whether an attempt asked the same for more choices."""
    more = range(request.n + 1, MOST_CHOICES + 1)
    return any(
        request_digest(msgspec.structs.replace(request, n=n)) == attempt.digest for n in more
    )


def request_digest(request: ChatRequest) -> bytes:
    """What is asked, in 16 bytes; our own name for it is no part of it."""
    return digest_of(_encode_request(request))


def _encode_request(request: ChatRequest) -> bytes:
    """All that the provider gets: everything but our own name for it.

    A long chat is identified by its digest: all but its end was sent before.
    """
    content = chat_stats.of(request).digest if len(request.messages) >= LONG else request.messages
    return _encode((request.model, content, request.n, request.seed, request.sampling))
