"""Scripted players answer in the right form whatever the words, and rehearse a whole run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import rmft_api
from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import ChatRequest, ChatResponse, VisibleState
from rmft_api.core.scripted_players import BASES, is_scripted
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.local_server import chat_answer
from rmft_api.local_server.chat_request import read_chat
from rmft_api.local_server.engine import ExampleError
from rmft_api.local_server.scripted_players import ScriptedPlayersEngine, chosen
from rmft_api.prompts import of_run
from rmft_api.providers import profiles
from rmft_api.providers.encoding import RequestEncoder
from rmft_api.providers.replies import Replies
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario

BANDIT = {"environment": "bandit", "K": 3, "T": 4}
SETS = sorted(path.name for path in resources.prompts_dir().iterdir() if path.is_dir())
PROBLEMS: dict[str, dict[str, Any]] = {
    "bandit": BANDIT,
    "full": {"environment": "online_learning", "K": 3, "T": 4},
    "contextual": {"environment": "contextual", "K": 3, "T": 4},
    "story": {**BANDIT, "story": "all"},
}
VARIANTS: list[dict[str, Any]] = [
    *(
        {"output": output, "answer": answer, "conversation": kind}
        for output in ("action", "distribution", "policy")
        for answer in ("tag", "json", "tool")
        for kind in ("single_turn", "multi_turn")
    ),
    {"answer": "json", "reasoning": "none", "examples": 2},
    {"answer": "tool", "reasoning": "none", "examples": 2, "conversation": "multi_turn"},
    {"answer": "tool", "repeat_reason": True},
    *({"history": "raw", "conversation": kind} for kind in ("single_turn", "multi_turn")),
    {"reasoning": "none", "stakes": "loss"},
    {"repeat_reason": True, "framing": "suggestive", "examples": 2},
]


def described(problem: dict[str, Any], base: str, **prompts: Any) -> RunConfig:
    raw = {
        "name": "mine",
        "model": {"base": base},
        "prompts": prompts,
        "rollouts": {"scenarios": 2, "trajectories": 8, "problems": [problem]},
    }
    return schema.parse(raw, "test")


class Served:
    """The player behind the wire, without a socket."""

    def __init__(self, base: str) -> None:
        self.model = ScriptedPlayersEngine().load(base, None)
        self.encoder = RequestEncoder(profiles.load("local").chat)
        self.replies = Replies(profiles.load("local"))
        self.asked = 0

    async def reply(self, request: ChatRequest) -> ChatResponse:
        self.asked += 1
        body = read_chat(self.encoder.encode(request))
        said = self.model.complete(body.prompts())
        raw = chat_answer.body("c", 0, request.model, said, offers_tools=body.offers_tools)
        return self.replies.read(request, 200, {}, raw)


async def statuses(config: RunConfig) -> list[str]:
    found: list[str] = []

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        found.extend(one.status for kept in finished for one in kept.figures.rounds)

    settings = preparation.rollout_settings(config, "train", 1, config.model.base, 8)
    seats = preparation.prepared_scenarios(config, of_run(config), "train", 1)
    await engine.play(settings, seats, Served(config.model.base), save)
    return found


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", SETS)
async def test_every_reply_is_read_whatever_the_set_the_problem_and_the_form(
    name: str, problem: str, base: str
) -> None:
    told = 0
    for variant in VARIANTS:
        numbers = {"story": "numbers", "output": "policy"} if name == "numeric" else {}
        config = described(PROBLEMS[problem], base, set=name, **{**variant, **numbers})
        try:
            seats = preparation.prepared_scenarios(config, of_run(config), "train", 1)
            next(iter(seats)).prompt_builder()
        except ConfigError:  # the set has no words for this
            continue
        assert set(await statuses(config)) == {"read"}, variant
        told += 1
    assert told or (name, problem) in {
        *((name, "story") for name in ("compact", "compact-state", "plain", "short", "numeric")),
        *(("compact", problem) for problem in ("full", "contextual")),
        *(("numeric", problem) for problem in ("bandit", "contextual")),
    }


def state(counts: tuple[int, ...], sums: tuple[float, ...]) -> VisibleState:
    return VisibleState(("A", "B", "C"), "action", counts, sums)


def test_players_decide_as_their_algorithms_do() -> None:
    seen = state((4, 4, 0), (1.0, 4.0, 0.0))
    rng = np.random.default_rng(0)
    assert {chosen("random", seen, rng) for _ in range(50)} == {0, 1, 2}
    assert {chosen("greedy", seen, rng) for _ in range(9)} == {2}
    assert {chosen("ucb1", seen, rng) for _ in range(9)} == {2}
    tried = state((50, 50, 1), (20.0, 45.0, 0.3))
    assert {chosen("greedy", tried, rng) for _ in range(9)} == {1}
    assert {chosen("ucb1", tried, rng) for _ in range(9)} == {2}
    assert [chosen("thompson", tried, rng) for _ in range(100)].count(1) > 60
    assert {chosen("greedy", state((0, 0, 0), (0.0, 0.0, 0.0)), rng) for _ in range(50)} == {
        *range(3)
    }


def test_a_chat_without_the_visible_state_is_refused_in_words() -> None:
    body = {"model": BASES[0], "messages": [{"role": "user", "content": "Hi"}]}
    prompts = read_chat(msgspec.json.encode(body)).prompts()
    with pytest.raises(ExampleError, match="reads no words"):
        ScriptedPlayersEngine().load(BASES[0], None).complete(prompts)


def test_no_other_model_is_sent_what_players_decide_by() -> None:
    assert is_scripted("ft:scripted-ucb1:local:x:1")
    assert not any(map(is_scripted, ("rmft-tiny", "scripted-1", "gpt-4o", "ft:gpt-4o:scripted")))


@pytest.mark.parametrize("answer", ["json", "tool"])
def test_a_run_in_another_form_is_rehearsed_and_trains_on_that_form(
    tmp_path: Path, answer: str
) -> None:
    file: dict[str, Any] = {
        "name": "forms",
        "iterations": 1,
        "model": {"base": "scripted-ucb1"},
        "prompts": {"answer": answer, "conversation": "multi_turn", "examples": 1},
        "rollouts": {"scenarios": 2, "trajectories": 2, "problems": [{**BANDIT, "T": 6}]},
        "selection": {"k": 1},
        "validation": {"scenarios": 2},
        "test": {"scenarios": 2},
        "finetuning": {"poll_every_s": 0.05},
    }
    run = rmft_api.run(file, runs=tmp_path)
    assert run.results is not None
    assert [one.validation.valid for one in run.results.iterations] == [1.0, 1.0]
    lines = (run.directory / "iteration_01" / "dataset.jsonl").read_bytes().splitlines()
    line = msgspec.json.decode(lines[-1])
    last = line["messages"][-1]
    if answer == "json":
        assert set(msgspec.json.decode(last["content"])) == {"reasoning", "answer"}
        return
    assert line["tools"][0]["function"]["name"] == "choose"
    (call,) = last["tool_calls"]
    assert set(msgspec.json.decode(call["function"]["arguments"])) == {"reasoning", "answer"}
    asked = [one["tool_calls"][0]["id"] for one in line["messages"] if "tool_calls" in one][:-1]
    assert asked == [one["tool_call_id"] for one in line["messages"] if one["role"] == "tool"]


def test_a_whole_run_is_rehearsed_and_its_fine_tune_plays_the_same(tmp_path: Path) -> None:
    file: dict[str, Any] = {
        "name": "rehearsal",
        "iterations": 1,
        "model": {"base": "scripted-greedy"},
        "prompts": {"set": "plain", "examples": 1},
        "rollouts": {"scenarios": 2, "trajectories": 2, "problems": [{**BANDIT, "T": 5}]},
        "selection": {"k": 1},
        "validation": {"scenarios": 2},
        "test": {"scenarios": 2},
        "finetuning": {"poll_every_s": 0.05},
    }
    run = rmft_api.run(file, runs=tmp_path)
    assert run.results is not None
    assert [one.validation.valid for one in run.results.iterations] == [1.0, 1.0]
    game = run.champion.decider().start(rounds=3)
    assert game.decide_sync().valid
