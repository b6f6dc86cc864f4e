"""A round is one batch: paid once, whatever ends a process, whatever comes of the batch."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from rmft_api.batches import BatchAnswers, BatchedChat, BatchJobs
from rmft_api.core.errors import (
    BudgetError,
    ConfigError,
    DataError,
    FaultKind,
    Mismatch,
    ProviderFault,
    ResumableError,
)
from rmft_api.core.records import (
    Batch,
    BatchAnswer,
    BatchOrder,
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Sampling,
    UploadedFile,
    Usage,
)
from rmft_api.journal import Journal
from rmft_api.providers.capabilities import BatchCapabilities
from rmft_api.requests.retries import Retries
from tests.virtual import VirtualTime

COST = 10
WORST = 25
TRAITS = BatchCapabilities(quarantine_s=5, poll_every_s=30, most_requests=6)
Fate = Callable[[int, str], bool]
"""Whether the request of a key is carried out by the batch of a number, from 0."""


def ask(number: int, t: int = 0, model: str = "m") -> ChatRequest:
    message = Message("user", f"round {t} of {number}")
    key = f"train/1/{number}/0/{t}"
    return ChatRequest(key, model, (message,), 1, 7, Sampling(max_tokens=10))


@dataclass
class Provider:
    """`ports.BatchClient` in memory; it outlives whoever asks."""

    fate: Fate = lambda batch, key: True
    ends: str = "completed"
    status: int = 200
    files: list[tuple[UploadedFile, bytes]] = field(
        default_factory=list[tuple[UploadedFile, bytes]]
    )
    batches: list[Batch] = field(default_factory=list[Batch])
    polls: int = 0
    billed: list[str] = field(default_factory=list[str])
    broken: Callable[[int, str], ProviderFault | None] = lambda batches, key: None
    """What the answer of a key is in the batch of a number, from 1, that is no answer."""
    breaks: str = ""
    """Where to raise: what a process dies of."""
    refuses: dict[str, FaultKind] = field(default_factory=dict[str, FaultKind])
    """How a request is answered after it was done, once."""

    def line(self, request: ChatRequest) -> bytes:
        return msgspec.json.encode({"custom_id": request.key})

    def read(self, request: ChatRequest, answer: BatchAnswer) -> ChatResponse:
        if answer.status != 200:
            kind = FaultKind.REJECTED if answer.status == 400 else FaultKind.SAFE
            raise ProviderFault(f"HTTP {answer.status}", kind, status=answer.status)
        if (fault := self.broken(len(self.batches), request.key)) is not None:
            raise fault
        content = answer.body.decode()
        return ChatResponse("r", request.model, (Choice(content, "stop"),), Usage(5, 5))

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        file = UploadedFile(f"file-{len(self.files)}", filename, len(content))
        self.files.append((file, content))
        self._die("upload")
        return file

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        return [file for file, _ in self.files if file.filename == filename]

    async def create(self, order: BatchOrder) -> Batch:
        number = len(self.batches)
        batch = Batch(f"batch-{number}", "validating", order.input_file, number)
        self.batches.append(msgspec.structs.replace(batch, metadata={"k": order.key}))
        self._die("create")
        return batch

    async def find(self, order: BatchOrder) -> list[Batch]:
        return [one for one in self.batches if one.metadata["k"] == order.key]

    async def batch(self, batch_id: str) -> Batch:
        self.polls += 1
        self._die("poll")
        number, batch = next((i, b) for i, b in enumerate(self.batches) if b.id == batch_id)
        if batch.status == "validating":
            keys = self._keys(batch)
            done = [key for key in keys if self.ends != "failed" and self.fate(number, key)]
            self.billed += done if self.status == 200 else []
            batch = msgspec.structs.replace(
                batch,
                status=self.ends,
                output_file=",".join(done),
                total=len(keys),
                completed=len(done) if self.status == 200 else 0,
                errors="line 1: bad" if self.ends == "failed" else None,
            )
            self.batches[number] = batch
        return batch

    async def cancel(self, batch_id: str) -> Batch:
        (number,) = [i for i, one in enumerate(self.batches) if one.id == batch_id]
        if self.batches[number].status == "cancelled":
            raise ProviderFault("it has ended and cannot be cancelled", FaultKind.STOP, status=400)
        self.batches[number] = msgspec.structs.replace(self.batches[number], status="cancelled")
        self._die("cancel")
        return self.batches[number]

    async def answers(self, batch: Batch) -> list[BatchAnswer]:
        self._die("answers")
        done = (batch.output_file or "").split(",")
        return [
            BatchAnswer(key, self.status, f"<{key}>".encode())
            if key in done
            else BatchAnswer(key, 0, b"", "batch_expired")
            for key in reversed(self._keys(batch))
        ]

    def _keys(self, batch: Batch) -> list[str]:
        (content,) = [content for file, content in self.files if file.id == batch.input_file]
        return [msgspec.json.decode(line)["custom_id"] for line in content.splitlines()]

    def _die(self, where: str) -> None:
        if self.breaks == where:
            raise KilledError(where)
        if kind := self.refuses.pop(where, None):
            raise ProviderFault(f"refused after {where}", kind, status=429, retry_after_s=90.0)


class KilledError(Exception):
    """In place of the end of a process."""


@dataclass
class Bench:
    """A run folder, a provider, and processes that come and go."""

    folder: Path
    provider: Provider = field(default_factory=Provider)
    time: VirtualTime = field(default_factory=VirtualTime)
    said: list[str] = field(default_factory=list[str])

    @asynccontextmanager
    async def process(self, price: int | None = WORST) -> AsyncGenerator[BatchedChat]:
        begun = (self.folder / "journal.sqlite").exists()
        clock = self.time.clock
        journal = (
            Journal.open(self.folder, clock=clock)
            if begun
            else Journal.create(self.folder, "{}", {}, clock=clock)
        )
        try:
            await journal.ledger.set_cap(200)
            retries = Retries(clock=clock, sleep=self.time.sleep, jitter=lambda: 0.0)
            answers = BatchAnswers(journal.ledger, self.provider, lambda request, reply: COST)
            journeys = BatchJobs(
                journal, self.provider, retries, TRAITS, lambda request: price, answers,
                self.said.append, timeout_s=60,
            )  # fmt: skip
            async with BatchedChat(journal, journeys) as chat:
                yield chat
            self.spent, self.reserved, _ = journal.ledger.totals()
        finally:
            journal.close()

    async def ask_all(
        self, asks: Sequence[ChatRequest], price: int | None = WORST
    ) -> list[str | None]:
        async with self.process(price) as chat:
            replies = await asyncio.gather(*(chat.reply(one) for one in asks))
        return [reply.choices[0].content for reply in replies]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "trial")


FOUR = [ask(i) for i in range(4)]
TOLD = [f"<{one.key}>" for one in FOUR]


async def test_what_is_asked_at_once_is_one_batch_paid_at_its_cost(bench: Bench) -> None:
    assert await bench.ask_all(FOUR) == TOLD
    assert len(bench.provider.batches) == 1
    assert (bench.spent, bench.reserved) == (4 * COST, 0)
    assert any("answered within 24h" in line for line in bench.said)


async def test_a_round_is_the_next_batch_and_saved_replies_are_not_asked_again(
    bench: Bench,
) -> None:
    async with bench.process() as chat:

        async def play(number: int) -> None:
            for t in range(3):
                await chat.reply(ask(number, t))

        await asyncio.gather(*(play(number) for number in range(4)))
    assert len(bench.provider.batches) == 3
    assert await bench.ask_all(FOUR) == TOLD
    assert len(bench.provider.batches) == 3


async def test_one_batch_has_one_model_and_no_more_than_the_provider_takes(bench: Bench) -> None:
    asks = [ask(i) for i in range(7)] + [ask(9, model="other")]
    assert len(await bench.ask_all(asks)) == 8
    sizes = [len(content.splitlines()) for _, content in bench.provider.files]
    assert sorted(sizes) == [1, 1, 6]


@pytest.mark.parametrize("where", ["upload", "create", "poll", "answers"])
async def test_a_process_that_dies_on_the_way_is_followed_by_one_that_pays_nothing_twice(
    bench: Bench, where: str
) -> None:
    bench.provider.breaks = where
    with pytest.raises(KilledError):
        await bench.ask_all(FOUR)
    bench.provider.breaks = ""
    assert await bench.ask_all(FOUR) == TOLD
    assert sorted(bench.provider.billed) == sorted(one.key for one in FOUR)
    assert len(bench.provider.files) == len(bench.provider.batches) == 1
    assert (bench.spent, bench.reserved) == (4 * COST, 0)


@pytest.mark.parametrize("where", ["upload", "create"])
@pytest.mark.parametrize("kind", FaultKind)
async def test_a_batch_that_is_made_and_then_refused_is_found_and_paid_once(
    bench: Bench, where: str, kind: FaultKind
) -> None:
    bench.provider.refuses = {where: kind}
    assert await bench.ask_all(FOUR) == TOLD
    assert len(bench.provider.files) == len(bench.provider.batches) == 1
    assert (bench.spent, bench.reserved) == (4 * COST, 0)


async def test_trajectories_that_are_ahead_wait_for_those_of_an_older_batch(bench: Bench) -> None:
    bench.provider.breaks = "poll"
    with pytest.raises(KilledError):
        await bench.ask_all(FOUR)
    bench.provider.breaks = ""
    async with bench.process() as chat:

        async def play(number: int) -> None:
            for t in range(2):
                await chat.reply(ask(number, t))

        await asyncio.gather(*(play(number) for number in range(4)), chat.reply(ask(8)))
    sizes = [len(content.splitlines()) for _, content in bench.provider.files]
    assert sizes == [4, 5]


async def test_what_an_expired_batch_left_is_asked_again_and_nothing_else(bench: Bench) -> None:
    bench.provider.fate = lambda batch, key: batch > 0 or int(key.split("/")[2]) % 2 == 0
    bench.provider.ends = "expired"
    assert await bench.ask_all(FOUR) == TOLD
    assert sorted(bench.provider.billed) == sorted(one.key for one in FOUR)
    assert (bench.spent, bench.reserved) == (4 * COST, 0)


async def test_a_batch_that_somebody_cancelled_stops_the_run_with_its_answers_saved(
    bench: Bench,
) -> None:
    bench.provider.fate = lambda batch, key: batch > 0 or key == FOUR[0].key
    bench.provider.ends = "cancelled"
    with pytest.raises(ResumableError, match="was cancelled"):
        await bench.ask_all(FOUR)
    bench.provider.ends = "completed"
    assert await bench.ask_all(FOUR) == TOLD
    assert sorted(bench.provider.billed) == sorted(one.key for one in FOUR)


async def test_a_batch_that_is_refused_as_a_whole_costs_nothing_and_says_why(bench: Bench) -> None:
    bench.provider.ends = "failed"
    with pytest.raises(DataError, match="line 1: bad"):
        await bench.ask_all(FOUR)
    bench.provider.ends = "completed"
    assert await bench.ask_all(FOUR) == TOLD
    assert (bench.spent, bench.reserved) == (4 * COST, 0)


async def test_a_refused_chat_is_refused_for_ever_and_costs_nothing(bench: Bench) -> None:
    bench.provider.status = 400
    for _ in range(2):
        with pytest.raises(ProviderFault, match="HTTP 400"):
            await bench.ask_all(FOUR[:1])
    assert len(bench.provider.batches) == 1


async def test_an_answer_that_is_none_is_asked_for_in_the_next_batch_and_never_read(
    bench: Bench,
) -> None:
    aborted = ProviderFault("aborted", FaultKind.NO_ANSWER, status=200)
    counted = ProviderFault("aborted", FaultKind.NO_ANSWER, status=200, billed=(5, 5, 0))

    def broken(batch: int, key: str) -> ProviderFault | None:
        first, second = FOUR[0].key, FOUR[1].key
        return {first: aborted, second: counted}.get(key) if batch == 1 else None

    bench.provider.broken = broken
    assert await bench.ask_all(FOUR) == TOLD
    assert len(bench.provider.batches) == 2
    assert (bench.spent, bench.reserved) == (5 * COST, WORST)


@pytest.mark.parametrize("asked", [1, 4])
async def test_answers_of_the_same_wrong_form_end_the_run_as_a_mistake_of_configuration(
    bench: Bench, asked: int
) -> None:
    form = Mismatch("another model")
    wrong = ProviderFault("check_model", FaultKind.NO_ANSWER, status=200, mismatch=form)
    bench.provider.broken = lambda batch, key: wrong
    with pytest.raises(ConfigError, match="check_model"):
        await bench.ask_all(FOUR[:asked])
    assert len(bench.provider.batches) == (2 if asked == 1 else 1)


async def test_money_that_an_answer_asks_for_stops_the_run(bench: Bench) -> None:
    money = ProviderFault("add credit", FaultKind.STOP, status=402)
    bench.provider.broken = lambda batch, key: money
    with pytest.raises(ResumableError, match="add credit"):
        await bench.ask_all(FOUR)


async def test_a_chat_that_no_batch_carries_out_ends_the_run_resumable(bench: Bench) -> None:
    bench.provider.fate = lambda batch, key: False
    with pytest.raises(ResumableError, match="was not carried out"):
        await bench.ask_all(FOUR)


async def test_answers_that_are_counted_and_not_shown_are_waited_for_not_paid_again(
    bench: Bench,
) -> None:
    hidden = bench.provider.answers

    async def none(batch: Batch) -> list[BatchAnswer]:
        return []

    bench.provider.answers = none
    with pytest.raises(ResumableError, match="shows 0 of them"):
        await bench.ask_all(FOUR)
    bench.provider.answers = hidden
    assert await bench.ask_all(FOUR) == TOLD
    assert len(bench.provider.batches) == 1


async def test_a_round_that_does_not_fit_the_budget_is_not_sent_at_all(bench: Bench) -> None:
    with pytest.raises(BudgetError, match="resume"):
        await bench.ask_all([ask(i) for i in range(6)], price=40)
    assert bench.provider.files == []
    with pytest.raises(BudgetError, match="in batches is not known"):
        await bench.ask_all(FOUR, price=None)


async def test_of_two_batches_of_one_round_the_older_is_read_and_the_other_cancelled(
    bench: Bench,
) -> None:
    bench.provider.breaks = "create"
    with pytest.raises(KilledError):
        await bench.ask_all(FOUR)
    bench.provider.breaks = ""
    twin = msgspec.structs.replace(bench.provider.batches[0], id="batch-twin", created_at=9)
    bench.provider.batches.append(twin)
    bench.provider.refuses = {"cancel": FaultKind.SAFE}  # heeded, and refused all the same
    assert await bench.ask_all(FOUR) == TOLD
    assert [one.status for one in bench.provider.batches] == ["completed", "cancelled"]
    assert len(bench.provider.billed) == 4
