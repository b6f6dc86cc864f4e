"""Pacing in virtual time, against limits of every kind that providers enforce."""

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Protocol

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rmft_api.core.records import ChatRequest, Message, Sampling, Usage
from rmft_api.core.waits import Wait, Waits
from rmft_api.requests.pacing import FIRST_WIDTH, Pacer, RequestEnd, estimate
from tests.virtual_time import run


def ask(key: str, model: str = "m", max_tokens: int = 100) -> ChatRequest:
    return ChatRequest(
        key, model, (Message("user", "x" * 400),), 1, 1, Sampling(max_tokens=max_tokens)
    )


class Limit(Protocol):
    """Admits a request or not; tells what is left and when it is full again."""

    def admit(self, now: float, cost: float) -> tuple[bool, float, float]: ...


@dataclass
class Bucket:
    """Fills steadily; holds `capacity`."""

    per_minute: float
    capacity: float
    level: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.capacity

    def admit(self, now: float, cost: float) -> tuple[bool, float, float]:
        rate = self.per_minute / 60
        self.level = min(self.capacity, self.level + (now - self.at) * rate)
        self.at = now
        fits = self.level >= cost
        self.level -= cost if fits else 0.0
        return fits, self.level, (self.capacity - self.level) / rate


@dataclass
class Window:
    """Starts afresh every `seconds`."""

    per_minute: float
    seconds: float
    number: int = -1
    used: float = 0.0

    def admit(self, now: float, cost: float) -> tuple[bool, float, float]:
        if int(now // self.seconds) != self.number:
            self.number, self.used = int(now // self.seconds), 0.0
        most = self.per_minute * self.seconds / 60
        fits = self.used + cost <= most
        self.used += cost if fits else 0.0
        return fits, most - self.used, (self.number + 1) * self.seconds - now


@dataclass
class Sliding:
    """Counts the last minute."""

    per_minute: float
    log: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])

    def admit(self, now: float, cost: float) -> tuple[bool, float, float]:
        while self.log and self.log[0][0] <= now - 60:
            self.log.popleft()
        used = sum(spent for _, spent in self.log)
        fits = used + cost <= self.per_minute
        if fits:
            self.log.append((now, cost))
        oldest = self.log[0][0] if self.log else now
        return fits, self.per_minute - used, 60 - (now - oldest)


@dataclass
class Outcome:
    """What a simulated run came to."""

    served: int = 0
    limited: int = 0
    waits: list[float] = field(default_factory=list[float])
    lost: int = 0


@dataclass
class Simulation:
    """Workers that ask again and again through one pacer."""

    limit: Limit
    stated: float
    resource: str = "requests"
    cost: float = 1.0
    workers: int = 40
    latency_s: float = 0.5
    duration_s: float = 150.0
    outcome: Outcome = field(default_factory=Outcome)

    async def run(self) -> Outcome:
        self.pacer = Pacer(self.workers)
        self.chance = random.Random(7)
        await asyncio.gather(*(self._work(worker) for worker in range(self.workers)))
        assert self.pacer.under_way == 0
        return self.outcome

    async def _work(self, worker: int) -> None:
        loop, number = asyncio.get_running_loop(), 0
        while loop.time() < self.duration_s:
            number += 1
            asked = ask(f"{worker}/{number}")
            while not await self._one(asked):
                pass

    async def _one(self, asked: ChatRequest) -> bool:
        loop = asyncio.get_running_loop()
        since = loop.time()
        await self.pacer(asked)
        if since > self.duration_s / 4:  # before, the provider's store is used up
            self.outcome.waits.append(loop.time() - since)
        await asyncio.sleep(0.02 * self.chance.random())
        fits, left, reset = self.limit.admit(loop.time(), self.cost)
        await asyncio.sleep(self.latency_s * (0.5 + self.chance.random()) if fits else 0.05)
        status = 200 if fits else 429
        self.pacer.ended(asked, RequestEnd(status, self._headers(left, reset), Usage(100, 12)))
        if not fits:
            await asyncio.sleep(self.chance.random())  # as the owner of retries would
        self.outcome.limited += not fits
        self.outcome.served += fits and loop.time() < self.duration_s
        return fits

    def _headers(self, left: float, reset: float) -> Mapping[str, str]:
        return {
            f"x-ratelimit-limit-{self.resource}": str(int(self.stated)),
            f"x-ratelimit-remaining-{self.resource}": str(int(left)),
            f"x-ratelimit-reset-{self.resource}": f"{reset:.3f}s",
        }


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(Bucket(600, 600), id="a minute's bucket"),
        pytest.param(Bucket(600, 10), id="a second's bucket"),
        pytest.param(Window(600, 60), id="a minute's window"),
        pytest.param(Window(600, 10), id="ten seconds' window"),
        pytest.param(Window(600, 1), id="a second's window"),
        pytest.param(Sliding(600), id="the last minute"),
    ],
)
def test_eight_times_too_much_demand_uses_the_limit_and_respects_it(limit: Limit) -> None:
    outcome = run(Simulation(limit, 600).run())
    assert outcome.served >= 0.97 * 10 * 150
    assert outcome.limited <= 0.01 * outcome.served
    cuts = quantiles(outcome.waits, n=100)
    assert cuts[98] <= 1.2 * cuts[49]


def test_token_limits_are_used_where_only_what_was_used_counts() -> None:
    """112 tokens are billed where the estimate is 208: the rest is given back."""
    limit = Bucket(100_000, 100_000)
    outcome = run(Simulation(limit, 100_000, "tokens", 112, workers=60).run())
    assert outcome.served * 112 >= 0.97 * 100_000 / 60 * 150
    assert outcome.limited <= 0.01 * outcome.served


def test_token_limits_are_respected_where_the_estimate_counts() -> None:
    limit = Bucket(100_000, 100_000)
    outcome = run(Simulation(limit, 100_000, "tokens", 208, workers=32).run())
    assert outcome.served * 208 >= 0.97 * 100_000 / 60 * 150
    assert outcome.limited <= 0.01 * outcome.served


@pytest.mark.parametrize(
    ("counted", "capacity", "duration_s"),
    [(500, 100_000, 150.0), (800, 100_000, 150.0), (500, 5_000, 600.0)],
)
def test_a_provider_that_counts_more_tokens_than_we_do_is_soon_understood(
    counted: int, capacity: int, duration_s: float
) -> None:
    """The estimate is 208: a chat in another script, or a provider with a way of its own."""
    limit = Bucket(100_000, capacity)
    told = Simulation(limit, 100_000, "tokens", counted, workers=24, duration_s=duration_s)
    outcome = run(told.run())
    assert outcome.served * counted >= 0.97 * 100_000 / 60 * duration_s
    assert outcome.limited <= 0.01 * outcome.served


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(Window(100_000, 60), id="a minute's window"),
        pytest.param(Window(100_000, 10), id="ten seconds' window"),
        pytest.param(Sliding(100_000), id="the last minute"),
    ],
)
@pytest.mark.parametrize("counted", [112, 208, 500])
def test_tokens_are_understood_where_they_are_counted_by_the_minute(
    limit: Limit, counted: int
) -> None:
    fresh = deepcopy(limit)
    told = Simulation(fresh, 100_000, "tokens", counted, workers=24, duration_s=600.0)
    outcome = run(told.run())
    assert outcome.served * counted >= 0.97 * 100_000 / 60 * 600
    assert outcome.limited <= 0.01 * outcome.served
    cuts = quantiles(outcome.waits, n=100)
    assert cuts[98] <= 1.2 * cuts[49]


def test_without_stated_limits_it_is_a_bound_that_is_soon_reached() -> None:
    async def main() -> tuple[int, float]:
        pacer, most = Pacer(32), 0

        async def one(number: int) -> None:
            nonlocal most
            await pacer(ask(str(number)))
            most = max(most, pacer.under_way)
            await asyncio.sleep(1)
            pacer.ended(ask(str(number)), RequestEnd(200))

        await asyncio.gather(*(one(number) for number in range(320)))
        return most, asyncio.get_running_loop().time()

    most, took = run(main())
    assert most == 32
    assert took <= 12  # 10 s at full width, and the ramp


def test_a_run_starts_with_few_requests() -> None:
    async def main() -> int:
        pacer = Pacer(1000)
        tasks = [asyncio.create_task(pacer(ask(str(number)))) for number in range(1000)]
        await asyncio.sleep(1)
        started = sum(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return started

    assert run(main()) == FIRST_WIDTH


def test_first_come_is_first_served() -> None:
    async def main() -> list[int]:
        pacer, order = Pacer(1), list[int]()

        async def one(number: int) -> None:
            await pacer(ask(str(number)))
            order.append(number)
            await asyncio.sleep(0.1)
            pacer.ended(ask(str(number)), RequestEnd(200))

        await asyncio.gather(*(one(number) for number in range(50)))
        return order

    assert run(main()) == list(range(50))


def test_retry_after_holds_everybody_back() -> None:
    async def main() -> float:
        pacer = Pacer(4)
        await pacer(ask("a"))
        pacer.ended(ask("a"), RequestEnd(429, retry_after_s=30.0))
        await pacer(ask("b", model="another"))
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(30.0, abs=0.01)


def test_a_silence_that_a_provider_asked_for_is_told_until_it_ends() -> None:
    told: list[Wait | None] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        pacer = Pacer(8, waits=Waits(loop.time, lambda wait, is_news: told.append(wait)))
        await pacer(ask("a"))
        pacer.ended(ask("a"), RequestEnd(429, retry_after_s=327.0))
        assert not told
        await pacer(ask("b"))
        pacer.ended(ask("b"), RequestEnd(200))

    run(play())
    wait, over = told
    assert wait is not None
    assert wait.until == pytest.approx(327.0)
    assert over is None


def test_width_falls_fast_on_429s_and_comes_back_slowly() -> None:
    async def main() -> list[int]:
        pacer, widths = Pacer(64), list[int]()
        for status in [200] * 60 + [429] + [200] * 10 + [429]:
            await pacer(ask("x"))
            await asyncio.sleep(1)
            pacer.ended(ask("x"), RequestEnd(status))
            widths.append(int(pacer.width))
        return widths

    widths = run(main())
    assert widths[59] == 64
    assert widths[60] == 32
    assert widths[70] <= 33
    assert widths[71] <= 17


def test_width_does_not_grow_while_a_provider_fails() -> None:
    async def main() -> int:
        pacer = Pacer(64)
        for number in range(40):
            await pacer(ask("x"))
            await asyncio.sleep(0.1)
            pacer.ended(ask("x"), RequestEnd(500 if number % 10 == 0 else 200))
        return int(pacer.width)

    assert run(main()) == FIRST_WIDTH


def test_requests_that_gave_up_waiting_take_no_turn() -> None:
    async def main() -> int:
        pacer = Pacer(1)
        await pacer(ask("a"))
        waiting = [asyncio.create_task(pacer(ask(f"w{number}"))) for number in range(5)]
        await asyncio.sleep(0)
        for task in waiting[:4]:
            task.cancel()
        await asyncio.sleep(0)
        pacer.ended(ask("a"), RequestEnd(200))
        await waiting[4]
        return pacer.under_way

    assert run(main()) == 1


def test_a_turn_given_to_somebody_who_just_left_is_given_on() -> None:
    async def main() -> int:
        pacer = Pacer(1)
        await pacer(ask("a"))
        first, second = (asyncio.create_task(pacer(ask(key))) for key in "bc")
        await asyncio.sleep(0)
        pacer.ended(ask("a"), RequestEnd(200))  # `first` has its turn, and does not know yet
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await second
        return pacer.under_way

    assert run(main()) == 1


def test_each_model_has_its_own_limits() -> None:
    """A tuned model with a small limit does not slow its base down."""
    small = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "1"}

    async def main() -> float:
        pacer = Pacer(8)
        await pacer(ask("a", "tuned"))
        pacer.ended(ask("a", "tuned"), RequestEnd(200, small))
        slow = [asyncio.create_task(pacer(ask(f"s{n}", "tuned"))) for n in range(4)]
        await asyncio.sleep(0)
        for number in range(20):
            await pacer(ask(f"b{number}", "base"))
            pacer.ended(ask(f"b{number}", "base"), RequestEnd(200))
        took = asyncio.get_running_loop().time()
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return took

    assert run(main()) < 0.1


def test_a_days_limit_is_there_to_be_used() -> None:
    """10,000 a day are no 7 a minute: what is left of them may go out at once."""
    day = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9000",
        "x-ratelimit-reset-requests": "2h24m0s",
    }

    async def main() -> float:
        pacer = Pacer(8)
        for number in range(100):
            await pacer(ask(str(number)))
            await asyncio.sleep(0.1)
            pacer.ended(ask(str(number)), RequestEnd(200, day))
        return asyncio.get_running_loop().time()

    assert run(main()) < 12


def test_a_pool_that_others_use_too_is_not_overdrawn() -> None:
    """The provider's own account counts, not only what we sent."""
    told = {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "60s",
    }

    async def main() -> float:
        pacer = Pacer(8)
        await pacer(ask("a"))
        pacer.ended(ask("a"), RequestEnd(200, told))
        await pacer(ask("b"))
        pacer.ended(ask("b"), RequestEnd(200, told))
        start = asyncio.get_running_loop().time()
        await pacer(ask("c"))
        return asyncio.get_running_loop().time() - start

    assert run(main()) >= 0.09


def test_a_request_larger_than_the_limit_still_goes_out() -> None:
    told = {"x-ratelimit-limit-tokens": "500", "x-ratelimit-remaining-tokens": "500"}

    async def main() -> float:
        pacer = Pacer(8)
        await pacer(ask("a"))
        pacer.ended(ask("a"), RequestEnd(200, told))
        await pacer(ask("b", max_tokens=5000))
        pacer.ended(ask("b", max_tokens=5000), RequestEnd(200, told))
        return asyncio.get_running_loop().time()

    assert run(main()) < 120


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                f"x-ratelimit-{what}-{of}"
                for what in ("limit", "remaining", "reset")
                for of in ("requests", "tokens", "project-tokens")
            ]
        ),
        st.one_of(
            st.text(max_size=12),
            st.integers(-2, 10**18).map(str),
            st.sampled_from(["-1", "6m0s", "NaN", "1e9", "0", "120ms"]),
        ),
    ),
    st.sampled_from([0, 200, 429, 500]),
)
@example({"x-ratelimit-limit-tokens": "1", "x-ratelimit-remaining-tokens": "0"}, 429)
def test_no_header_stops_a_run(headers: dict[str, str], status: int) -> None:
    async def main() -> float:
        pacer = Pacer(8)
        for number in range(12):
            await pacer(ask(str(number)))
            await asyncio.sleep(0.01)
            pacer.ended(ask(str(number)), RequestEnd(status, headers))
        return asyncio.get_running_loop().time()

    assert run(main()) < 1e6


def test_an_end_that_was_never_begun_changes_nothing() -> None:
    async def main() -> int:
        pacer = Pacer(1)
        pacer.ended(ask("nobody"), RequestEnd(200))
        return pacer.under_way

    assert run(main()) == 0


def test_the_estimate_counts_what_may_be_sampled() -> None:
    assert estimate(ask("a", max_tokens=1000)) > 1000
    assert estimate(ask("a", max_tokens=1)) < 200
