import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.errors import (
    BudgetError,
    ConfigError,
    DataError,
    FaultKind,
    ProviderFault,
    ResumableError,
)
from rmft_api.core.records import Record
from rmft_api.core.waits import Wait, Waits
from rmft_api.journal import Journal
from rmft_api.journal.ledger import Totals
from rmft_api.requests.outbox import Outbox, Quarantine
from rmft_api.requests.retries import Retries
from tests.virtual import VirtualTime


class Thing(Record, frozen=True):
    """What the provider makes."""

    id: str


class Crash(BaseException):
    """The process dies here."""


ANSWERS = {
    "refused": FaultKind.REJECTED,
    "stop": FaultKind.STOP,
    "wait": FaultKind.WAIT,
    "safe": FaultKind.SAFE,
    "failed": FaultKind.AMBIGUOUS,
}
"""How a provider may answer instead of telling what it made, or after it has made it."""


class Provider:
    """Makes things, shows them after `lag_s`, and meets each request with the next of `plan`.

    A step that begins with "done, " is answered so after the thing was made.
    """

    def __init__(self, time: VirtualTime, lag_s: float = 0.0) -> None:
        self.time = time
        self.lag_s = lag_s
        self.plan: list[str] = []
        self.retry_after_s: float | None = None
        self.things: list[tuple[float, Thing]] = []
        self.posts = 0
        self.looks: list[float] = []
        self.cancelled: list[Thing] = []

    async def act(self) -> Thing:
        self.posts += 1
        planned = self.plan.pop(0) if self.plan else "ok"
        step = planned.removeprefix("done, ")
        done = step != planned or step in ("lost", "crash", "ok")
        if done:
            self.things.append((self.time.now, Thing(f"thing-{len(self.things)}")))
        if step in ANSWERS:
            raise ProviderFault(
                f"it is {step}", ANSWERS[step], status=400, retry_after_s=self.retry_after_s
            )
        if step in ("dropped", "lost"):
            raise ProviderFault("connection reset", FaultKind.AMBIGUOUS)
        if step == "unsent":
            raise ProviderFault("no route", FaultKind.SAFE, never_sent=True)
        if step == "crash":
            raise Crash
        return self.things[-1][1]

    async def look_up(self) -> Sequence[Thing]:
        self.looks.append(self.time.now)
        return [thing for made, thing in self.things if made + self.lag_s <= self.time.now]

    async def cancel(self, others: Sequence[Thing]) -> None:
        self.cancelled.extend(others)


Once = Callable[..., Awaitable[Thing]]


@pytest.fixture
def provider(time: VirtualTime) -> Provider:
    return Provider(time)


@pytest.fixture
def once(journal: Journal, time: VirtualTime, provider: Provider) -> Once:
    return once_of(journal, time, provider)


def once_of(
    journal: Journal,
    time: VirtualTime,
    provider: Provider,
    again: bool = False,
    waits: Waits | None = None,
) -> Once:
    retries = Retries(clock=time.clock, sleep=time.sleep, jitter=lambda: 1.0, waits=waits)
    outbox = Outbox(journal, retries, Quarantine(), again=again)

    def once(
        key: str = "job/0",
        request: object = ("train", 1),
        reserve: int | None = 0,
        cost: int | None = 0,
        repeatable: bool = False,
    ) -> Awaitable[Thing]:
        return outbox.once(
            key,
            "job",
            request,
            look_up=provider.look_up,
            act=provider.act,
            returns=Thing,
            reserve=reserve,
            cost=cost,
            cancel=provider.cancel,
            repeatable=repeatable,
        )

    return once


async def test_it_acts_once_and_answers_from_the_journal_ever_after(
    once: Once, provider: Provider
) -> None:
    assert await once() == await once() == Thing("thing-0")
    assert (provider.posts, len(provider.looks)) == (1, 1)


async def test_it_looks_before_it_acts_and_adopts_what_a_lost_directory_made(
    once: Once, provider: Provider
) -> None:
    await provider.act()
    assert await once() == Thing("thing-0")
    assert await once() == Thing("thing-0")
    assert provider.posts == 1


async def test_another_request_under_the_same_key_is_an_error(once: Once) -> None:
    await once()
    with pytest.raises(DataError, match="asks something else"):
        await once(request=("train", 2))


async def test_a_lost_reply_is_found_and_adopted(once: Once, provider: Provider) -> None:
    provider.plan = ["lost"]
    assert await once() == Thing("thing-0")
    assert provider.posts == 1


@pytest.mark.parametrize("lag_s", [1.0, 5.0, 60.0, 119.0])
async def test_the_quarantine_outlasts_a_list_that_lags(
    once: Once, provider: Provider, lag_s: float
) -> None:
    provider.lag_s, provider.plan = lag_s, ["lost"]
    assert await once() == Thing("thing-0")
    assert provider.posts == 1


async def test_it_looks_at_the_times_of_the_quarantine(
    once: Once, provider: Provider, time: VirtualTime
) -> None:
    provider.plan = ["dropped"]
    start = time.now
    await once()
    assert [look - start for look in provider.looks] == [0, 0, 5, 15, 30, 60, 120]


async def test_only_a_quarantine_without_a_find_allows_a_second_attempt(
    once: Once, provider: Provider, time: VirtualTime
) -> None:
    provider.plan = ["dropped"]
    start = time.now
    assert await once() == Thing("thing-0")
    assert provider.posts == 2
    assert time.now - start >= 120


async def test_there_is_no_third_attempt(once: Once, provider: Provider) -> None:
    provider.plan = ["dropped", "dropped"]
    for _ in range(2):
        with pytest.raises(ResumableError, match=r"sent 2 times .* resume trial"):
            await once()
    assert provider.posts == 2


async def test_a_user_who_has_looked_may_allow_one_more(
    once: Once, provider: Provider, journal: Journal, time: VirtualTime
) -> None:
    provider.plan = ["dropped", "dropped"]
    with pytest.raises(ResumableError):
        await once()
    assert await once_of(journal, time, provider, again=True)() == Thing("thing-0")
    assert provider.posts == 3


async def test_of_several_the_oldest_is_adopted_and_the_others_are_ended(
    once: Once, provider: Provider, journal: Journal
) -> None:
    await provider.act()
    await provider.act()
    await provider.act()
    assert await once() == Thing("thing-0")
    assert provider.cancelled == [Thing("thing-1"), Thing("thing-2")]
    assert "exists 3 times" in journal.events()[0].text


@pytest.mark.parametrize("wait_s", [0.0, 30.0, 100_000.0])
async def test_after_a_death_in_between_the_next_process_finds_what_was_done(
    run_dir: Path, time: VirtualTime, provider: Provider, wait_s: float
) -> None:
    provider.plan, provider.lag_s = ["crash"], 60.0
    await die(run_dir, time, provider)
    time.now += wait_s
    journal = Journal.open(run_dir, clock=time.clock)
    assert await once_of(journal, time, provider)() == Thing("thing-0")
    assert provider.posts == 1
    journal.close()


async def test_a_death_before_the_request_costs_a_quarantine_and_no_more(
    run_dir: Path, time: VirtualTime, provider: Provider
) -> None:
    provider.plan = ["crash"]
    await die(run_dir, time, provider)
    provider.things.clear()
    journal = Journal.open(run_dir, clock=time.clock)
    start = time.now
    assert await once_of(journal, time, provider)() == Thing("thing-0")
    assert time.now - start == 120
    journal.close()


async def test_a_long_dead_intent_needs_only_one_look(
    run_dir: Path, time: VirtualTime, provider: Provider
) -> None:
    provider.plan = ["crash"]
    await die(run_dir, time, provider)
    provider.things.clear()
    provider.looks.clear()
    time.now += 600 + 120 + 1
    journal = Journal.open(run_dir, clock=time.clock)
    await once_of(journal, time, provider)()
    assert provider.looks == [time.now]
    journal.close()


async def test_a_clock_set_back_does_not_stretch_the_quarantine(
    run_dir: Path, time: VirtualTime, provider: Provider
) -> None:
    provider.plan = ["crash"]
    await die(run_dir, time, provider)
    provider.things.clear()
    time.now -= 7 * 86400
    start = time.now
    journal = Journal.open(run_dir, clock=time.clock)
    await once_of(journal, time, provider)()
    assert time.now - start == 120
    journal.close()


async def die(run_dir: Path, time: VirtualTime, provider: Provider) -> None:
    journal = Journal.create(run_dir, "{}", {}, clock=time.clock)
    task = asyncio.ensure_future(once_of(journal, time, provider)())
    with pytest.raises(Crash):
        await task
    journal.close()


async def test_what_is_refused_is_refused_for_ever_and_costs_nothing(
    once: Once, provider: Provider, journal: Journal
) -> None:
    await journal.ledger.set_cap(1000)
    provider.plan = ["refused"]
    for _ in range(2):
        with pytest.raises(ProviderFault, match="it is refused") as caught:
            await once(reserve=800)
        assert (caught.value.kind, caught.value.status) == (FaultKind.REJECTED, 400)
    assert provider.posts == 1
    assert journal.ledger.totals().reserved == 0


async def test_what_was_refused_may_be_asked_again_on_demand(
    once: Once, provider: Provider, journal: Journal, time: VirtualTime
) -> None:
    provider.plan = ["refused"]
    with pytest.raises(ProviderFault):
        await once()
    assert await once_of(journal, time, provider, again=True)() == Thing("thing-0")


async def test_a_closed_door_is_tried_again_on_resume(once: Once, provider: Provider) -> None:
    provider.plan = ["stop"]
    with pytest.raises(ConfigError, match="it is stop"):
        await once()
    assert await once() == Thing("thing-0")


async def test_what_was_never_sent_is_sent_again_without_a_quarantine(
    once: Once, provider: Provider, time: VirtualTime
) -> None:
    provider.plan = ["unsent"] * 3
    start = time.now
    assert await once() == Thing("thing-0")
    assert provider.posts == 4
    assert time.now - start < 120


@pytest.mark.parametrize("step", ["safe", "wait"])
async def test_a_refusal_is_looked_behind_and_then_asked_again_as_often_as_it_takes(
    once: Once, provider: Provider, journal: Journal, step: str
) -> None:
    await journal.ledger.set_cap(1000)
    provider.plan = [step] * 9
    assert await once(reserve=800, cost=600) == Thing("thing-0")
    assert provider.posts == 10
    assert journal.ledger.totals()[:2] == (600, 0)


@pytest.mark.parametrize("step", ANSWERS)
@pytest.mark.parametrize("lag_s", [0.0, 60.0, 119.0])
async def test_whatever_it_was_answered_with_after_it_was_done_it_is_done_once(
    once: Once, provider: Provider, journal: Journal, time: VirtualTime, step: str, lag_s: float
) -> None:
    await journal.ledger.set_cap(1000)
    provider.plan, provider.lag_s, provider.retry_after_s = [f"done, {step}"], lag_s, 300.0
    start = time.now
    with suppress(ConfigError) if step == "stop" else nullcontext():
        await once(reserve=800, cost=600)
    # A refusal that ends the run is looked behind by whoever resumes, and paid for until then.
    assert sum(journal.ledger.totals()[:2]) in (600, 800)
    assert await once(reserve=800, cost=600) == Thing("thing-0")
    assert provider.posts == 1
    assert time.now - start <= 120
    assert journal.ledger.totals()[:2] == (600, 0)


async def test_a_wait_that_is_asked_for_is_kept_with_a_look_before_the_request(
    once: Once, provider: Provider, time: VirtualTime
) -> None:
    provider.plan, provider.retry_after_s = ["safe"], 300.0
    start = time.now
    await once()
    assert [look - start for look in provider.looks] == [0, 0, 5, 15, 30, 60, 120, 300.5]


async def test_a_long_look_says_what_it_waits_for_and_until_when(
    journal: Journal, time: VirtualTime, provider: Provider
) -> None:
    told: list[Wait] = []

    def listen(wait: Wait | None, is_news: bool) -> None:
        if wait is not None and is_news:
            told.append(wait)

    provider.plan, began = ["safe"], time.now
    await once_of(journal, time, provider, waits=Waits(time.clock, listen))()
    (wait,) = told
    assert re.search(r"job 0: it is safe; it may have been created anyway", wait.what)
    assert wait.until == began + 120


async def test_a_repeatable_request_holds_its_money_once_however_often_it_is_refused(
    once: Once, provider: Provider, journal: Journal
) -> None:
    await journal.ledger.set_cap(1000)
    provider.plan = ["failed", "safe", "unsent", "done, safe", "wait"]
    await once(reserve=800, cost=600, repeatable=True)
    assert provider.looks == []
    assert journal.ledger.totals()[:2] == (600, 0)


STEPS = st.lists(
    st.sampled_from(
        ["ok", "crash", "lost", "dropped", "unsent"]
        + [f"{before}{answer}" for before in ("", "done, ") for answer in ANSWERS]
    ),
    max_size=5,
)


@settings(deadline=None, max_examples=150)
@given(
    steps=STEPS,
    lag_s=st.sampled_from([0.0, 4.0, 60.0, 119.0]),
    retry_after_s=st.sampled_from([None, 1.0, 200.0]),
    away_s=st.sampled_from([0.0, 50.0, 2000.0]),
    again=st.booleans(),
)
def test_one_thing_is_made_and_its_money_held_whatever_is_answered_and_whoever_dies(
    steps: list[str], lag_s: float, retry_after_s: float | None, away_s: float, again: bool
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(_through(Path(folder) / "run", steps, lag_s, retry_after_s, away_s, again))


async def _through(
    path: Path,
    steps: list[str],
    lag_s: float,
    retry_after_s: float | None,
    away_s: float,
    again: bool,
) -> None:
    """Process after process, each of which may be refused for good, or die."""
    time = VirtualTime()
    provider = Provider(time, lag_s)
    provider.plan, provider.retry_after_s = list(steps), retry_after_s
    Journal.create(path, "{}", {}, clock=time.clock).close()
    made, held = None, Totals(0, 0, None)
    for _ in range(len(steps) + 2):
        journal = Journal.open(path, clock=time.clock)
        await journal.ledger.set_cap(100_000)
        try:
            made = await once_of(journal, time, provider, again)(reserve=800, cost=800)
        except (Crash, ProviderFault, ResumableError, ConfigError):
            time.now += away_s
        held = journal.ledger.totals()
        assert held.spent + held.reserved >= 800 * len(provider.things)
        journal.close()
    assert len(provider.things) <= 1
    if made is not None:
        assert [thing for _, thing in provider.things] == [made]
        assert held.spent == 800
        doubtful = sum(step in ("dropped", "failed") for step in steps)
        assert held.reserved <= 800 * doubtful


async def test_the_reservation_stands_until_the_thing_is_settled(
    once: Once, journal: Journal
) -> None:
    await journal.ledger.set_cap(1000)
    await once(reserve=800, cost=None)
    assert journal.ledger.totals()[:2] == (0, 800)
    await journal.ledger.settle("job/0", 500)
    assert journal.ledger.totals()[:2] == (500, 0)


async def test_a_lost_attempt_keeps_its_reservation_beside_the_second(
    once: Once, provider: Provider, journal: Journal
) -> None:
    await journal.ledger.set_cap(2000)
    provider.plan = ["dropped"]
    await once(reserve=800, cost=600)
    assert journal.ledger.totals()[:2] == (600, 800)


async def test_a_found_attempt_takes_its_reservation_with_it(
    once: Once, provider: Provider, journal: Journal
) -> None:
    await journal.ledger.set_cap(2000)
    provider.plan = ["lost"]
    await once(reserve=800, cost=600)
    assert journal.ledger.totals()[:2] == (600, 0)


@pytest.mark.parametrize("reserve", [None, 1001])
async def test_without_a_price_or_the_money_nothing_is_done(
    once: Once, provider: Provider, journal: Journal, reserve: int | None
) -> None:
    await journal.ledger.set_cap(1000)
    with pytest.raises(BudgetError):
        await once(reserve=reserve)
    assert provider.posts == 0


async def test_a_repeatable_request_is_repeated_without_looking(
    once: Once, provider: Provider, time: VirtualTime
) -> None:
    provider.plan = ["lost", "lost", "lost"]
    start = time.now
    await once(repeatable=True)
    assert (provider.posts, provider.looks) == (4, [])
    assert time.now - start < 120


async def test_looking_survives_hours_of_outage(
    once: Once, provider: Provider, time: VirtualTime
) -> None:
    start, look_up = time.now, provider.look_up

    async def down_for_two_hours() -> Sequence[Thing]:
        if time.now < start + 7200:
            raise ProviderFault("no route", FaultKind.SAFE)
        return await look_up()

    provider.look_up = down_for_two_hours
    provider.plan = ["lost"]
    assert await once() == Thing("thing-0")
    assert provider.posts == 1


@pytest.mark.parametrize(
    ("steps", "lag_s"),
    list(
        itertools.product(itertools.product(["ok", "lost", "dropped"], repeat=2), [0.0, 5.0, 60.0])
    ),
)
async def test_there_is_never_more_than_one_live_thing(
    once: Once, provider: Provider, steps: tuple[str, ...], lag_s: float
) -> None:
    provider.plan, provider.lag_s = list(steps), lag_s
    try:
        made = await once()
    except ResumableError:
        assert provider.things == []
    else:
        assert [thing for _, thing in provider.things] == [made]


async def test_a_caller_that_leaves_does_not_stop_what_is_under_way(
    journal: Journal, time: VirtualTime, provider: Provider
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    act = provider.act

    async def slow() -> Thing:
        started.set()
        await go_on.wait()
        return await act()

    provider.act = slow
    caller = asyncio.ensure_future(once_of(journal, time, provider)())
    await started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    assert await journal.in_flight.drain(5.0) == 0
    assert await once_of(journal, time, provider)() == Thing("thing-0")
    assert provider.posts == 1
