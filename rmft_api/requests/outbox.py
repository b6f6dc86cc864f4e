"""Things done once that must not be done twice: uploads, jobs, deployments, cancellations.

    look for it -> intent and reservation committed -> act once -> recorded

Looking comes first because a copied or restored run directory may have done it already; and before
the intent, so that an intent without an answer always means that a request may have left.

Only what was made is an answer. A lost line, a death after the intent and a refusal of any kind
leave it open whether it was done: a gateway may answer 429, 503 or 409 after its upstream has
worked. Then it is *quarantined*: looked for again and again while a list may still lag behind,
and adopted when it is found. Only a quarantine without a find allows a further request:

    rate limits, "not now"    once their wait is over, as often as `retries.RULES` allow
    lost, or failed on the    one second attempt; there is no third
    provider's side
    money, rights, refused    none by itself; who resumes looks first

Until it ends, the reservation stays. What was never sent, because no connection was made, needs no
look. A list lags the same whatever the creation was answered with, so the quarantine is the same:
a refused creation costs two minutes at worst, where a job that is made twice costs its price.

What is guaranteed: at most one live thing per key, provided that the provider's own list shows it
within the quarantine. A provider that makes the request itself repeatable (an id or a token that we
choose) needs no such proviso and no look: pass `repeatable`.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from rmft_api.core.errors import (
    BudgetError,
    FaultKind,
    ProviderFault,
    ResumableError,
    RmftError,
)
from rmft_api.core.fault_points import fault_point
from rmft_api.journal.journal import Journal
from rmft_api.journal.ledger import Attempt, digest_of, fault_of
from rmft_api.requests.retries import HOUR_S, RULES, Retries, Rule

T = TypeVar("T")
ATTEMPTS = 2
"""Most attempts whose fate is unknown."""
_AFTER_LOOKING = Rule(attempts=None, within_s=HOUR_S, first_s=0.0)
"""For a lost attempt: the quarantine was the pause, and `ATTEMPTS` counts, in the journal."""
_FRESH_S = 1.0
"""What was not there so long ago is not looked for again, if nothing was asked for since."""
_GLANCE_S = 10.0
"""How long the one look is tried after a refusal that ends the run."""


@dataclass(frozen=True)
class Quarantine:
    """How long a provider's lists may lag, and its requests may hang."""

    looks_s: tuple[float, ...] = (0, 5, 15, 30, 60, 120)
    """When to look, in seconds since the request may last have been served."""
    timeout_s: float = 600.0
    """A request is given up after this long, so it is served within it or never."""


@dataclass(frozen=True)
class Effect(Generic[T]):
    """One thing to do once, and how to find it if it was done."""

    key: str
    """Its fixed name; the provider must be able to show it again (metadata, file name)."""
    kind: str
    """"upload", "job", ...: for people and for fault points."""
    request: object
    """All that it is made from, JSON-able: under the same key it may never change."""
    returns: type[T]
    look_up: Callable[[], Awaitable[Sequence[T]]]
    """Everything of this key that the provider holds, oldest first."""
    act: Callable[[], Awaitable[T]]
    """One request, never repeated by another owner."""
    reserve: int | None = 0
    """The most that it can cost, in micro-dollars; None: unknown, so it is not done."""
    cost: int | None = 0
    """What it cost once done; None: known later, by `ledger.settle(key, cost)`."""
    cancel: Callable[[Sequence[T]], Awaitable[None]] | None = None
    """Given all but the oldest of several; ends those that are ours and not yet running."""
    repeatable: bool = False
    """The same request twice makes one thing."""


class Outbox:
    """Does effects; the retries' `waits` report long searches.

    `again` allows what was refused before to be asked once more.
    """

    def __init__(
        self,
        journal: Journal,
        retries: Retries,
        quarantine: Quarantine | None = None,
        *,
        again: bool = False,
    ) -> None:
        self._journal = journal
        self._ledger = journal.ledger
        self._retries = retries
        self._quarantine = quarantine or Quarantine()
        self._again = again

    async def once(
        self,
        key: str,
        kind: str,
        request: object,
        *,
        look_up: Callable[[], Awaitable[Sequence[T]]],
        act: Callable[[], Awaitable[T]],
        returns: type[T],
        reserve: int | None = 0,
        cost: int | None = 0,
        cancel: Callable[[Sequence[T]], Awaitable[None]] | None = None,
        repeatable: bool = False,
    ) -> T:
        """Do an `Effect` of these fields, unless it was done before; what it made.

        Raises ProviderFault (REJECTED) when it is refused, now and in every later process;
        BudgetError; ResumableError when its fate is unknown; what `Retries.send` raises.
        """
        effect = Effect(
            key, kind, request, returns, look_up, act, reserve, cost, cancel, repeatable
        )
        intent = _Intent(effect, msgspec.json.encode(request, order="sorted"))
        history = await self._ledger.history(key, intent.digest)
        last = history[-1] if history else None
        if last and last.state == "done":
            return msgspec.json.decode(last.answer or b"", type=returns)
        if last and not self._again and _is_final(last, repeatable=repeatable):
            raise fault_of(last)
        if self._again:
            intent.allowed = max(ATTEMPTS, 1 + len(_lost(history)))
        # A repeatable request may be lost as often as one that was never sent.
        rule = RULES[FaultKind.SAFE] if repeatable else _AFTER_LOOKING
        return await self._retries.send(lambda: self._step(intent), key, ambiguous=rule)

    async def _step(self, intent: "_Intent[T]") -> T:
        """Look, and where nothing is found, act; then look again unless it was answered well.

        Raises ProviderFault, once nothing is found of what it says was not done.
        """
        effect = intent.effect
        doubts = await self._doubts(intent)
        if found := await self._search(intent, doubts):
            return await self._adopt(intent, found, doubts)
        doubts = await self._believe(effect, doubts)
        if len(_lost(doubts)) >= intent.allowed and not effect.repeatable:
            raise self._lost_for_good(effect, doubts)
        try:
            return await self._journal.in_flight.run(self._book(intent, doubts))
        except ProviderFault as fault:
            if fault.never_sent or effect.repeatable:
                raise
            failed_at = self._retries.clock()
            doubts = await self._doubts(intent)
            if found := await self._found_after(fault, intent, doubts):
                return await self._adopt(intent, found, doubts)
            if fault.retry_after_s is not None:
                waited = self._retries.clock() - failed_at
                fault.retry_after_s = max(0.0, fault.retry_after_s - waited)
            raise

    async def _doubts(self, intent: "_Intent[Any]") -> list[Attempt]:
        """The attempts that may have been done."""
        history = await self._ledger.history(intent.effect.key, intent.digest)
        intent.number = len(history)
        return [attempt for attempt in history if attempt.unanswered]

    async def _found_after(
        self, fault: ProviderFault, intent: "_Intent[T]", doubts: list[Attempt]
    ) -> Sequence[T]:
        """What is found of an attempt that ended so; where it is nothing, a refusal is believed.

        One that ends the run anyway is looked for only once, so that its reason is reported at
        once: a resume continues the search.
        """
        if fault.kind is not FaultKind.STOP:
            found = await self._search(intent, doubts)
            if not found:
                await self._ledger.believed(doubts[-1])
            return found
        try:
            what = f"looking for {intent.effect.key}"
            return await self._retries.look(intent.effect.look_up, what, within_s=_GLANCE_S)
        except RmftError:  # the closed door closes the list too
            return ()

    async def _believe(self, effect: Effect[Any], doubts: list[Attempt]) -> list[Attempt]:
        """Believe the refusals of earlier processes; the attempts of which nothing is known.

        Raises the last one's ProviderFault if it is final.
        """
        if effect.repeatable:
            return doubts
        for attempt in doubts:
            await self._ledger.believed(attempt)
        last = doubts[-1].refused_as if doubts else None
        if last is FaultKind.REJECTED and not self._again:
            raise fault_of(doubts[-1])
        return _lost(doubts)

    async def _search(self, intent: "_Intent[T]", doubts: list[Attempt]) -> Sequence[T]:
        """Look now, and as often as the last doubtful attempt's quarantine still asks for."""
        effect, now = intent.effect, self._retries.clock()
        if effect.repeatable or now - intent.looked_at < _FRESH_S:
            return ()
        since = self._last_served(doubts[-1], now) if doubts else now
        pending = [since + look_s for look_s in self._quarantine.looks_s] if doubts else []
        why = _long_look(effect, doubts[-1]) if doubts else ""
        with self._retries.waits.waiting(why, max(pending, default=now)):
            for look_at in (now, *(at for at in pending if at > now)):
                await self._retries.pause(look_at - self._retries.clock())
                found = await self._retries.look(effect.look_up, f"looking for {effect.key}")
                intent.looked_at = self._retries.clock()
                fault_point(f"{effect.kind}.looked")
                if found:
                    return found
        return ()

    def _last_served(self, lost: Attempt, now: float) -> float:
        """When the provider may last have started to serve it (a clock set back must not add)."""
        if lost.settled is not None:
            return min(now, lost.settled / 1000)
        return min(now, lost.created / 1000 + self._quarantine.timeout_s)

    async def _adopt(self, intent: "_Intent[T]", found: Sequence[T], doubts: list[Attempt]) -> T:
        """Take the oldest as ours. The others are ended first, so that a crash ends them again."""
        effect, oldest = intent.effect, found[0]
        if len(found) > 1:
            names = ", ".join(msgspec.json.encode(one).decode() for one in found)
            await self._journal.event(
                effect.kind, f"{effect.key} exists {len(found)} times: {names}"
            )
            if effect.cancel is not None:
                await effect.cancel(found[1:])
        attempt = doubts[-1].id if doubts else await self._begin(intent)
        await self._ledger.done(attempt, msgspec.json.encode(oldest), effect.cost)
        await self._journal.event(effect.kind, f"{effect.key} was done before and is adopted")
        fault_point(f"{effect.kind}.adopted")
        return oldest

    async def _book(self, intent: "_Intent[T]", doubts: list[Attempt]) -> T:
        """One request, written down. A repeatable one makes one thing, so one row stands for it."""
        effect = intent.effect
        stands = doubts[-1].id if effect.repeatable and doubts else None
        attempt = await self._begin(intent) if stands is None else stands
        fault_point(f"{effect.kind}.intended")
        intent.looked_at = -math.inf
        try:
            made = await effect.act()
        except ProviderFault as fault:
            fault_point(f"{effect.kind}.failed")
            if fault.never_sent and stands is None:
                await self._ledger.failed(attempt, fault)
            else:
                await self._ledger.doubted(attempt, fault)
            fault_point(f"{effect.kind}.failure_saved")
            raise
        fault_point(f"{effect.kind}.acted")
        await self._ledger.done(attempt, msgspec.json.encode(made), effect.cost)
        fault_point(f"{effect.kind}.recorded")
        return made

    async def _begin(self, intent: "_Intent[Any]") -> int:
        effect = intent.effect
        if effect.reserve is None:
            raise BudgetError(
                f"the price of {effect.key} is not known, so it is not done; "
                "add it to a prices file of yours"
            )
        intent.number += 1
        return await self._ledger.begin(
            effect.key,
            effect.kind,
            intent.digest,
            effect.reserve,
            number=intent.number,
            request=intent.request,
        )

    def _lost_for_good(self, effect: Effect[Any], lost: list[Attempt]) -> ResumableError:
        run = self._journal.run_dir.name
        return ResumableError(
            f"{effect.kind} {effect.key} was sent {len(lost)} times and the provider shows none of "
            f"them; find it in the provider's console, then `rmft-api resume {run}` searches again"
        )


class _Intent(Generic[T]):
    """An effect, the bytes it is known by, and how many attempts it has had."""

    def __init__(self, effect: Effect[T], request: bytes) -> None:
        self.effect = effect
        self.request = request
        self.digest = digest_of(request)
        self.number = 0
        self.allowed = ATTEMPTS
        self.looked_at = -math.inf
        """When nothing was found of it, since anything was last asked for."""


def _long_look(effect: Effect[Any], last: Attempt) -> str:
    """Why something is looked for."""
    why = str(fault_of(last)) if last.state == "lost" else "a process ended before the answer"
    return (
        f"{effect.kind} {effect.key.partition('/')[2]}: {why}; it may have been created anyway: "
        "the provider's list is searched before it is sent again"
    )


def _lost(history: list[Attempt]) -> list[Attempt]:
    """The attempts whose fate is unknown, refusals left out."""
    return [one for one in history if one.unanswered and one.refused_as is None]


def _is_final(last: Attempt, *, repeatable: bool) -> bool:
    """Whether it was refused for what it says. A repeatable one is not looked for before."""
    return last.state == "refused" or (repeatable and last.refused_as is FaultKind.REJECTED)
