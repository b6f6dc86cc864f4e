import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmft_api.core.errors import (
    BudgetError,
    DataError,
    FaultKind,
    NotEntitledError,
    ProviderDownError,
    ProviderFault,
    ResumableError,
    StorageError,
)
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Sampling,
    Usage,
)
from rmft_api.journal import Journal, Totals
from rmft_api.requests.journaled_chat import JournaledChat
from rmft_api.requests.retries import LOST_FOR_GOOD, Retries
from tests.virtual import VirtualTime

WORST, COST = 100, 30


def ask(key: str = "train/0/1/2", text: str = "Which button?", n: int = 1) -> ChatRequest:
    return ChatRequest(key, "m", (Message("user", text),), n, 7, Sampling())


class Wire:
    """Counts requests; meets each with the next of `faults`, then with an answer."""

    def __init__(self) -> None:
        self.requests = 0
        self.faults: list[FaultKind] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self._arrived = asyncio.Semaphore(0)

    async def reply(self, request: ChatRequest) -> ChatResponse:
        self.requests += 1
        self._arrived.release()
        await self.hold.wait()
        if self.faults:
            kind = self.faults.pop(0)
            raise ProviderFault(f"a {kind} fault", kind, status=403, code="x")
        choices = tuple(Choice(f"{request.key} {i}", "stop") for i in range(request.n))
        return ChatResponse(f"id-{self.requests}", request.model, choices, Usage(10, 5))

    async def arrived(self, requests: int) -> None:
        for _ in range(requests):
            await self._arrived.acquire()


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.create(tmp_path / "trial", "{}", {})
    yield journal
    journal.close()


@pytest.fixture
async def chat(journal: Journal, wire: Wire, time: VirtualTime) -> JournaledChat:
    await journal.ledger.set_cap(100_000)
    return chat_of(journal, wire, time)


def chat_of(
    journal: Journal,
    wire: Wire,
    time: VirtualTime,
    worst: int | None = WORST,
    cost: int | None = COST,
) -> JournaledChat:
    retries = Retries(clock=time.clock, sleep=time.sleep, jitter=lambda: 1.0)
    return JournaledChat(journal, wire, retries, price=lambda _: worst, cost=lambda _, __: cost)


async def test_a_reply_is_asked_for_once_and_then_answered_by_the_journal(
    chat: JournaledChat, wire: Wire
) -> None:
    first = await chat.reply(ask(n=3))
    assert [choice.content for choice in first.choices] == [f"train/0/1/2 {i}" for i in range(3)]
    assert await chat.reply(ask(n=3)) == first
    assert wire.requests == 1


async def test_the_next_process_pays_nothing_for_what_was_answered(
    chat: JournaledChat, wire: Wire, journal: Journal, time: VirtualTime
) -> None:
    first = await chat.reply(ask())
    journal.close()
    reopened = Journal.open(journal.run_dir)
    assert await chat_of(reopened, wire, time).reply(ask()) == first
    assert wire.requests == 1
    assert reopened.ledger.totals().spent == COST
    reopened.close()


@pytest.mark.parametrize(
    "changed",
    [
        ask(text="Which lever?"),
        ask(n=2),
        ChatRequest("train/0/1/2", "m2", ask().messages, 1, 7, Sampling()),
        ChatRequest("train/0/1/2", "m", ask().messages, 1, 8, Sampling()),
        ChatRequest("train/0/1/2", "m", ask().messages, 1, 7, Sampling(temperature=0.5)),
    ],
)
async def test_a_key_that_asks_something_else_is_never_answered(
    chat: JournaledChat, wire: Wire, changed: ChatRequest
) -> None:
    await chat.reply(ask())
    with pytest.raises(DataError, match="train/0/1/2 now asks something else"):
        await chat.reply(changed)
    assert wire.requests == 1


@pytest.mark.parametrize("place", [0, 11, 23])
async def test_a_change_anywhere_in_a_long_chat_is_noticed(chat: JournaledChat, place: int) -> None:
    told = [Message("user", f"round {i}") for i in range(24)]
    await chat.reply(ChatRequest("a", "m", tuple(told), 1, 7, Sampling()))
    await chat.reply(ChatRequest("a", "m", tuple(told), 1, 7, Sampling()))
    told[place] = Message("user", "something else")
    with pytest.raises(DataError):
        await chat.reply(ChatRequest("a", "m", tuple(told), 1, 7, Sampling()))


async def test_the_worst_case_is_reserved_on_the_wire_and_the_cost_after(
    chat: JournaledChat, wire: Wire, journal: Journal
) -> None:
    wire.hold.clear()
    call = asyncio.create_task(chat.reply(ask()))
    await wire.arrived(1)
    assert journal.ledger.totals() == Totals(0, WORST, 100_000)
    wire.hold.set()
    await call
    assert journal.ledger.totals() == Totals(COST, 0, 100_000)


async def test_a_reply_that_tells_no_usage_is_booked_at_its_worst_case(
    journal: Journal, wire: Wire, time: VirtualTime
) -> None:
    await journal.ledger.set_cap(1000)
    await chat_of(journal, wire, time, cost=None).reply(ask())
    assert journal.ledger.totals().spent == WORST


async def test_an_unknown_price_is_refused_before_anything_is_sent(
    journal: Journal, wire: Wire, time: VirtualTime
) -> None:
    with pytest.raises(BudgetError, match="price of 'm' is not known"):
        await chat_of(journal, wire, time, worst=None).reply(ask())
    assert wire.requests == 0


async def test_at_the_cap_nothing_is_sent_and_a_higher_one_lets_it_go_on(
    journal: Journal, wire: Wire, time: VirtualTime
) -> None:
    chat = chat_of(journal, wire, time)
    await journal.ledger.set_cap(WORST + COST)
    await chat.reply(ask("a"))
    await chat.reply(ask("b"))
    with pytest.raises(BudgetError, match="resume trial --budget"):
        await chat.reply(ask("c"))
    assert wire.requests == 2
    await journal.ledger.set_cap(10 * WORST)
    await chat.reply(ask("c"))


async def test_bills_far_above_their_worst_case_stop_the_run_after_being_saved(
    journal: Journal, wire: Wire, time: VirtualTime
) -> None:
    await journal.ledger.set_cap(100_000)
    chat = chat_of(journal, wire, time, cost=3 * WORST)
    await chat.reply(ask("a"))
    await chat.reply(ask("b"))
    with pytest.raises(ResumableError, match="correct its price"):
        await chat.reply(ask("c"))
    assert journal.ledger.totals().spent == 9 * WORST


@pytest.mark.parametrize(
    ("faults", "requests", "raises"),
    [
        ([FaultKind.SAFE] * 4, 5, None),
        ([FaultKind.SAFE] * 99, 20, ProviderDownError),
        ([FaultKind.WAIT] * 4, 5, None),
        ([FaultKind.AMBIGUOUS], 2, None),
        ([FaultKind.AMBIGUOUS] * 99, 2, ProviderFault),
        ([FaultKind.REJECTED] * 99, 1, ProviderFault),
        ([FaultKind.STOP] * 99, 1, NotEntitledError),
    ],
)
async def test_every_request_is_a_row_of_the_ledger_and_every_row_a_request(
    chat: JournaledChat,
    wire: Wire,
    journal: Journal,
    faults: list[FaultKind],
    requests: int,
    raises: type[Exception] | None,
) -> None:
    wire.faults = list(faults)
    if raises is None:
        await chat.reply(ask())
    else:
        with pytest.raises(raises):
            await chat.reply(ask())
    assert wire.requests == requests
    assert journal.ledger.count() == requests
    lost = sum(kind is FaultKind.AMBIGUOUS for kind in faults[:requests])
    assert journal.ledger.totals().reserved == lost * WORST


async def test_fewer_choices_of_the_same_may_be_asked_for_later(
    chat: JournaledChat, wire: Wire
) -> None:
    """A profile that lowers `chat.n` in the middle of a run finds what it asked for before."""
    many = await chat.reply(ask(n=4))
    assert (await chat.reply(ask(n=1))).choices == many.choices[:1]
    assert wire.requests == 1
    wire.faults = [FaultKind.STOP]
    with pytest.raises(NotEntitledError):
        await chat.reply(ask("other", n=4))
    assert len((await chat.reply(ask("other", n=1))).choices) == 1


async def test_a_reply_that_is_no_answer_costs_what_it_tells_or_stays_reserved(
    journal: Journal, wire: Wire, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.ledger.set_cap(100_000)
    retries = Retries(clock=time.clock, sleep=time.sleep, jitter=lambda: 1.0)
    chat = JournaledChat(
        journal, wire, retries, price=lambda _: WORST, cost=lambda _, told: _tokens(told)
    )
    met = [(50, 12, 0), (0, 0, 0), None]

    async def broken(request: ChatRequest) -> ChatResponse:
        if not met:
            return ChatResponse("id", request.model, (Choice("A", "stop"),), Usage(1, 1))
        raise ProviderFault("aborted", FaultKind.NO_ANSWER, billed=met.pop(0))

    monkeypatch.setattr(wire, "reply", broken)
    await chat.reply(ask())
    assert journal.ledger.totals() == Totals(62 + 2, WORST, 100_000)


def _tokens(reply: ChatResponse) -> int | None:
    usage = reply.usage
    return usage and usage.prompt_tokens + usage.completion_tokens


async def test_a_request_without_an_answer_is_never_parked_as_lost(
    chat: JournaledChat, wire: Wire
) -> None:
    wire.faults = [FaultKind.NO_ANSWER] * 18
    for _ in range(3):
        with pytest.raises(ProviderFault) as caught:
            await chat.reply(ask())
        assert caught.value.kind is FaultKind.NO_ANSWER
    assert (await chat.reply(ask())).choices
    assert wire.requests == 19


async def test_a_refusal_is_an_answer_and_is_not_asked_for_again(
    chat: JournaledChat, wire: Wire
) -> None:
    wire.faults = [FaultKind.REJECTED]
    for _ in range(2):
        with pytest.raises(ProviderFault, match="a rejected fault"):
            await chat.reply(ask())
    assert wire.requests == 1


async def test_a_request_that_is_lost_in_every_process_is_parked_in_the_end(
    chat: JournaledChat, wire: Wire
) -> None:
    wire.faults = [FaultKind.AMBIGUOUS] * 99
    for _ in range(20):
        with pytest.raises(ProviderFault):
            await chat.reply(ask())
    assert wire.requests == LOST_FOR_GOOD


async def test_a_caller_that_leaves_does_not_lose_the_reply_that_is_paid(
    chat: JournaledChat, wire: Wire, journal: Journal
) -> None:
    wire.hold.clear()
    callers = [asyncio.create_task(chat.reply(ask(f"k{i}"))) for i in range(50)]
    await wire.arrived(50)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    asyncio.get_running_loop().call_later(0.02, wire.hold.set)
    assert await journal.in_flight.drain(10.0) == 0
    await asyncio.gather(*(chat.reply(ask(f"k{i}")) for i in range(50)))
    assert wire.requests == 50
    assert journal.ledger.totals() == Totals(50 * COST, 0, 100_000)


async def test_a_drain_that_takes_too_long_gives_up_what_is_under_way(
    chat: JournaledChat, wire: Wire, journal: Journal
) -> None:
    wire.hold.clear()
    callers = [asyncio.create_task(chat.reply(ask(f"k{i}"))) for i in range(3)]
    await wire.arrived(3)
    assert await journal.in_flight.drain(0.01) == 3
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert journal.ledger.totals().reserved == 3 * WORST


async def test_a_bug_on_the_wire_is_a_crash_and_keeps_the_reservation(
    chat: JournaledChat, wire: Wire, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(request: ChatRequest) -> ChatResponse:
        raise ZeroDivisionError

    monkeypatch.setattr(wire, "reply", broken)
    with pytest.raises(ZeroDivisionError):
        await chat.reply(ask())
    assert journal.ledger.totals().reserved == WORST


async def test_on_a_failing_disk_no_further_request_is_sent(
    chat: JournaledChat, wire: Wire, journal: Journal
) -> None:
    await chat.reply(ask("a"))
    journal._writer.failing = StorageError("disk full")  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(StorageError, match="disk full"):
        await chat.reply(ask("b"))
    assert wire.requests == 1


async def test_two_hundred_at_once_are_each_asked_once(
    chat: JournaledChat, wire: Wire, journal: Journal
) -> None:
    async def trajectory(number: int) -> list[ChatResponse]:
        return [await chat.reply(ask(f"train/0/{number}/{round}")) for round in range(5)]

    replies = await asyncio.gather(*(trajectory(number) for number in range(200)))
    assert wire.requests == 1000
    assert [r.choices[0].content for r in replies[7]] == [f"train/0/7/{i} 0" for i in range(5)]
    assert journal.ledger.totals() == Totals(1000 * COST, 0, 100_000)


async def test_the_pace_is_kept_before_anything_is_reserved(
    journal: Journal, wire: Wire, time: VirtualTime
) -> None:
    pace = Turns(journal)
    await journal.ledger.set_cap(1000)
    retries = Retries(clock=time.clock, sleep=time.sleep)
    chat = JournaledChat(
        journal, wire, retries, price=lambda _: WORST, cost=lambda _, __: COST, pace=pace
    )
    await chat.reply(ask())
    assert pace.held == [0]


async def test_a_turn_that_is_not_used_is_given_back(
    journal: Journal, wire: Wire, time: VirtualTime
) -> None:
    pace = Turns(journal)
    await journal.ledger.set_cap(WORST - 1)
    retries = Retries(clock=time.clock, sleep=time.sleep)
    chat = JournaledChat(
        journal, wire, retries, price=lambda _: WORST, cost=lambda _, __: COST, pace=pace
    )
    with pytest.raises(BudgetError):
        await chat.reply(ask())
    assert pace.dropped_keys == [ask().key]


class Turns:
    """A pace that waits for nothing and remembers."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.held: list[int] = []
        self.dropped_keys: list[str] = []

    async def __call__(self, request: ChatRequest) -> None:
        self.held.append(self.journal.ledger.totals().reserved)

    def dropped(self, request: ChatRequest) -> None:
        self.dropped_keys.append(request.key)
