"""When each request goes out: as fast as stated limits allow, first come first served.

One `Pacer` bounds everything that is under way at once. It learns limits from the headers of
replies (`x-ratelimit-*`), so it starts with few requests and doubles them until it meets a limit
or `concurrency`. Where no limits are stated it is that ramp and a bound, nothing more.

    await pacer(request)                      waits for the request's turn
    pacer.ended(request, RequestEnd(...))     exactly once after it, however the request ended

A stated limit becomes a `RateLimit`: requests leave evenly at the stated rate, and never when the
provider must be out of allowance by its own last account. On a 429 everything waits as long as the
reply asks for; rate and width are cut at once and come back slowly.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from rmft_api.core.durations import seconds
from rmft_api.core.records import ChatRequest, Usage
from rmft_api.core.waits import TELL_S, Waits
from rmft_api.requests.limits import MINUTE_S, LimitState, RateLimit

FIRST_WIDTH = 8
"""Requests under way at once before the first reply."""
_DAY_S = 86_400.0
_CUT = 0.5
"""What a 429 among nothing but 429s leaves of the rate; a rare one costs in proportion to it."""
_MEMORY = 0.05
"""Weight of the last request in the share of 429s."""
_RECOVERY_PER_S = 0.05
_HOLD_S = 5.0
"""Width does not grow for so long after a request that failed."""
_RESOURCES = tuple(
    (
        name,
        f"x-ratelimit-limit-{name}",
        f"x-ratelimit-remaining-{name}",
        f"x-ratelimit-reset-{name}",
    )
    for name in ("requests", "tokens", "project-requests", "project-tokens")
)
"""What may be limited, and the headers that state the limit, what is left, and until it is full."""


class RequestEnd(NamedTuple):
    """How a request ended."""

    status: int
    """HTTP status; 0 where no reply came."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Of any letter case that `.get` of lower-case names understands."""
    usage: Usage | None = None
    retry_after_s: float | None = None
    """How long the reply asks all requests to wait."""


def estimate(request: ChatRequest) -> int:
    """Tokens that a provider may count for a request before it is answered, roughly."""
    if request.stats is not None:
        chars = request.stats.chars
    else:
        chars = sum([len(message.content) for message in request.messages])
    return chars // 4 + 8 * len(request.messages) + request.n * request.sampling.max_tokens


class _Turn:
    """A request, from its arrival to its end."""

    __slots__ = ("future", "marks", "number", "request", "sent_at", "tokens")

    def __init__(self, request: ChatRequest) -> None:
        self.request = request
        self.future: asyncio.Future[None] | None = None
        """Done when the request may go; None where it never waited."""
        self.tokens = -1.0
        """What it may cost; below 0: not estimated, because no limit asks for it."""
        self.number = 0
        self.sent_at = 0.0
        self.marks: list[float] = []
        """What each gate had let through when this request was."""


@dataclass
class _Lane:
    """One model's queue and limits: a fine-tuned model may have smaller ones than its base."""

    queue: deque[_Turn] = field(default_factory=deque[_Turn])
    gates: dict[str, RateLimit] = field(default_factory=dict[str, RateLimit])
    """By resource, in the order in which they were first stated."""
    caution: float = 1.0
    """Share of the stated rate that is used."""
    limited: float = 0.0
    """Share of 429s among the last requests."""
    cut_at: float = 0.0
    """When it was last cut."""
    at: float = 0.0
    read_at: float = 0.0
    """When headers were last read."""

    def pass_time(self, now: float) -> None:
        if now <= self.at:
            return
        self.caution = min(1.0, self.caution + (now - self.at) * _RECOVERY_PER_S)
        self.at = now
        for gate in self.gates.values():
            gate.pass_time(now, self.caution)

    def note(self, is_limited: bool, sent_at: float) -> None:
        """Count how a request ended; slow down where it met a limit.

        Once for all that were under way together: they did not know of each other.
        """
        self.limited += _MEMORY * (is_limited - self.limited)
        if is_limited and sent_at >= self.cut_at:
            self.caution = max(0.1, self.caution * (1 - _CUT * self.limited))
            self.cut_at = self.at


class Pacer:
    """Lets requests out. Belongs to one event loop; `tokens` estimates what limits count."""

    def __init__(
        self,
        concurrency: int,
        *,
        tokens: Callable[[ChatRequest], int] = estimate,
        waits: Waits | None = None,
    ) -> None:
        self._concurrency = concurrency
        self._waits = waits
        self._is_silent = False
        self._tokens = tokens
        self._width = float(min(FIRST_WIDTH, concurrency))
        self._ramping = True
        self._hold_until = 0.0
        self._quiet_until = 0.0
        self._width_cut_at = 0.0
        self._lanes: dict[str, _Lane] = {}
        self._turns: dict[str, _Turn] = {}
        self._number = 0
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def under_way(self) -> int:
        """Requests out at this moment."""
        return len(self._turns)

    @property
    def width(self) -> float:
        """How many may be out at once, by what was learnt so far."""
        return self._width

    async def __call__(self, request: ChatRequest) -> None:
        """Wait for the request's turn. Every return must be followed by `ended`."""
        lane = self._lanes.get(request.model) or self._lanes.setdefault(request.model, _Lane())
        loop = asyncio.get_running_loop()
        turn = _Turn(request)
        if not lane.queue and self._wait_s(lane, turn, loop.time()) <= 0:
            self._start(lane, turn, loop.time())
            return
        turn.future = loop.create_future()
        lane.queue.append(turn)
        if len(lane.queue) == 1:  # else the first in the queue has started it already
            self._let_out()
        try:
            await turn.future
        except asyncio.CancelledError:
            if not turn.future.cancelled():  # let out, but no caller will send it
                self.ended(request, RequestEnd(0))
            raise

    def ended(self, request: ChatRequest, ending: RequestEnd) -> None:
        """Learn from how a request ended, and let others out."""
        turn = self._turns.pop(request.key, None)
        if turn is None:
            return
        lane, now = self._lanes[request.model], asyncio.get_running_loop().time()
        lane.pass_time(now)
        self._read_limits(lane, turn, ending.headers, now)
        if ending.usage is not None:
            _refund(lane, turn, ending.usage)
        self._adapt(lane, turn, ending, now)
        self._let_out()

    def dropped(self, request: ChatRequest) -> None:
        """Give back the turn of a request that was not sent."""
        self.ended(request, RequestEnd(0))

    def _adapt(self, lane: _Lane, turn: _Turn, ending: RequestEnd, now: float) -> None:
        lane.note(ending.status == 429, turn.sent_at)
        if ending.status == 200:
            self._widen(now)
        else:
            self._hold_until = now + _HOLD_S
        if ending.status == 429:
            self._narrow(lane, turn, now)
            for gate, _ in zip(lane.gates.values(), turn.marks, strict=False):
                gate.refused(self._cost(gate, turn))
        if ending.retry_after_s:
            self._quiet_until = max(self._quiet_until, now + ending.retry_after_s)

    def _let_out(self) -> None:
        """Start all that may start; wake up when the next one may."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        soonest = _UNTIL_ANOTHER_ENDS
        for lane in self._lanes.values():
            if lane.queue:
                soonest = min(soonest, self._drain(lane, asyncio.get_running_loop().time()))
        if soonest < _UNTIL_ANOTHER_ENDS:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(soonest, _LEAST_S), self._let_out)
        if self._is_silent or soonest >= TELL_S:
            self._report_wait(soonest)

    def _report_wait(self, soonest: float) -> None:
        """Say that nothing is under way, and until when."""
        if self._waits is None:
            return
        self._is_silent = TELL_S <= soonest < _UNTIL_ANOTHER_ENDS and not self._turns
        if self._is_silent:
            queued = sum(len(lane.queue) for lane in self._lanes.values())
            what = f"the provider's rate limit does not allow the next of {queued} requests"
            self._waits.begin(self, what, self._waits.now() + soonest)
        else:
            self._waits.end(self)

    def _drain(self, lane: _Lane, now: float) -> float:
        """Start from the head of one queue; how long the next one waits."""
        while lane.queue:
            turn = lane.queue[0]
            if turn.future is None or turn.future.done():  # its caller gave up
                lane.queue.popleft()
                continue
            wait = self._wait_s(lane, turn, now)
            if wait > 0:
                return wait
            lane.queue.popleft()
            self._start(lane, turn, now)
            turn.future.set_result(None)
        return _UNTIL_ANOTHER_ENDS

    def _wait_s(self, lane: _Lane, turn: _Turn, now: float) -> float:
        """Seconds until the request may start; 0 when it may now."""
        if len(self._turns) >= int(self._width):
            return _UNTIL_ANOTHER_ENDS
        wait = max(0.0, self._quiet_until - now)
        if not lane.gates:
            return wait
        lane.pass_time(now)
        for gate in lane.gates.values():
            gate_wait = gate.wait_s(self._cost(gate, turn), lane.caution)
            if gate_wait > wait:
                wait = gate_wait
        return wait

    def _start(self, lane: _Lane, turn: _Turn, now: float) -> None:
        for gate in lane.gates.values():
            turn.marks.append(gate.take(self._cost(gate, turn)))
        self._number += 1
        turn.number, turn.sent_at = self._number, now
        self._turns[turn.request.key] = turn

    def _cost(self, gate: RateLimit, turn: _Turn) -> float:
        if not gate.of_tokens:
            return 1.0
        if turn.tokens < 0:
            turn.tokens = float(self._tokens(turn.request))
        return turn.tokens * gate.scale

    def _read_limits(
        self, lane: _Lane, turn: _Turn, headers: Mapping[str, str], now: float
    ) -> None:
        if lane.gates and now - lane.read_at < _READ_EVERY_S:
            return
        lane.read_at = now
        for name, limit_header, remaining_header, reset_header in _RESOURCES:
            limit = _count(headers.get(limit_header))
            if not limit:
                continue
            remaining = _count(headers.get(remaining_header))
            reset = seconds(headers.get(reset_header) or "")
            period = _period_s(limit, remaining, reset)
            gate = lane.gates.get(name)
            if gate is None:
                gate = RateLimit(limit, period, now, of_tokens=name.endswith("tokens"))
                gate.opened(limit if remaining is None else remaining)
                lane.gates[name] = gate
            gate.tune(limit, period)
            mark = _mark(lane, turn, gate)
            if remaining is not None and mark is not None:
                if gate.of_tokens:
                    gate.learn(LimitState(turn.sent_at, remaining, mark, reset))
                gate.report(
                    turn.number,
                    remaining,
                    reset,
                    gate.spent - mark,
                    turn.sent_at,
                    0.0 if gate.of_tokens else 1.0,
                )

    def _widen(self, now: float) -> None:
        if self._width < self._concurrency and now >= self._hold_until:
            more = 1.0 if self._ramping else 1.0 / self._width
            self._width = min(float(self._concurrency), self._width + more)

    def _narrow(self, lane: _Lane, turn: _Turn, now: float) -> None:
        """Slow down where no limit is stated: once for all that were under way together."""
        self._ramping = False
        if not lane.gates and turn.sent_at >= self._width_cut_at:
            self._width = max(1.0, self._width / 2)
            self._width_cut_at = now


_READ_EVERY_S = 0.01
"""Headers are read no more often: thousands of replies a second state the same."""
_UNTIL_ANOTHER_ENDS = float("inf")
_LEAST_S = 0.001
"""Timers are no finer."""


def _mark(lane: _Lane, turn: _Turn, gate: RateLimit) -> float | None:
    """What the gate had let through when the request was; None for one from before the gate."""
    for known, mark in zip(lane.gates.values(), turn.marks, strict=False):
        if known is gate:
            return mark
    return None


def _refund(lane: _Lane, turn: _Turn, usage: Usage) -> None:
    used = usage.prompt_tokens + usage.completion_tokens
    for gate, _ in zip(lane.gates.values(), turn.marks, strict=False):
        if gate.of_tokens:
            gate.refund(turn.tokens - used)


def _count(text: str | None) -> float | None:
    """A header's whole number; None for `-1` and for whatever else is none."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def _period_s(limit: float, remaining: float | None, reset_s: float | None) -> float:
    """What a limit is per: a minute, unless it takes longer than that until it is full again."""
    if remaining is None or reset_s is None or reset_s <= 1.05 * MINUTE_S or remaining >= limit:
        return MINUTE_S
    return min(_DAY_S, max(MINUTE_S, limit * reset_s / (limit - remaining)))
