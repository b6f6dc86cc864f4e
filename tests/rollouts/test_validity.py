"""Replies that cannot be read stop a split early, by a rule that does not depend on chance."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.core.errors import (
    FaultKind,
    ProviderFault,
    ResumableError,
    UnreadableError,
)
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    ReplyStatus,
    Sampling,
)
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.prompts.reader import UnreadableReply
from rmft_api.rollouts import engine
from rmft_api.rollouts.engine import PreparedScenario, RolloutSettings
from rmft_api.rollouts.validity import Floor, TooFew, Validity, Wave
from tests.rollouts.test_engine import Scripted, a_seat

GAME = RolloutSettings(
    "train", 1, "m", seed=7, trajectories=4, sampling=Sampling(), output="action", live=128
)
MUTE: Mapping[ReplyStatus, UnreadableReply | None] = {
    "read": None,
    "unreadable": UnreadableReply("unreadable", "no", "no_answer"),
    "empty": UnreadableReply("empty", "nothing", "empty"),
    "lost": UnreadableReply("lost", "lost", "lost"),
}


class Decisions(Exception):  # noqa: N818 - what a refusal is made of here
    def __init__(self, found: TooFew) -> None:
        super().__init__("too few")
        self.found = found


def heard(
    floor: Floor, wave: Wave, told: Mapping[int, Sequence[ReplyStatus]], order: Sequence[int]
) -> TooFew | None:
    """What is decided when trajectories are heard of in this order, a reply at a time."""
    validity = Validity(floor, wave, Decisions)
    places = dict.fromkeys(told, 0)
    try:
        validity.begin({})
        for number in order:
            status = told[number][places[number]]
            places[number] += 1
            validity.reply(number, Choice("x", "stop"), MUTE[status], ("a", "b"))
            if places[number] == len(told[number]) < wave.horizon(number):
                validity.ended(number)
    except Decisions as decided:
        return decided.found
    return None


@st.composite
def plays(draw: st.DrawFn) -> tuple[Floor, Wave, dict[int, list[ReplyStatus]]]:
    horizons = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    L = draw(st.integers(1, 4))
    wave = Wave(horizons, L, draw(st.integers(1, len(horizons) * L)))
    share = draw(st.sampled_from([0.0, 0.02, 0.3, 0.9]))
    rng = draw(st.randoms(use_true_random=False))
    told: dict[int, list[ReplyStatus]] = {}
    for number in range(wave.trajectories):
        rounds = (
            wave.horizon(number) if rng.random() < 0.8 else rng.randint(1, wave.horizon(number))
        )
        told[number] = [
            "read" if rng.random() < share else rng.choice(["unreadable", "empty", "lost"])
            for _ in range(rounds)
        ]
    floor = Floor(draw(st.sampled_from([0.01, 0.25, 0.6])), draw(st.integers(1, 30)))
    return floor, wave, told


@given(plays(), st.data())
def test_a_decision_does_not_depend_on_which_reply_came_first(
    played: tuple[Floor, Wave, dict[int, list[ReplyStatus]]], data: st.DataObject
) -> None:
    floor, wave, told = played
    turns = [number for number, statuses in told.items() for _ in statuses]
    first = heard(floor, wave, told, turns)
    other = heard(floor, wave, told, data.draw(st.permutations(turns)))
    assert first == other
    assert first is None or sum(first.causes.values()) == first.replies - first.valid


@given(plays())
def test_whatever_is_played_to_its_end_is_decided_on_whole(
    played: tuple[Floor, Wave, dict[int, list[ReplyStatus]]],
) -> None:
    floor, wave, told = played
    turns = [number for number, statuses in told.items() for _ in statuses]
    every = [status for statuses in told.values() for status in statuses if status != "lost"]
    too_few = bool(every) and every.count("read") < floor.least * len(every)
    if too_few:
        assert heard(floor, wave, told, turns) is not None


@given(plays(), st.data())
def test_what_was_played_before_counts_as_if_it_came_now(
    played: tuple[Floor, Wave, dict[int, list[ReplyStatus]]], data: st.DataObject
) -> None:
    floor, wave, told = played
    before = data.draw(st.sets(st.sampled_from(sorted(told))))
    turns = [number for number, statuses in told.items() for _ in statuses]
    first = heard(floor, wave, told, turns)
    validity = Validity(floor, wave, Decisions)
    found: TooFew | None = None
    try:
        validity.begin({number: told[number] for number in before})
        for number in set(told) - before:
            for status in told[number]:
                validity.reply(number, Choice("x", "stop"), MUTE[status], ("a", "b"))
            validity.ended(number)
    except Decisions as decided:
        found = decided.found
    assert (first is None) == (found is None)
    if first and found:
        assert (first.valid, first.replies) == (found.valid, found.replies)


def stopped(
    game: RolloutSettings,
    chat: Scripted,
    seats: Sequence[PreparedScenario],
    least: float = 0.01,
    after: int = 20,
) -> TooFew | None:
    """What a play is stopped with."""

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        pass

    wave = engine.wave(game, [seat.scenario.T for seat in seats])
    validity = Validity(Floor(least, after), wave, Decisions)

    async def play() -> None:
        validity.begin({})
        await engine.play(game, seats, chat, save, validity=validity)

    try:
        asyncio.run(play())
    except Decisions as decided:
        return decided.found
    return None


def mute(of: float = 1.0) -> Scripted:
    """A model that says nothing readable in this share of its replies."""
    return Scripted(
        lambda request, i: "hm" if (request.seed + i) % 100 < 100 * of else "<Answer>red</Answer>"
    )


def test_a_model_that_says_nothing_readable_is_stopped_after_the_first_replies() -> None:
    chat, seats = mute(), [a_seat(i, T=25) for i in range(100)]
    found = stopped(replace(GAME, live=64), chat, seats)
    assert found is not None
    assert (found.valid, found.replies) == (0, 20)
    assert found.causes["no_answer"] >= 20
    assert found.sample is not None
    assert (found.sample.text, found.sample.names) == ("hm", ("red", "blue", "green"))
    assert len(chat.asks) <= 20 + 64


def test_nothing_is_asked_any_more_once_it_is_decided() -> None:
    class OneByOne(Scripted):
        async def reply(self, request: ChatRequest) -> ChatResponse:
            self.asks.append(request)
            await asyncio.sleep(0.001 * len(self.asks))  # the 20 come one after the other
            return ChatResponse("r", request.model, (Choice("hm", "stop"),) * request.n, None)

    chat = OneByOne(lambda request, i: "hm")
    assert stopped(replace(GAME, live=20), chat, [a_seat(i, T=25) for i in range(20)])
    assert len(chat.asks) <= 20 + 19


@pytest.mark.parametrize("largest_n", [1, 3, 128])
def test_choices_of_one_request_count_one_by_one(largest_n: int) -> None:
    seats = [a_seat(i) for i in range(8)]
    found = stopped(replace(GAME, largest_n=largest_n), mute(), seats, after=6)
    assert found is not None
    assert found.replies == 6


def test_a_model_that_is_read_half_of_the_time_plays_on() -> None:
    assert stopped(GAME, mute(0.5), [a_seat(i) for i in range(20)]) is None


def test_a_higher_floor_stops_a_model_that_is_read_half_of_the_time() -> None:
    found = stopped(GAME, mute(0.5), [a_seat(i) for i in range(20)], least=0.9)
    assert found is not None
    assert 0 < found.valid < found.replies == 20


def test_a_floor_of_nothing_stops_nobody() -> None:
    assert stopped(GAME, mute(), [a_seat(i) for i in range(20)], least=0.0) is None


def test_a_split_of_few_replies_is_decided_on_at_its_end() -> None:
    found = stopped(replace(GAME, trajectories=2), mute(), [a_seat()])
    assert found is not None
    assert found.replies == 6


def test_plays_that_end_at_their_first_unreadable_reply_are_stopped_too() -> None:
    game = replace(GAME, unreadable="end", live=4)
    found = stopped(game, mute(), [a_seat(i, T=25) for i in range(40)])
    assert found is not None
    assert found.replies <= 20


def test_a_model_that_falls_silent_later_is_stopped_later() -> None:
    chat = Scripted(
        lambda request, i: "hm" if int(request.key.split("/")[-1]) else "<Answer>red</Answer>"
    )
    found = stopped(replace(GAME, live=40), chat, [a_seat(i, T=25) for i in range(10)], least=0.2)
    assert found is not None
    assert (found.valid, found.replies) == (40, 320)


def test_requests_that_nobody_answered_say_nothing_of_the_model() -> None:
    class Lossy(Scripted):
        async def reply(self, request: ChatRequest) -> ChatResponse:
            if request.key.split("/")[3] != "0":
                raise ProviderFault("timed out", FaultKind.AMBIGUOUS)
            return await super().reply(request)

    seats = [a_seat(i) for i in range(8)]
    with pytest.raises(ResumableError, match="24 requests stayed without an answer"):
        stopped(GAME, Lossy(lambda request, i: "<Answer>red</Answer>"), seats)
    found = stopped(GAME, Lossy(lambda request, i: "hm"), seats)
    assert found is not None
    assert found.replies <= 8


def test_the_error_is_one_of_data() -> None:
    assert UnreadableError.exit_code == 65
