"""A split that was stopped because nothing could be read: what it costs, and every way on."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rmft_api.config.schema import RunConfig
from rmft_api.core import resources
from rmft_api.core.errors import ResumableError, UnreadableError, UsageError
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Usage
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet, load
from rmft_api.prompts.reader import Cause
from rmft_api.requests.journaled_chat import JournaledChat
from rmft_api.requests.retries import Retries
from rmft_api.rollouts import splits
from rmft_api.rollouts.unreadable_replies import likely
from rmft_api.rollouts.validity import Sample
from rmft_api.session.valid_replies import OnStopped, eased, keep
from tests.loop_world import NAMES, Lines, config

WORST, COST, LIVE = 100, 30, 8


@dataclass
class Wire:
    """Counts requests; says `says`, whatever is asked."""

    says: str | None = None
    finish: str = "stop"
    thoughts: str | None = None
    end_after: int | None = None
    """Requests after which the process ends."""
    asked: list[str] = field(default_factory=list[str])

    async def reply(self, request: ChatRequest) -> ChatResponse:
        self.asked.append(request.key)
        await asyncio.sleep(0)
        choice = Choice(self.says, self.finish, thoughts=self.thoughts)
        return ChatResponse("r", request.model, (choice,) * request.n, Usage(10, 5))


@dataclass
class Stoppable:
    """Lets nothing more out once its wire was asked so often: as a signal stops a run."""

    chat: ChatModel
    wire: Wire

    async def reply(self, request: ChatRequest) -> ChatResponse:
        if self.wire.end_after is not None and len(self.wire.asked) >= self.wire.end_after:
            raise ResumableError("stopped by the test")
        return await self.chat.reply(request)


@dataclass
class Desk:
    """Implements `splits.PlayContext`."""

    config: RunConfig
    journal: Journal
    prompts: PromptSet
    chat: ChatModel
    largest_n: int
    console: Lines = field(default_factory=Lines)


def settings(**changes: object) -> RunConfig:
    rollouts = {
        "scenarios": 6,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "K": 3, "T": 8}],
    }
    return config(rollouts=rollouts, requests={"concurrency": LIVE // 2}, **changes)


@contextmanager
def opened(folder: Path, told: RunConfig) -> Generator[Journal]:
    there = (folder / "journal.sqlite").exists()
    journal = Journal.open(folder) if there else Journal.create(folder, told.model_dump_json(), {})
    try:
        yield journal
    finally:
        journal.close()


async def process(
    folder: Path, wire: Wire, on: OnStopped | None = None, told: RunConfig | None = None, n: int = 1
) -> str:
    """One process that plays a split; how it ended."""
    told = told or settings()
    with opened(folder, told) as journal:
        if on is not None:
            await keep(journal, told, on)
        told = eased(journal, told, on or OnStopped())
        await journal.ledger.set_cap(1_000_000)
        chat = JournaledChat(
            journal,
            wire,
            Retries(),
            price=lambda request: WORST * request.n,
            cost=lambda request, _: COST,
        )
        prompts = load(told.prompts, [resources.prompts_dir()])
        desk = Desk(told, journal, prompts, Stoppable(chat, wire), n)
        try:
            await splits.play(desk, "train", 1, "m", "iteration 1: playing")
        except (UnreadableError, ResumableError) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            await journal.drain(10)
            assert journal.problems() == []
            assert journal.ledger.totals().spent == COST * journal.ledger.count()
        return f"{sum(1 for _ in journal.plays('train', 1))} played"


GOOD = f"<Answer>{NAMES[0]}</Answer>"
ALL = 6 * 4 * 8


async def test_it_says_in_one_line_what_came_what_is_asked_for_and_what_to_do(
    tmp_path: Path,
) -> None:
    wire = Wire(says="Blue!\n\x1b[31mI'd say \u202e blue. " + "x" * 500)
    ended = await process(tmp_path / "loop", wire)
    assert ended.startswith("UnreadableError: iteration 1: playing: none of the first 20 replies")
    assert " can be read (20 without an answer); one of them" in ended
    assert ended.isprintable()
    assert "Blue!\\n\\x1b[31m" in ended
    assert f"<Answer>NAME</Answer> with NAME one of {', '.join(NAMES)}" in ended
    assert "`rmft-api resume loop --ask-again`" in ended
    assert len(ended) < 1300
    assert len(wire.asked) <= 20 + LIVE


@pytest.mark.parametrize("end_after", [0, 1, 7, 19, 20, 21, 30])
@pytest.mark.parametrize("n", [1, 8])
async def test_a_run_that_was_stopped_and_resumed_is_stopped_by_the_same_replies(
    tmp_path: Path, end_after: int, n: int
) -> None:
    whole = await process(tmp_path / "whole" / "loop", Wire("hm"), n=n)
    killed = Wire("hm", end_after=end_after)
    first = await process(tmp_path / "loop", killed, n=n)
    later = Wire("hm")
    assert await process(tmp_path / "loop", later, n=n) == whole or first == whole
    assert not set(killed.asked) & set(later.asked)


async def test_resuming_without_a_change_asks_for_nothing_and_says_the_same(tmp_path: Path) -> None:
    first = await process(tmp_path / "loop", Wire("hm"))
    again = Wire(GOOD)
    assert await process(tmp_path / "loop", again) == first
    assert again.asked == []


async def test_going_on_with_a_lower_floor_pays_nothing_twice_and_is_remembered(
    tmp_path: Path,
) -> None:
    first = Wire("hm")
    await process(tmp_path / "loop", first)
    second = Wire("hm", end_after=50)
    await process(tmp_path / "loop", second, OnStopped(min_valid=0))
    third = Wire("hm")
    assert await process(tmp_path / "loop", third) == "24 played"
    asked = [*first.asked, *second.asked, *third.asked]
    assert len(asked) == len(set(asked)) == ALL


async def test_asking_again_asks_for_the_whole_split_and_keeps_what_was_paid_in_the_books(
    tmp_path: Path,
) -> None:
    first = Wire("hm")
    await process(tmp_path / "loop", first)
    second = Wire(GOOD)
    assert await process(tmp_path / "loop", second, OnStopped(ask_again=True)) == "24 played"
    assert len(second.asked) == ALL
    with opened(tmp_path / "loop", settings()) as journal:
        assert journal.ledger.totals().spent == COST * (len(first.asked) + ALL)
        assert {one.valid for _, one in journal.plays("train", 1)} == {1.0}


async def test_what_is_asked_again_and_is_no_better_stops_again_and_may_be_asked_again(
    tmp_path: Path,
) -> None:
    first = await process(tmp_path / "loop", Wire("hm"))
    for _ in range(2):
        wire = Wire("hm")
        assert await process(tmp_path / "loop", wire, OnStopped(ask_again=True)) == first
        assert 20 <= len(wire.asked) <= 20 + LIVE
    assert await process(tmp_path / "loop", Wire(GOOD), OnStopped(ask_again=True)) == "24 played"


async def test_where_nothing_was_stopped_there_is_nothing_to_ask_again(tmp_path: Path) -> None:
    await process(tmp_path / "loop", Wire(GOOD))
    with pytest.raises(UsageError, match="nothing to ask again"):
        await process(tmp_path / "loop", Wire(GOOD), OnStopped(ask_again=True))


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (Wire("so", finish="length"), "sampling.max_tokens = 256 ends replies"),
        (Wire("", finish="length"), "prompts.set = 'standard'"),
        (Wire(None, thoughts="I think"), "reasoning parser"),
        (Wire(None), "no content"),
        (Wire("the blue one"), "prompts.set = 'standard'"),
        (Wire(f"{GOOD} or {GOOD}"), "several answers"),
        (Wire(f"{GOOD} I am sure"), "continues after its answer"),
        (Wire("<Answer>nothing</Answer>"), "answers in another form"),
        (Wire("x", finish="content_filter"), "filter"),
    ],
)
async def test_the_likely_cause_is_named_by_what_mends_it(
    tmp_path: Path, wire: Wire, says: str
) -> None:
    assert says in await process(tmp_path / "loop", Wire(wire.says, wire.finish, wire.thoughts))


@pytest.mark.parametrize(
    ("cause", "named"), [("cut", True), ("no_answer", True), ("refused", False)]
)
def test_a_warm_up_that_is_too_short_is_named_where_the_form_is_wrong(
    cause: Cause, named: bool
) -> None:
    sample = Sample("This example", "stop", "why", cause, ("blue", "green"))
    words = likely(sample, config(warm_up={"scenarios": 3}))
    assert ("warm_up.scenarios = 3" in words) is named
    assert "warm_up" not in likely(sample, config())


async def test_each_split_has_a_floor_of_its_own(tmp_path: Path) -> None:
    told = settings(validation={"scenarios": 12, "min_valid": 0.5})
    easy = told.model_copy(update={"rollouts": told.rollouts.model_copy(update={"min_valid": 0})})
    assert await process(tmp_path / "loop", Wire("hm"), told=easy) == "24 played"
