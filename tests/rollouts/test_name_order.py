"""Actions are told in varied orders, the same for every model, and a liking for a place is seen."""

from collections.abc import Sequence
from typing import Any

import pytest

from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Trajectory
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.evaluation import outcome, scoring
from rmft_api.evaluation.measures import positions
from rmft_api.prompts import of_run
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario


def described(**prompts: Any) -> RunConfig:
    problem = {"environment": "bandit", "K": 3, "T": 4}
    raw = {
        "name": "mine",
        "model": {"base": "rmft-tiny"},
        "prompts": {"set": "compact", "reasoning": "none", **prompts},
        "rollouts": {"scenarios": 3, "trajectories": 4, "problems": [problem]},
        "test": {"scenarios": 8, "trajectories": 2},
        "selection": {"k": 1},
    }
    return schema.parse(raw, "test")


class FirstTold:
    """Chooses whatever stands first in the list of actions."""

    def __init__(self) -> None:
        self.lists: dict[str, str] = {}

    async def reply(self, request: ChatRequest) -> ChatResponse:
        text = request.messages[0].content
        told = text.partition("buttons: ")[2].partition(".")[0]
        self.lists[request.key] = told
        said = Choice(f"<Answer>{told.split(', ')[0]}</Answer>", "stop")
        return ChatResponse("r", request.model, (said,) * request.n, None)


async def played(
    config: RunConfig, model: str = "m", iteration: int = 0
) -> tuple[FirstTold, list[Trajectory]]:
    found: list[Trajectory] = []

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        found.extend(kept.whole() for kept in finished)

    chat = FirstTold()
    settings = preparation.rollout_settings(config, "test", iteration, model, 8)
    seats = preparation.prepared_scenarios(config, of_run(config), "test", iteration)
    await engine.play(settings, seats, chat, save)
    return chat, found


async def test_a_fixed_order_is_the_storys_own() -> None:
    chat, _ = await played(described())
    assert set(chat.lists.values()) == {"A, B, C"}


async def test_every_trajectory_has_one_order_and_every_round_one_of_its_own() -> None:
    for kind, orders in (("trajectory", 1), ("round", 2)):
        chat, found = await played(described(name_order=kind))
        assert len(set(chat.lists.values())) > 2
        by_play: dict[str, set[str]] = {}
        for key, told in chat.lists.items():
            by_play.setdefault(key.rpartition("/")[0], set()).add(told)
        most = max(map(len, by_play.values()))
        assert most == 1 if orders == 1 else most >= orders
        for trajectory in found:
            for one in trajectory.rounds:
                lines = one.prompt[-1].content.split("\n")[1:4]
                listed = one.prompt[0].content.partition("buttons: ")[2].partition(".")[0]
                assert [line[0] for line in lines] == listed.split(", ")


async def test_orders_are_the_same_for_every_model_and_iteration() -> None:
    first, _ = await played(described(name_order="round"))
    later, _ = await played(described(name_order="round"), "another", 3)
    assert list(first.lists.values()) == list(later.lists.values())


async def test_a_liking_for_the_first_place_shows_in_the_measures() -> None:
    config = described(name_order="round")
    _, found = await played(config)
    course = outcome.scenario_set(config, "test")

    def order(address: Any, K: int, t: int) -> tuple[int, ...]:
        return preparation.shown_order(config, address, K, t)

    seen = scoring.of_trajectories(course, found, order).measures
    assert seen.position_shares == (1.0, 0.0, 0.0)
    blind = scoring.of_trajectories(course, found).measures
    assert max(blind.position_shares) < 0.7  # by name alone, the play looks even


def test_shares_of_nothing_are_none() -> None:
    assert positions([], 3) == ()
    assert positions([0, 0, 2, 1], 3) == (0.5, 0.25, 0.25)


def test_an_order_that_cannot_vary_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="use output='distribution'"):
        described(name_order="trajectory", output="policy", set="standard")
    with pytest.raises(ConfigError, match="use name_order='trajectory'"):
        described(name_order="round", conversation="multi_turn", set="standard")
