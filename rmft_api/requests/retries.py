"""The one owner of every retry: transports and SDKs get 0.

A request that fails is classified by the adapter that knows its wire; `RULES` says what its kind
allows (docs/faults.md 3.7):

    SAFE       certainly not started,    20 attempts within an hour
               or free to ask again
    AMBIGUOUS  perhaps done and billed   one re-issue; six lost attempts in a run's life park it
    NO_ANSWER  came, and is no answer    six attempts within an hour; a form that comes twice
                                         because of how the endpoint is set up ends the run
    WAIT       not now                   until a wall-clock deadline
    STOP       money, rights             never: the run stops, and says what would help
    REJECTED   refused for what it says  never: an answer like any other

What only looks (GET) is free, so `look` repeats it for hours. A request that works first time
passes none of the machinery.

Deadlines are wall-clock time, because a sleeping laptop stops every other clock; a pause ends when
either clock says so.
"""

import asyncio
import random
import re
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from rmft_api.core.errors import (
    ConfigError,
    FaultKind,
    Mismatch,
    NotEntitledError,
    ProviderDownError,
    ProviderFault,
    ResumableError,
    RmftError,
)
from rmft_api.core.waits import Waits

T = TypeVar("T")
Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

WAY_ON = "`rmft-api resume`"
POISON = "lost_for_good"
"""The code of a request that is not sent again."""
LOST_FOR_GOOD = 6
"""Attempts without an answer after which a request counts as poison."""
NO_ANSWERS = 20
"""Replies that a run may begin with of which none is an answer."""
_MONEY = re.compile(r"quota|credit|billing|spend|balance|funds", re.IGNORECASE)
SLICE_S = 30.0
"""Longest single sleep, so that a laptop that wakes up looks at the clock soon."""


@dataclass(frozen=True)
class Rule:
    """What one kind of fault allows."""

    attempts: int | None
    """Most attempts that may end this way; None: as many as there is time for."""
    within_s: float = 0.0
    """Wall-clock seconds since the first fault."""
    first_s: float = 0.5
    """The first pause is up to this long; each further one up to twice the last."""
    longest_s: float = 60.0


HOUR_S = 3600.0
RULES: Mapping[FaultKind, Rule] = {
    FaultKind.SAFE: Rule(attempts=20, within_s=HOUR_S),
    FaultKind.AMBIGUOUS: Rule(attempts=2, within_s=HOUR_S, first_s=4.0),
    FaultKind.NO_ANSWER: Rule(attempts=6, within_s=HOUR_S, first_s=2.0),
    FaultKind.WAIT: Rule(attempts=None, within_s=24 * HOUR_S, first_s=10.0, longest_s=300.0),
    FaultKind.STOP: Rule(attempts=1),
    FaultKind.REJECTED: Rule(attempts=1),
}
LOOK = Rule(attempts=None, within_s=6 * HOUR_S, first_s=1.0)
"""For requests that change nothing, however they fail."""


class Breaker:
    """Pauses everybody while most of the last requests failed; one probe a minute asks again."""

    def __init__(
        self,
        clock: Clock,
        sleep: Sleep,
        *,
        window: int = 50,
        probe_every_s: float = 60,
        waits: Waits | None = None,
    ) -> None:
        self._clock = clock
        self._waits = waits or Waits(clock)
        self._held = 0
        self._sleep = sleep
        self._probe_every_s = probe_every_s
        self._failed: deque[bool] = deque(maxlen=window)
        self._probe_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests must wait."""
        return self._probe_at is not None

    def note(self, failed: bool) -> None:
        """Count how a request ended. Any answer closes an open breaker."""
        if self._probe_at is not None and not failed:
            self._probe_at = None
            self._failed.clear()
        self._failed.append(failed)
        if not failed or self._probe_at is not None:
            return
        full = len(self._failed) == self._failed.maxlen
        if full and 2 * sum(self._failed) > len(self._failed):
            self._probe_at = self._clock() + self._probe_every_s

    async def admit(self) -> None:
        """Wait until the breaker closes, or until it is this caller's turn to probe."""
        what = "most of the last requests failed, so one is tried before the others"
        self._held += 1
        try:
            while self._probe_at is not None:
                wait_s = self._probe_at - self._clock()
                if wait_s <= 0:
                    self._probe_at = self._clock() + self._probe_every_s
                    return
                self._waits.begin(self, what, self._probe_at)
                await self._sleep(min(wait_s, 1.0))
        finally:
            self._held -= 1
            if not self._held:
                self._waits.end(self)


class _Beginning:
    """What an endpoint replies until its first answer.

    One that is set up wrongly never gives one; learning that must not cost a whole run.
    """

    def __init__(self, way_on: str) -> None:
        self._way_on = way_on
        self.is_over = False
        self._replies = 0
        self._last: Mismatch | None = None

    def met(self, fault: ProviderFault) -> None:
        """Count a reply. Raises ConfigError or ResumableError for one too many without answer."""
        if self.is_over or fault.kind is not FaultKind.NO_ANSWER:
            return
        self._replies += 1
        if fault.mismatch is not None and fault.mismatch == self._last:
            raise ConfigError(f"{fault} (like the reply before it)") from fault
        self._last = fault.mismatch
        if self._replies >= NO_ANSWERS:
            raise ResumableError(
                f"none of the first {self._replies} replies is an answer, the last: {fault}; "
                f"{self._way_on} asks again"
            ) from fault


class Retries:
    """Sends requests until their rule says enough. Clock, sleep and jitter are given by tests."""

    def __init__(
        self,
        rules: Mapping[FaultKind, Rule] = RULES,
        *,
        clock: Clock = time.time,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        waits: Waits | None = None,
        way_on: str = WAY_ON,
    ) -> None:
        """`way_on`: what asks again after an error, for its message."""
        self.clock = clock
        self.waits = waits or Waits(clock)
        self._way_on = way_on
        self._rules = rules
        self._sleep = sleep
        self._jitter = jitter
        self.breaker = Breaker(clock, sleep, waits=self.waits)
        self._beginning = _Beginning(way_on)

    async def send(
        self,
        attempt: Callable[[], Awaitable[T]],
        what: str,
        *,
        lost: int = 0,
        ambiguous: Rule | None = None,
    ) -> T:
        """Run `attempt` (one request that costs or changes something) until it works.

        `lost` attempts of earlier processes have no answer. `ambiguous` is a rule of the caller's
        own, who may look up what became of it. Raises ProviderFault (AMBIGUOUS, NO_ANSWER,
        REJECTED), ProviderDownError, ResumableError, NotEntitledError or ConfigError.
        """
        if lost >= LOST_FOR_GOOD:
            raise _poison(what, lost)
        try:
            return await self._admitted(attempt)
        except ProviderFault as fault:
            rules = {**self._rules, FaultKind.AMBIGUOUS: ambiguous} if ambiguous else self._rules
            course = _Course(what, rules, lost, self.clock, self._jitter, self._way_on)
            return await self._again(lambda: self._admitted(attempt), fault, course)

    async def look(
        self, attempt: Callable[[], Awaitable[T]], what: str, *, within_s: float = LOOK.within_s
    ) -> T:
        """Run `attempt` (a request that changes nothing) until it works, for `within_s` at most."""
        try:
            return await attempt()
        except ProviderFault as fault:
            rule = Rule(None, within_s, LOOK.first_s, LOOK.longest_s)
            kinds = (FaultKind.SAFE, FaultKind.AMBIGUOUS, FaultKind.NO_ANSWER, FaultKind.WAIT)
            rules = {**self._rules, **dict.fromkeys(kinds, rule)}
            course = _Course(what, rules, 0, self.clock, self._jitter, self._way_on)
            return await self._again(attempt, fault, course)

    async def pause(self, seconds: float, why: str = "") -> None:
        """Sleep until the wall clock or the machine's own has counted `seconds`.

        `why` is reported where that is long; empty: the caller reports it.
        """
        end = self.clock() + seconds
        slept = 0.0
        key = object()
        if why:
            self.waits.begin(key, why, end)
        try:
            while slept < seconds and self.clock() < end:
                slice_s = min(SLICE_S, seconds - slept)
                await self._sleep(slice_s)
                slept += slice_s
        finally:
            self.waits.end(key)

    async def _admitted(self, attempt: Callable[[], Awaitable[T]]) -> T:
        if self.breaker.is_open:
            await self.breaker.admit()
        try:
            result = await attempt()
        except ProviderFault as fault:
            self.breaker.note(failed=_is_outage(fault))
            self._beginning.met(fault)
            raise
        self.breaker.note(failed=False)
        self._beginning.is_over = True
        return result

    async def _again(
        self, attempt: Callable[[], Awaitable[T]], first: ProviderFault, course: "_Course"
    ) -> T:
        """Continue after the first fault; tenacity meets it as its own first attempt."""
        met = [first]

        async def next_attempt() -> T:
            try:
                if met:
                    raise met.pop()
                return await attempt()
            except ProviderFault as fault:
                course.meet(fault)
                raise

        retrying = AsyncRetrying(
            sleep=lambda seconds: self.pause(seconds, course.why),
            retry=retry_if_exception_type(ProviderFault),
            wait=course.wait_s,
            stop=course.is_over,
            retry_error_callback=course.give_up,
        )
        return await retrying(next_attempt)


class _Course:
    """The faults that one request has met, and what its rules still allow."""

    def __init__(
        self,
        what: str,
        rules: Mapping[FaultKind, Rule],
        lost: int,
        clock: Clock,
        jitter: Callable[[], float],
        way_on: str,
    ) -> None:
        self._what = what
        self._way_on = way_on
        self._rules = rules
        self._clock = clock
        self._jitter = jitter
        self._started = clock()
        self.why = ""
        """The last fault, in words."""
        # Whatever was lost in earlier processes, this one may re-issue once.
        self._met = Counter({FaultKind.AMBIGUOUS: min(lost, 1)})
        self._mismatch: Mismatch | None = None

    def meet(self, fault: ProviderFault) -> None:
        """Count a fault. Raises ConfigError for a form that the endpoint must always give."""
        self._met[fault.kind] += 1
        self.why = str(fault)
        known, self._mismatch = self._mismatch, fault.mismatch
        if known is not None and known.permanent and known == fault.mismatch:
            raise ConfigError(f"{self._what}: {fault} (twice in a row)") from fault

    def wait_s(self, state: RetryCallState) -> float:
        """Full jitter, on top of what the provider asked for."""
        fault = _fault_of(state)
        rule = self._rules[fault.kind]
        ceiling = min(rule.longest_s, rule.first_s * 2.0 ** min(self._met[fault.kind] - 1, 30))
        return (fault.retry_after_s or 0.0) + ceiling * self._jitter()

    def is_over(self, state: RetryCallState) -> bool:
        """Whether the last fault's rule leaves no attempt, or no time for one."""
        fault = _fault_of(state)
        rule = self._rules[fault.kind]
        attempts_are_used = rule.attempts is not None and self._met[fault.kind] >= rule.attempts
        next_at = self._clock() + state.upcoming_sleep
        return attempts_are_used or next_at > self._started + rule.within_s

    def give_up(self, state: RetryCallState) -> NoReturn:
        """Raise what the last fault means for the run."""
        fault = _fault_of(state)
        minutes = (self._clock() - self._started) / 60
        tried = f"{self._what}: {fault} ({state.attempt_number} attempts in {minutes:.0f} min)"
        endless = self._rules[fault.kind].attempts is None
        doubtful = fault.kind in (FaultKind.AMBIGUOUS, FaultKind.NO_ANSWER)
        if fault.kind is FaultKind.SAFE or (doubtful and endless):
            raise ProviderDownError(f"{tried}; {self._way_on} continues once it is back") from fault
        if fault.kind is FaultKind.WAIT:
            raise ResumableError(f"{tried}; {self._way_on} waits again") from fault
        if fault.kind is FaultKind.STOP:
            raise _stop(f"{self._what}: {fault}", fault) from fault
        raise fault  # the others: the caller knows what this one request is worth


def _fault_of(state: RetryCallState) -> ProviderFault:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, ProviderFault):
        raise TypeError(f"retried without a fault: {error!r}")
    return error


def _is_outage(fault: ProviderFault) -> bool:
    """A provider that sets limits or refuses is up; one that breaks off or errs may be down."""
    if fault.kind is FaultKind.SAFE:
        return fault.status != 429
    return fault.kind in (FaultKind.AMBIGUOUS, FaultKind.NO_ANSWER)


def _stop(message: str, fault: ProviderFault) -> RmftError:
    """Money can be added, somebody else gives rights; the rest are wrong requests."""
    if fault.status in (402, 429) or _MONEY.search(f"{fault.code} {fault}"):
        return ResumableError(message)
    if fault.status in (401, 403, 404):
        return NotEntitledError(message)
    return ConfigError(message)


def _poison(what: str, lost: int) -> ProviderFault:
    return ProviderFault(
        f"{what}: lost {lost} times without an answer, so it is not sent again",
        FaultKind.REJECTED,
        code=POISON,
    )
