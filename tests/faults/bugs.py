"""Protocol bugs, planted on purpose in a process under test: each breaks a promise, quietly.

A matrix that does not catch them proves nothing. Production code holds no switch: `child.py`
plants one by name before the command line starts. Each names the promise that must notice it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

Planter = Callable[[], None]


@dataclass(frozen=True)
class Bug:
    """One bug: how to plant it, who must notice, and the cases where it shows."""

    plant: Planter
    promise: str
    only: str
    """A pattern of case ids: those that must, between them, break the promise."""


BUGS: dict[str, Bug] = {}


def plant(name: str) -> None:
    """Break this process. KeyError for a bug that nobody knows."""
    BUGS[name].plant()


def bug(promise: str, only: str) -> Callable[[Planter], Planter]:
    """Enter a bug under its function's name."""

    def enter(plant: Planter) -> Planter:
        BUGS[plant.__name__] = Bug(plant, promise, only)
        return plant

    return enter


@bug("I2", "A/call.answered:*:KILL")
def no_intent() -> None:
    """A call is written down only once its reply is here."""
    from rmft_api.journal.ledger import Ledger

    begin, done, numbers = Ledger.begin, Ledger.done, count(-1, -1)
    waiting: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    async def begin_later(self: Ledger, *args: Any, **more: Any) -> int:
        number = next(numbers)
        waiting[number] = args, more
        return number

    async def begin_and_done(self: Ledger, attempt: int, *args: Any, **more: Any) -> None:
        if attempt in waiting:
            given, named = waiting.pop(attempt)
            attempt = await begin(self, *given, **named)
        await done(self, attempt, *args, **more)

    Ledger.begin, Ledger.done = begin_later, begin_and_done


@bug("I2", "A/call.answered:*:KILL")
def nothing_reserved() -> None:
    """Intents are written, but no money is set aside for them."""
    from rmft_api.journal.ledger import Ledger

    begin = Ledger.begin

    async def begin_free(
        self: Ledger, key: str, kind: str, digest: bytes, reserve: int, **more: Any
    ) -> int:
        return await begin(self, key, kind, digest, 0, **more)

    Ledger.begin = begin_free


@bug("I2", "D/eof/chat")
def doubt_is_free() -> None:
    """What may have been billed is taken for certainly not billed."""
    from rmft_api.core.errors import FaultKind, ProviderFault
    from rmft_api.journal.ledger import Ledger

    failed = Ledger.failed

    async def forgetful(
        self: Ledger, attempt: int, fault: ProviderFault, cost: int | None = None
    ) -> None:
        if fault.kind is FaultKind.AMBIGUOUS:
            fault = ProviderFault(str(fault), FaultKind.SAFE)
        await failed(self, attempt, fault, cost)

    Ledger.failed = forgetful


@bug("I2", "D/usage_missing/chat")
def no_usage_no_cost() -> None:
    """A reply that does not tell its usage counts as free."""
    from rmft_api.requests import journaled_chat

    make = journaled_chat.JournaledChat.__init__

    def free(self: Any, *args: Any, cost: journaled_chat.Cost, **more: Any) -> None:
        make(
            self,
            *args,
            cost=lambda request, reply: cost(request, reply) if reply.usage else 0,
            **more,
        )

    journaled_chat.JournaledChat.__init__ = free


@bug("I1", "E/job_create:1/*/done1")
def no_look_up() -> None:
    """A job whose creation was not answered is created again unseen."""
    from rmft_api.providers.openai_wire import OpenAITuner

    async def nothing(self: Any, order: Any) -> list[Any]:
        return []

    OpenAITuner.find_jobs = nothing


@bug("I1", "E/job_create:1/*/lag60/done1")
def no_quarantine() -> None:
    """One look at the list is enough, however far it lags."""
    from rmft_api.requests import outbox

    make = outbox.Outbox.__init__

    def hasty(self: Any, *args: Any, **more: Any) -> None:
        make(self, *args, **more)
        self._quarantine = outbox.Quarantine(looks_s=(0,), timeout_s=0)

    outbox.Outbox.__init__ = hasty


@bug("I1", "J/job_create/429_[gms]*/done1/lag0")
def refusals_are_believed() -> None:
    """A creation that was refused for its speed is sent again unseen, inside one send."""
    from rmft_api.core.errors import FaultKind, ProviderFault
    from rmft_api.requests import outbox

    once = outbox.Outbox.once

    def trusting(self: Any, *args: Any, act: Any, **more: Any) -> Any:
        async def until_it_is_let_in() -> Any:
            while True:
                try:
                    return await act()
                except ProviderFault as fault:
                    if fault.kind is not FaultKind.SAFE:
                        raise
                    await self._retries.pause(fault.retry_after_s or 0.5)

        return once(self, *args, act=until_it_is_let_in, **more)

    outbox.Outbox.once = trusting


@bug("I1", "E/job_create:1/status_500/*/done1")
def sdk_retries() -> None:
    """The package retries too."""
    import openai

    make: Any = openai.AsyncOpenAI.__init__

    def eager(self: Any, **more: Any) -> None:
        make(self, **{**more, "max_retries": 2})

    setattr(openai.AsyncOpenAI, "__init__", eager)  # noqa: B010  its type is a wall of overloads


@bug("I3", "D/content_null/chat")
def reask_bad_replies() -> None:
    """A reply that cannot be read is asked for again until it can."""
    from rmft_api.core.records import ChatRequest, ChatResponse
    from rmft_api.providers.chat import WireChat

    reply = WireChat.reply

    async def again(self: WireChat, request: ChatRequest) -> ChatResponse:
        while True:
            got = await reply(self, request)
            if all(choice.content and choice.finish_reason == "stop" for choice in got.choices):
                return got

    WireChat.reply = again


@bug("I3", "A/call.*:TERM")
def naive_gather() -> None:
    """A signal cancels what is under way, and with it the replies that were paid for."""
    from rmft_api.journal.in_flight import InFlight
    from rmft_api.session.signals import StopSignal

    signalled = StopSignal._signalled  # pyright: ignore[reportPrivateUsage]

    def at_once(self: StopSignal, number: int) -> None:
        signalled(self, number)
        signalled(self, number)

    async def unshielded(self: InFlight, request: Any) -> Any:
        return await request

    StopSignal._signalled = at_once  # pyright: ignore[reportPrivateUsage]
    InFlight.run = unshielded


@bug("I2", "A/call.*:KILL")
def lazy_commit() -> None:
    """Writes are acknowledged at once and committed a little later, for speed."""
    from rmft_api.journal import writer

    write = writer.Writer.write

    def early(self: writer.Writer, sql: str | writer.RowStatement, row: Any) -> Any:
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, lambda: write(self, sql, row))
        done = loop.create_future()
        done.set_result(None)
        return done

    writer.Writer.write = early


@bug("I6", "D/eof/chat")
def key_in_errors() -> None:
    """An error message shows the request's headers."""
    import os

    from rmft_api.core.errors import ProviderFault
    from rmft_api.providers import faults

    lost = faults.lost

    def loose(request: faults.Request, error: BaseException) -> Any:
        key = os.environ.get("OPENAI_API_KEY", "")
        fault = lost(request, error)
        return ProviderFault(f"{fault} (key {key})", fault.kind)

    faults.lost = loose


@bug("I10", "A/job.recorded:2:KILL")
def no_lock() -> None:
    """Any number of processes may work on a run."""
    import fcntl

    fcntl.flock = lambda descriptor, operation: None


@bug("I7", "A/call.*:INT")
def no_way_out() -> None:
    """An interrupted run does not say how to go on."""
    from contextlib import nullcontext

    from rmft_api.core.errors import InterruptedRunError
    from rmft_api.session import lifecycle
    from rmft_api.session.signals import StopSignal

    lifecycle.with_resume_hint = lambda name: nullcontext()
    StopSignal.error = lambda self: InterruptedRunError("interrupted", self.signal_number)


@bug("I4", "A/call.*:KILL")
def global_chance() -> None:
    """Scenarios are drawn by one generator, so that what ran before changes what comes after."""
    from rmft_api.core import seeds

    dice, rng = seeds.rng(1, "dice"), seeds.rng
    seeds.rng = lambda seed, *path: dice if path[0] == "scenario" else rng(seed, *path)


@bug("I3", "A/call.saved:*:KILL")
def forget_replies() -> None:
    """What was answered is asked again on resume."""
    from rmft_api.journal.ledger import Ledger

    attempts = Ledger.attempts

    async def unanswered(self: Ledger, key: str) -> Any:
        found = await attempts(self, key)
        return [replace_state(one) if one.kind == "chat" else one for one in found]

    def replace_state(one: Any) -> Any:
        return one._replace(state="released")

    Ledger.attempts = unanswered


@bug("I1", "G/batch.polled:1:KILL")
def batches_are_forgotten() -> None:
    """A request that went into a batch is sent anew on resume, as if it had gone by itself."""
    from rmft_api.journal.ledger import Ledger

    attempts = Ledger.attempts

    async def alone(self: Ledger, key: str) -> Any:
        found = await attempts(self, key)
        return [one._replace(request=None) if one.kind == "chat" else one for one in found]

    Ledger.attempts = alone


@bug("I7", "D/429_quota/*")
def quota_is_speed() -> None:
    """An empty account is taken for a rate limit."""
    _rule_kind("money", "SAFE")


@bug("I7", "D/wrong_model_always/chat")
def any_model_will_do() -> None:
    """A reply is taken from whichever model gave it."""
    from rmft_api.providers.chat import WireChat

    make = WireChat.__init__

    def lax(self: Any, profile: Any, **more: Any) -> None:
        chat = profile.chat.model_copy(update={"check_model": False})
        make(self, profile.model_copy(update={"chat": chat}), **more)

    WireChat.__init__ = lax


@bug("I3", "D/eof_forever/chat")
def endless_reissue() -> None:
    """A call whose reply was lost is sent again and again."""
    from rmft_api.core.errors import FaultKind
    from rmft_api.requests import retries

    rules: Mapping[FaultKind, retries.Rule] = {
        **retries.RULES,
        FaultKind.AMBIGUOUS: replace(retries.RULES[FaultKind.SAFE]),
    }
    make = retries.Retries.__init__

    def patient(self: Any, *args: Any, **more: Any) -> None:
        make(self, rules, **more)

    retries.Retries.__init__ = patient


def _rule_kind(name: str, kind: str) -> None:
    from rmft_api.core.errors import FaultKind
    from rmft_api.providers import faults

    faults.RULES = tuple(
        replace(rule, kind=FaultKind[kind]) if rule.name == name else rule for rule in faults.RULES
    )
