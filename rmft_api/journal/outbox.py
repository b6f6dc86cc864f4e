"""Things done once that must not be done twice: uploads, jobs, deployments, cancellations.

    look for it -> intent and reservation committed -> act once -> recorded

Looking comes first because a copied or restored run directory may have done it already; and before
the intent, so that an intent without an answer always means that a request may have left.

If the line breaks or we die after the intent, nobody knows whether it was done. Then it is
*quarantined*: looked for again and again while a list may still lag behind, and adopted when it is
found. Only a quarantine without a find allows a second attempt, and there is no third.

What is guaranteed: at most one live thing per key, provided that the provider's own list shows it
within the quarantine. A provider that makes the request itself repeatable (an id or a token that we
choose) needs no such proviso: pass `repeatable`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from rmft_api.errors import BudgetError, FaultKind, ProviderFault, ResumableError
from rmft_api.faultpoints import reached
from rmft_api.journal.journal import Journal
from rmft_api.journal.ledger import Attempt, digest_of, fault_of
from rmft_api.retries import RULES, Retries, Rule

T = TypeVar("T")
ATTEMPTS = 2


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
    """Its name for ever; the provider must be able to show it again (metadata, file name)."""
    kind: str
    """"upload", "job", ...: for people and for fault points."""
    request: object
    """All that it is made from, JSON-able: under the same key it may never change."""
    returns: type[T]
    look_up: Callable[[], Awaitable[Sequence[T]]]
    """Everything of this key that the provider holds, oldest first."""
    act: Callable[[], Awaitable[T]]
    """One request, never repeated by anybody else."""
    reserve: int | None = 0
    """The most that it can cost, in micro-dollars; None: unknown, so it is not done."""
    cost: int | None = 0
    """What it cost once done; None: known later, by `ledger.settle(key, cost)`."""
    cancel: Callable[[Sequence[T]], Awaitable[None]] | None = None
    """Given all but the oldest of several; ends those that are ours and not yet running."""
    repeatable: bool = False
    """The same request twice makes one thing."""


class Outbox:
    """Does effects. `again` allows what was refused before to be asked once more."""

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

        Raises ProviderFault (REJECTED) when it is refused, then and ever after; BudgetError;
        ResumableError when nobody can tell what became of it; what `Retries.send` raises.
        """
        effect = Effect(
            key, kind, request, returns, look_up, act, reserve, cost, cancel, repeatable
        )
        intent = _Intent(effect, msgspec.json.encode(request, order="sorted"))
        history = await self._ledger.history(key, intent.digest)
        last = history[-1] if history else None
        if last and last.state == "done":
            return msgspec.json.decode(last.answer or b"", type=returns)
        if last and last.state == "refused" and not self._again:
            raise fault_of(last)
        return await self._go_on(intent, history)

    async def _go_on(self, intent: "_Intent[T]", history: list[Attempt]) -> T:
        """Find what was done, or do it; after a lost attempt, both once more."""
        effect = intent.effect
        allowed = ATTEMPTS
        if self._again:
            allowed = max(ATTEMPTS, 1 + sum(attempt.unanswered for attempt in history))
        while True:
            intent.number = len(history)
            lost = [attempt for attempt in history if attempt.unanswered]
            found = await self._search(effect, lost)
            if found:
                return await self._adopt(intent, found, lost)
            if len(lost) >= allowed and not effect.repeatable:
                raise self._lost_for_good(effect, lost)
            try:
                return await self._send(intent)
            except ProviderFault as fault:
                if fault.kind is not FaultKind.AMBIGUOUS or effect.repeatable:
                    raise
            history = await self._ledger.history(effect.key, intent.digest)

    async def _search(self, effect: Effect[T], lost: list[Attempt]) -> Sequence[T]:
        """Look now, and as often as a lost attempt's quarantine still asks for."""
        if effect.repeatable:
            return ()
        now = self._retries.clock()
        since = self._last_served(lost[-1], now) if lost else now
        pending = [since + look_s for look_s in self._quarantine.looks_s] if lost else []
        for look_at in (now, *(at for at in pending if at > now)):
            await self._retries.pause(look_at - self._retries.clock())
            found = await self._retries.look(effect.look_up, f"looking for {effect.key}")
            reached(f"{effect.kind}.looked")
            if found:
                return found
        return ()

    def _last_served(self, lost: Attempt, now: float) -> float:
        """When the provider may last have begun to serve it (a clock set back must not add)."""
        if lost.settled is not None:
            return min(now, lost.settled / 1000)
        return min(now, lost.created / 1000 + self._quarantine.timeout_s)

    async def _adopt(self, intent: "_Intent[T]", found: Sequence[T], lost: list[Attempt]) -> T:
        """Take the oldest as ours. The others are ended first, so that a crash ends them again."""
        effect, oldest = intent.effect, found[0]
        if len(found) > 1:
            names = ", ".join(msgspec.json.encode(one).decode() for one in found)
            await self._journal.event(
                effect.kind, f"{effect.key} exists {len(found)} times: {names}"
            )
            if effect.cancel is not None:
                await effect.cancel(found[1:])
        attempt = lost[-1].id if lost else await self._begin(intent)
        await self._ledger.done(attempt, msgspec.json.encode(oldest), effect.cost)
        await self._journal.event(effect.kind, f"{effect.key} was done before and is adopted")
        reached(f"{effect.kind}.adopted")
        return oldest

    async def _send(self, intent: "_Intent[T]") -> T:
        """Act until it is certain what became of it, or certain that it is not."""

        async def attempt() -> T:
            return await self._journal.flights.run(self._book(intent))

        ambiguous = RULES[FaultKind.SAFE] if intent.effect.repeatable else Rule(attempts=1)
        return await self._retries.send(attempt, intent.effect.key, ambiguous=ambiguous)

    async def _book(self, intent: "_Intent[T]") -> T:
        effect = intent.effect
        attempt = await self._begin(intent)
        reached(f"{effect.kind}.intended")
        try:
            made = await effect.act()
        except ProviderFault as fault:
            reached(f"{effect.kind}.failed")
            await self._ledger.failed(attempt, fault)
            reached(f"{effect.kind}.failure_saved")
            raise
        reached(f"{effect.kind}.acted")
        await self._ledger.done(attempt, msgspec.json.encode(made), effect.cost)
        reached(f"{effect.kind}.recorded")
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
            f"them; look for it in the provider's console, then `rmft-api resume {run}` looks again"
        )


class _Intent(Generic[T]):
    """An effect, the bytes it is known by, and how many attempts it has had."""

    def __init__(self, effect: Effect[T], request: bytes) -> None:
        self.effect = effect
        self.request = request
        self.digest = digest_of(request)
        self.number = 0
