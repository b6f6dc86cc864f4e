"""A known algorithm takes the model's place where something is to be learnt."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rmft_api import baselines
from rmft_api.config.schema import RunConfig, TeacherConfig
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Address, Message, Round, Trajectory
from rmft_api.local_server.numeric import chats
from rmft_api.loop import iterate
from rmft_api.prompts import load
from rmft_api.prompts.templates import Template
from rmft_api.rollouts import preparation
from rmft_api.rollouts.engine import play as play_out
from rmft_api.rollouts.reasons import Reasons, reason
from rmft_api.rollouts.teacher import Teacher
from tests.loop_world import World, config

FIELDS = frozenset({"best", "few", "hope", "action"})
TEMPLATE = Template(Path("reasons.md"), "best $best, few $few, hope $hope: $action", FIELDS)
NAMES = ("A", "B", "C")


async def walk(world: World) -> list[tuple[Trajectory, Any]]:
    journal = world.journal()
    try:
        await iterate(world.run(journal))
        return journal.trajectories("train", 1)
    finally:
        journal.close()


def labels(world: World) -> list[str]:
    lines = [json.loads(line) for line in world.learnt[0][1].splitlines()]
    return [line["messages"][-1]["content"] for line in lines]


async def test_what_is_learnt_is_what_the_algorithm_did_and_the_model_is_not_asked(
    tmp_path: Path,
) -> None:
    taught = config(iterations=1, teacher={"algorithm": "thompson"})
    world = World(tmp_path, taught, ["skill-0.9"])
    played = await walk(world)
    tables = [s for s in preparation.scenarios(taught, "train", 1) for _ in range(4)]
    plays = baselines.play("thompson", tables, taught.seed)
    assert [[round.action for round in one.rounds] for one, _ in played] == [
        play.actions_T.tolist() for play in plays
    ]
    assert not [request for request in world.chat.asked if request.key.startswith("train/")]
    assert all(label.startswith("<Answer>") for label in labels(world))


async def test_a_teacher_gives_the_hand_written_reason(tmp_path: Path) -> None:
    taught = config(iterations=1, teacher={"algorithm": "ucb1"}, prompts={"reasons": "template"})
    world = World(tmp_path, taught, ["skill-0.9"])
    await walk(world)
    assert all("has the best average" in label for label in labels(world))


async def test_hand_written_reasons_stand_in_the_place_of_the_models_own(tmp_path: Path) -> None:
    own = World(tmp_path / "own", config(iterations=1), ["skill-0.9"])
    played = await walk(own)
    told = World(
        tmp_path / "told", config(iterations=1, prompts={"reasons": "template"}), ["skill-0.9"]
    )
    assert await walk(told) == played  # it plays as it did
    assert all("I see." in label for label in labels(own))
    assert all("has the best average" in label for label in labels(told))
    answers = [[label[label.index("<Answer>") :] for label in labels(w)] for w in (own, told)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("output", ["distribution", "policy"])
async def test_a_full_information_teacher_states_its_mixture(tmp_path: Path, output: str) -> None:
    taught = config(
        iterations=1,
        teacher={"algorithm": "hedge"},
        prompts={"output": output},
        rollouts={
            "scenarios": 2,
            "trajectories": 2,
            "problems": [{"environment": "online_learning", "K": 3, "T": 6}],
        },
        selection={"k": 1},
    )
    prompts = load(taught.prompts, [resources.prompts_dir()])
    teacher = Teacher(taught, TeacherConfig(algorithm="hedge"), prompts, 1)
    tables = [s for s in preparation.scenarios(taught, "train", 1) for _ in range(2)]
    plays = baselines.play("hedge", tables, taught.seed)
    world = World(tmp_path, taught, [])
    kept: list[Trajectory] = []

    async def save(seat: Any, finished: Any) -> None:
        kept.extend(one.whole() for one in finished)

    seats = preparation.prepared_scenarios(taught, prompts, "train", 1)
    await play_out(preparation.rollout_settings(taught, "train", 1, "m", 1), seats, teacher, save)
    kept.sort(key=lambda one: (one.address.scenario, one.address.trajectory))
    for one, known in zip(kept, plays, strict=True):
        policies = np.array([round.policy for round in one.rounds], dtype=np.float64)
        np.testing.assert_allclose(policies, known.policies_TK, atol=2e-4)
    assert world.chat.asked == []


def test_an_algorithm_that_does_not_fit_is_refused_by_name() -> None:
    taught: RunConfig = config(teacher={"algorithm": "hedge"})
    prompts = load(taught.prompts, [resources.prompts_dir()])
    with pytest.raises(ConfigError, match="'hedge' needs all K rewards"):
        Teacher(taught, TeacherConfig(algorithm="hedge"), prompts, 1)


def test_a_reason_tells_what_the_rounds_before_showed() -> None:
    rewards = np.array([[0.2, 0.9, 0.5], [0.4, 0.1, 0.6], [0.3, 0.8, 0.7]])
    told = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 0, 1.0]])
    words = reason(TEMPLATE, NAMES, rewards, told, 2)
    assert words == "best C, few B, hope B: C"  # what was never told is hoped for first
    everything = reason(TEMPLATE, NAMES, rewards, np.ones((3, 3)), 0)
    assert everything == "best B, few A, hope B: A"
    nothing = reason(TEMPLATE, NAMES, rewards[:0], told[:0], 1)
    assert nothing == "best A, few A, hope A: B"


def test_reasons_for_a_model_know_only_what_it_was_told() -> None:
    rounds = tuple(
        Round((Message("user", "?"),), "r", "read", a, None, (0.1, 0.9, 0.2)) for a in (0, 2, 0)
    )
    one = Trajectory(Address("train", 1, 0, 0), "m", NAMES, rounds)
    assert Reasons(config(), TEMPLATE)(one, 2) == "best C, few B, hope B: A"


async def test_a_teacher_of_the_numeric_models_answers_with_the_json_alone() -> None:
    """They read nothing else: a tag would make their provider refuse the file."""
    problem = {"environment": "online_learning", "K": 3, "T": 4}
    prompts = {"set": "numeric", "story": "numbers", "history": "raw", "reasoning": "none"}
    taught = config(
        teacher={"algorithm": "hedge"},
        prompts={**prompts, "output": "policy"},
        rollouts={"scenarios": 2, "trajectories": 3, "problems": [problem]},
    )
    loaded = load(taught.prompts, [resources.prompts_dir()])
    teacher = Teacher(taught, TeacherConfig(algorithm="hedge"), loaded, 1)
    request: Any = SimpleNamespace(key="train/1/0/0/2", model="m")
    (choice,) = (await teacher.reply(request)).choices
    assert choice.content is not None
    assert chats.read_policy(choice.content, 3).sum() == pytest.approx(1.0)
