"""Rollouts: what is asked, what is executed, and what is kept."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from rmft_api.core.errors import (
    FaultKind,
    ProviderDownError,
    ProviderFault,
    ResumableError,
)
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Sampling,
    Trajectory,
)
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.environments import Scenario
from rmft_api.requests.retries import POISON
from rmft_api.rollouts import engine
from rmft_api.rollouts.engine import PreparedScenario, RolloutSettings

NAMES = ("red", "blue", "green")
GAME = RolloutSettings(
    "train", 1, "m", seed=7, trajectories=4, sampling=Sampling(), output="action"
)


class Teller:
    """Tells the actions so far, so that equal histories make equal chats."""

    def __init__(self) -> None:
        self.heard_actions: list[int | None] = []

    def show_in(self, order: tuple[int, ...]) -> None:
        """One order is enough here."""

    def messages(self) -> tuple[Message, ...]:
        return self.new_messages()

    def new_messages(self) -> tuple[Message, ...]:
        return (Message("user", f"so far {self.heard_actions}"),)

    def stats(self) -> None:
        return None

    def observe(self, reply: str, action: int | None, rewards: tuple[float, ...]) -> None:
        self.heard_actions.append(action)


class Scripted:
    """Answers by a function of the ask and the choice's index, and remembers what was asked."""

    def __init__(self, say: Callable[[ChatRequest, int], str]) -> None:
        self.say = say
        self.asks: list[ChatRequest] = []
        self.under_way = 0
        self.most_under_way = 0

    async def reply(self, request: ChatRequest) -> ChatResponse:
        self.asks.append(request)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        choices = tuple(Choice(self.say(request, i), "stop") for i in range(request.n))
        return ChatResponse("r", request.model, choices, None)


def a_seat(index: int = 0, T: int = 3) -> PreparedScenario:
    table = np.random.default_rng(index).random((T, len(NAMES)))
    return PreparedScenario(index, Scenario(table, table, "bandit", "pseudo"), NAMES, Teller)


def always(name: str) -> Scripted:
    return Scripted(lambda request, i: f"thinking. <Answer>{name}</Answer>")


def by_choice(request: ChatRequest, i: int) -> str:
    return f"<Answer>{NAMES[(request.seed + i) % 3]}</Answer>"


def played(
    game: RolloutSettings, chat: Scripted, seats: Sequence[PreparedScenario] = ()
) -> list[Trajectory]:
    kept: list[Trajectory] = []

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        kept.extend(one.whole() for one in finished)

    asyncio.run(engine.play(game, seats or [a_seat()], chat, save))
    return sorted(kept, key=lambda t: (t.address.scenario, t.address.trajectory))


def test_every_scenario_is_played_by_every_trajectory_to_its_horizon() -> None:
    kept = played(GAME, always("blue"), [a_seat(0), a_seat(1, T=5)])
    assert [(t.address.scenario, t.address.trajectory) for t in kept] == [
        (s, i) for s in (0, 1) for i in range(4)
    ]
    assert [len(t.rounds) for t in kept] == [3] * 4 + [5] * 4


def test_the_executed_action_is_the_one_answered_and_earns_its_reward() -> None:
    seat = a_seat()
    for trajectory in played(GAME, always("green"), [seat]):
        for t, told in enumerate(trajectory.rounds):
            assert (told.action, told.status) == (2, "read")
            assert told.rewards == tuple(seat.scenario.rewards[t])


def test_identical_chats_are_one_request_and_others_are_not() -> None:
    chat = Scripted(by_choice)
    played(replace(GAME, largest_n=128), chat)
    assert chat.asks[0].n == 4
    assert len(chat.asks) < 12
    assert sum(request.n for request in chat.asks) == 12


def test_no_request_asks_for_more_choices_than_the_endpoint_allows() -> None:
    chat = always("red")
    played(replace(GAME, largest_n=3), chat)
    assert [request.n for request in chat.asks] == [3, 1] * 3


def test_without_coalescing_every_trajectory_asks_for_itself() -> None:
    chat = always("red")
    played(GAME, chat)
    assert [request.n for request in chat.asks] == [1] * 12
    assert len({request.key for request in chat.asks}) == 12
    assert len({request.seed for request in chat.asks}) == 12


def test_what_is_asked_does_not_depend_on_how_much_runs_at_once() -> None:
    narrow, wide = Scripted(by_choice), Scripted(by_choice)
    seats = [a_seat(i) for i in range(5)]
    assert played(replace(GAME, live=1), narrow, seats) == played(GAME, wide, seats)
    assert {(a.key, a.seed) for a in narrow.asks} == {(a.key, a.seed) for a in wide.asks}
    assert narrow.most_under_way == 1 < wide.most_under_way


def test_trajectories_already_saved_are_not_played_again() -> None:
    chat = always("red")
    kept: list[Trajectory] = []

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        kept.extend(one.whole() for one in finished)

    done = frozenset({0, 1, 3})
    asyncio.run(engine.play(GAME, [a_seat()], chat, save, done=lambda index: done))
    assert [t.address.trajectory for t in kept] == [2]


def test_an_unreadable_reply_executes_nothing_and_the_play_goes_on() -> None:
    chat = Scripted(
        lambda request, i: "red or blue" if request.key.endswith("/1") else "<Answer>red</Answer>"
    )
    for trajectory in played(GAME, chat):
        assert [told.action for told in trajectory.rounds] == [0, None, 0]
        assert trajectory.rounds[1].status == "unreadable"
        assert trajectory.rounds[1].policy is None


def test_an_unreadable_reply_may_end_the_trajectory_where_that_is_declared() -> None:
    chat = Scripted(
        lambda request, i: "?" if request.key.endswith("/1") else "<Answer>red</Answer>"
    )
    kept = played(replace(GAME, unreadable="end"), chat)
    assert [len(trajectory.rounds) for trajectory in kept] == [2] * 4


def test_a_distribution_is_sampled_by_address_and_never_where_it_has_no_mass() -> None:
    chat = Scripted(lambda request, i: "<Answer>red:3,blue:0,green:1</Answer>")
    game = replace(GAME, output="distribution", trajectories=40)
    first, again = played(game, chat), played(game, chat)
    actions = [told.action for trajectory in first for told in trajectory.rounds]
    assert first == again
    assert set(actions) == {0, 2}
    assert 0.55 < actions.count(0) / len(actions) < 0.92


def test_rounds_of_a_seed_block_share_their_sampling_seed() -> None:
    chat = always("red")
    played(replace(GAME, seed_block=2, trajectories=1), chat, [a_seat(T=4)])
    seeds = [request.seed for request in chat.asks]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]


def test_a_chat_that_the_provider_filters_is_data_and_ends_no_run() -> None:
    class Filtering(Scripted):
        async def reply(self, request: ChatRequest) -> ChatResponse:
            raise ProviderFault("no", FaultKind.REJECTED, status=400, code="content_filter")

    kept = played(GAME, Filtering(by_choice))
    assert {told.status for trajectory in kept for told in trajectory.rounds} == {"filtered"}


def test_a_request_that_is_lost_for_good_is_parked_and_ends_no_run() -> None:
    class Poisoned(Scripted):
        async def reply(self, request: ChatRequest) -> ChatResponse:
            if request.key.endswith("/1"):
                raise ProviderFault("lost six times", FaultKind.REJECTED, code=POISON)
            return await super().reply(request)

    kept = played(GAME, Poisoned(by_choice))
    assert {trajectory.rounds[1].status for trajectory in kept} == {"lost"}
    assert {trajectory.rounds[0].status for trajectory in kept} == {"read"}


def test_a_provider_that_is_down_ends_the_play_with_its_own_error() -> None:
    class Down(Scripted):
        async def reply(self, request: ChatRequest) -> ChatResponse:
            raise ProviderDownError("gone")

    with pytest.raises(ProviderDownError, match="gone"):
        played(GAME, Down(by_choice))


def test_a_request_that_stays_without_an_answer_sets_its_trajectory_aside() -> None:
    class Losing(Scripted):
        async def reply(self, request: ChatRequest) -> ChatResponse:
            if request.key.startswith("train/1/0/2/"):
                raise ProviderFault("timed out", FaultKind.AMBIGUOUS)
            return await super().reply(request)

    kept: list[Trajectory] = []

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        kept.extend(one.whole() for one in finished)

    with pytest.raises(ResumableError, match=r"1 requests stayed without an answer.*timed out"):
        asyncio.run(engine.play(GAME, [a_seat()], Losing(by_choice), save))
    assert sorted(t.address.trajectory for t in kept) == [0, 1, 3]


def test_an_adversary_answers_the_policy_that_was_played() -> None:
    def adversary(t: int, policy: np.ndarray, row: np.ndarray) -> np.ndarray:
        return np.where(np.arange(3) == policy.argmax(), 0.0, row)

    table = np.ones((2, 3))
    seat = PreparedScenario(
        0, Scenario(table, table, "full", "static", adversary=adversary), NAMES, Teller
    )
    for trajectory in played(GAME, always("blue"), [seat]):
        assert [told.rewards for told in trajectory.rounds] == [(1.0, 0.0, 1.0)] * 2
