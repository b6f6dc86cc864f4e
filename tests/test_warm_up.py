"""The warm-up: what the loop does with a base before iteration 1, over models without a server."""

import json
from pathlib import Path
from typing import Any

import pytest

from rmft_api.core.errors import ResumableError
from rmft_api.core.records import ChatRequest, ChatResponse, Choice
from rmft_api.evaluation import outcome
from rmft_api.evaluation.scoring import Results
from rmft_api.loop import iterate
from rmft_api.planning import spending
from rmft_api.report.results_json import results_json
from rmft_api.report.text.results import results_table
from rmft_api.rollouts import warm_up
from tests.loop_world import Skilled, World, config

WARM = {"scenarios": 5, "trajectories": 3}


async def walk(world: World) -> Results:
    journal = world.journal()
    try:
        return await iterate(world.run(journal))
    finally:
        journal.close()


def warmed(path: Path, **changes: Any) -> World:
    settings = config(iterations=1, warm_up=WARM, **changes)
    return World(path, settings, ["skill-0.5", "skill-0.9"])


class Mute(Skilled):
    """As `Skilled`, but the base says nothing that can be read."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        if request.model != "skill-0.2":
            return await super().reply(request)
        self.asked.append(request)
        return ChatResponse("r", request.model, (Choice("hm", "stop"),) * request.n, None)


async def test_the_warmed_model_is_iteration_0_and_the_base_of_every_comparison(
    tmp_path: Path,
) -> None:
    world = warmed(tmp_path)
    results = await walk(world)
    assert world.started == ["skill-0.2", "skill-0.5"]
    assert [one.model for one in results.iterations] == ["skill-0.5", "skill-0.9"]
    base, after = results.iterations
    assert base.validation.paired_drop is None
    assert after.validation.paired_drop is not None
    fall = base.validation.regret.mean - after.validation.regret.mean
    assert after.validation.paired_drop.mean == pytest.approx(fall)


async def test_the_base_plays_validation_once_before_it_and_nobody_is_asked_for_the_warm_up(
    tmp_path: Path,
) -> None:
    world = warmed(tmp_path)
    results = await walk(world)
    of_base = [one for one in world.chat.asked if one.model == "skill-0.2"]
    assert {tuple(one.key.split("/")[:2]) for one in of_base} == {("validation", "-1")}
    assert not [one for one in world.chat.asked if one.key.startswith("train/0/")]
    found = results.warm_up
    assert found is not None
    assert (found.base, found.model) == ("skill-0.2", "skill-0.5")
    assert (found.trajectories, found.examples) == (15, 15 * 8)
    assert found.valid_before == 1.0
    assert found.before is not None


async def test_a_base_that_cannot_be_read_does_not_stop_the_run(tmp_path: Path) -> None:
    world = warmed(tmp_path, validation={"scenarios": 12, "min_valid_after": 16})
    world.chat = Mute(world.config)
    results = await walk(world)
    assert results.stopped == ""
    found = results.warm_up
    assert found is not None
    assert (found.valid_before, found.before) == (0.0, None)
    assert 16 <= found.replies_before < 96
    assert "before it 0.0% of" in " ".join(results_table(results).split())
    world.chat.asked.clear()
    world.started.clear()
    assert await walk(world) == results
    assert not [one for one in world.chat.asked if one.key.startswith("validation/-1/")]


async def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = await walk(warmed(tmp_path / "whole"))
    world = warmed(tmp_path / "stopped")
    results = None
    for stop in range(3, 400, 40):
        world.chat.asked.clear()
        world.started.clear()
        world.chat.end_after = stop
        try:
            results = await walk(world)
            break
        except ResumableError:
            continue
    assert results == whole
    ours, theirs = (tmp_path / one / "iteration_00/dataset.jsonl" for one in ("whole", "stopped"))
    assert ours.read_bytes() == theirs.read_bytes()


async def test_each_action_is_taken_equally_often_in_every_round(tmp_path: Path) -> None:
    world = warmed(tmp_path)
    await walk(world)
    journal = world.journal()
    played = [one for one, _ in journal.plays("train", 0)]
    journal.close()
    counts = [[0] * 3 for _ in range(8)]
    for one in played:
        assert one.model == warm_up.PLAYER
        for t, told in enumerate(one.rounds):
            assert told.action is not None
            counts[t][told.action] += 1
    assert all(count == 5 for row in counts for count in row)


async def test_reasons_stand_before_the_answers_where_the_prompts_ask_for_reasoning(
    tmp_path: Path,
) -> None:
    for reasoning, lines in (("none", 1), ("free", 2)):
        world = warmed(tmp_path / reasoning, prompts={"reasoning": reasoning})
        results = await walk(world)
        text = (tmp_path / reasoning / "iteration_00/dataset.jsonl").read_text().splitlines()[9]
        label = json.loads(text)["messages"][-1]["content"]
        assert len(label.splitlines()) == lines
        assert results.warm_up is not None
        assert results.warm_up.reasons == (lines == 2)


@pytest.mark.parametrize("output", ["distribution", "policy"])
async def test_distributions_are_random_and_their_largest_share_is_balanced(
    tmp_path: Path, output: str
) -> None:
    mine = warm_up.settings(config(warm_up=WARM, prompts={"output": output}))
    world = World(tmp_path, mine, [])
    journal = world.journal()
    player = warm_up.RandomPlayer.of(mine, world.run(journal).prompts)
    journal.close()
    tops = [int(play.policies_TK[t].argmax()) for play in player.plays for t in range(8)]
    counts = [tops.count(action) for action in range(3)]
    assert max(counts) - min(counts) <= 3  # two shares of a draw may be equal
    assert all(play.policies_TK.sum(axis=1) == pytest.approx(1) for play in player.plays)
    assert len({tuple(play.policies_TK[0]) for play in player.plays}) == 15


async def test_from_base_starts_every_model_from_the_warmed_one(tmp_path: Path) -> None:
    settings = config(iterations=2, warm_up=WARM, finetuning={"chain": "from_base"})
    world = World(tmp_path, settings, ["skill-0.5", "skill-0.6", "skill-0.9"])
    await walk(world)
    assert world.started == ["skill-0.2", "skill-0.5", "skill-0.5"]


async def test_programs_are_told_of_the_warm_up(tmp_path: Path) -> None:
    world = warmed(tmp_path)
    results = await walk(world)
    journal = world.journal()
    told = json.loads(results_json(results, spending(journal)))["warm_up"]
    tracked = outcome.tracked(world.config, journal, 0)
    journal.close()
    assert (told["base"], told["model"], told["examples"]) == ("skill-0.2", "skill-0.5", 120)
    assert told["before"]["valid"] == told["valid_before"] == 1.0
    assert tracked["before_warm_up/valid"] == 1.0
    assert results.warm_up
    assert results.warm_up.before
    assert tracked["before_warm_up/regret"] == results.warm_up.before.regret.mean


def test_a_warm_up_may_have_hyperparameters_of_its_own() -> None:
    mine = config(
        warm_up={**WARM, "learning_rate": 2e-3},
        finetuning={"n_epochs": 2, "learning_rate_multiplier": 0.5, "chain": "from_base"},
    )
    found = warm_up.settings(mine).finetuning
    assert (found.n_epochs, found.learning_rate, found.learning_rate_multiplier) == (2, 2e-3, None)
    assert (found.chain, found.methods) == ("continue", ("supervised",))


def test_false_takes_it_out_and_true_takes_the_defaults() -> None:
    assert config(warm_up=False).warm_up is None
    found = config(warm_up=True).warm_up
    assert found is not None
    assert (found.scenarios, found.trajectories) == (20, 1)
