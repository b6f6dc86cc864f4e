"""The loop, over models whose names say how well they play."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from rmft_api.core.errors import ResumableError
from rmft_api.core.records import ChatRequest, Interval
from rmft_api.evaluation import outcome
from rmft_api.evaluation.scoring import GateDecision, Results
from rmft_api.loop import iterate, retrain_chain
from tests.loop_world import World, config


async def walk(world: World) -> Results:
    journal = world.journal()
    try:
        return await iterate(world.run(journal))
    finally:
        journal.close()


def played(asked: list[ChatRequest], split: str, iteration: int) -> set[str]:
    """The scenarios that were asked about."""
    keys = (request.key.split("/") for request in asked)
    return {key[2] for key in keys if key[:2] == [split, str(iteration)]}


async def test_every_iteration_starts_from_the_model_before(tmp_path: Path) -> None:
    world = World(tmp_path, config(), ["skill-0.5", "skill-0.9", "skill-0.4"])
    results = await walk(world)
    assert world.started == ["skill-0.2", "skill-0.5", "skill-0.9"]
    assert [one.model for one in results.iterations] == [
        "skill-0.2",
        "skill-0.5",
        "skill-0.9",
        "skill-0.4",
    ]
    assert results.champion.model == "skill-0.9"


async def test_what_was_learnt_from_stands_beside_all_play_in_the_results(tmp_path: Path) -> None:
    results = await walk(World(tmp_path, config(), ["skill-0.5"] * 3))
    assert results.iterations[0].made_from is None
    made = results.iterations[1].made_from
    assert made is not None
    assert made.kept is not None
    assert made.verdicts == {"kept": 6, "rank": 6}
    assert (made.all.measures.plays, made.kept.measures.plays) == (12, 6)
    assert made.kept.regret < made.all.regret
    assert made.kept.measures.best_share > made.all.measures.best_share


async def test_measures_are_told_and_kept_of_every_model(tmp_path: Path) -> None:
    world = World(tmp_path, config(), ["skill-0.5"] * 3)
    results = await walk(world)
    for one in results.iterations:
        assert one.validation.measures.plays == 12
        assert one.validation.measures.switch_delay is None
    told = [line for line in world.console.said if "validation regret" in line]
    assert len(told) == 4
    assert all("K x MinFrac" in line and "entropy" in line for line in told)
    assert sum(": kept 6 of 12: regret" in line for line in world.console.said) == 3


async def test_exploration_that_collapses_is_warned_of(tmp_path: Path) -> None:
    enough = config(validation={"scenarios": 30})
    world = World(tmp_path, enough, ["skill-0.5", "skill-1.0", "skill-1.0"])
    results = await walk(world)
    assert results.iterations[1].warnings == ()
    assert any("actions go untried" in warning for warning in results.iterations[2].warnings)
    assert any(line.startswith("warning: validation: K x MinFrac") for line in world.console.said)


async def test_nothing_is_claimed_of_exploration_on_too_few_scenarios(tmp_path: Path) -> None:
    world = World(tmp_path, config(), ["skill-0.5", "skill-1.0", "skill-1.0"])
    results = await walk(world)
    assert not any(one.warnings for one in results.iterations)


async def test_without_a_gain_the_gate_ends_the_run(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"iterations": 5, "gate": {"stop_after": 2}}
    makes = ["skill-0.8", "skill-0.4", "skill-0.5", "skill-0.9", "skill-0.9"]
    world = World(tmp_path, config(**changes), makes)
    results = await walk(world)
    gates = [one.gate.decision for one in results.iterations if one.gate]
    assert gates == ["continue", "continue", "stop"]
    assert results.champion.index == 1
    assert any("so the run ends here" in line for line in world.console.said)


async def test_a_gate_that_is_closed_falls_back_to_the_champion(tmp_path: Path) -> None:
    world = World(
        tmp_path, config(gate={"fall_back": True}), ["skill-0.8", "skill-0.1", "skill-0.9"]
    )
    results = await walk(world)
    assert world.started == ["skill-0.2", "skill-0.8", "skill-0.8"]
    gate = results.iterations[2].gate
    assert gate is not None
    assert (gate.decision, gate.start) == ("fall_back", 1)
    assert gate.rise is not None
    assert gate.by_chance is not None
    assert 0 < gate.by_chance < gate.rise
    assert any("above the least before it" in line for line in world.console.said)


async def test_what_a_gate_decided_once_stays_decided(tmp_path: Path) -> None:
    world = World(
        tmp_path, config(gate={"fall_back": True}), ["skill-0.8", "skill-0.1", "skill-0.9"]
    )
    journal = world.journal()
    earlier = GateDecision("fall_back", 0, Interval(-1.0, -2.0, -0.5))
    await journal.put("gate", "01", earlier)  # as an earlier version wrote it
    journal.close()
    results = await walk(world)
    assert results.iterations[1].gate == earlier
    assert world.started == ["skill-0.2", "skill-0.2", "skill-0.8"]


SEQUENTIAL: dict[str, Any] = {
    "validation": {"scenarios": 40, "half_width": 1.5, "first_look": 8},
    "iterations": 1,
}


async def test_an_evaluation_ends_once_its_interval_is_narrow(tmp_path: Path) -> None:
    changes = {**SEQUENTIAL, "validation": {"scenarios": 60, "half_width": 1.5, "first_look": 24}}
    world = World(tmp_path, config(**changes), ["skill-1.0"])
    results = await walk(world)
    base, model = results.iterations
    assert base.validation.scenarios == 60
    assert model.validation.scenarios in (24, 48)
    assert len(played(world.chat.asked, "validation", 1)) == model.validation.scenarios
    drop = model.validation.paired_drop
    assert drop is not None
    assert (drop.high - drop.low) / 2 <= 1.5
    assert results.champion.index == 1


async def test_a_wide_interval_plays_every_scenario(tmp_path: Path) -> None:
    changes = {**SEQUENTIAL, "validation": {"scenarios": 20, "half_width": 1e-6, "first_look": 4}}
    results = await walk(World(tmp_path, config(**changes), ["skill-0.5"]))
    assert results.iterations[1].validation.scenarios == 20


@pytest.mark.parametrize("end_after", [30, 330, 345])
async def test_a_run_that_was_stopped_walks_the_same_way(tmp_path: Path, end_after: int) -> None:
    changes = {**SEQUENTIAL, "iterations": 3, "gate": {"stop_after": 1, "fall_back": True}}
    makes = ["skill-0.9", "skill-0.3", "skill-0.9"]
    whole = await walk(World(tmp_path / "whole", config(**changes), makes))
    world = World(tmp_path / "cut", config(**changes), makes)
    world.chat.end_after = end_after
    with pytest.raises(ResumableError):
        await walk(world)
    world.chat.end_after = None
    assert await walk(world) == whole
    assert len(whole.iterations) == 3


async def test_an_unfinished_evaluation_counts_for_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, config(), ["skill-0.9"] * 3)
    world.chat.end_after = 30
    with pytest.raises(ResumableError):
        await walk(world)
    journal = world.journal()
    try:
        assert outcome.performances(world.config, journal, "validation") == {}
        assert outcome.scenarios_to_play(world.config, journal, "validation", 0) == 12
    finally:
        journal.close()


MANY: dict[str, Any] = {
    "scenarios": 12,
    "trajectories": 4,
    "problems": [{"environment": "bandit", "K": 3, "T": 8}],
}


async def test_preferences_are_learnt_after_imitation(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"finetuning": {"method": "supervised-then-dpo"}}
    world = World(
        tmp_path, config(iterations=1, rollouts=MANY, **changes), ["skill-0.6", "skill-0.9"]
    )
    results = await walk(world)
    assert world.started == ["skill-0.2", "skill-0.6"]
    assert [method for method, _ in world.learnt] == ["supervised", "dpo"]
    assert results.champion.model == "skill-0.9"
    folder = tmp_path / "iteration_01"
    assert (folder / "preferences.jsonl").read_bytes() == world.learnt[1][1]
    assert any("preferences.jsonl: " in line for line in world.console.said)


async def test_preferences_alone_make_one_job(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"finetuning": {"method": "dpo"}}
    world = World(tmp_path, config(iterations=1, rollouts=MANY, **changes), ["skill-0.6"])
    await walk(world)
    assert [method for method, _ in world.learnt] == ["dpo"]
    assert not (tmp_path / "iteration_01" / "dataset.jsonl").exists()


async def test_a_chain_is_walked_again_on_its_own_files(tmp_path: Path) -> None:
    first = World(tmp_path / "first", config(), ["skill-0.5", "skill-0.9", "skill-0.7"])
    await walk(first)
    steps = [
        {"start": start, "lessons": [lesson(content)]}
        for start, (_, content) in zip((0, 1, 1), first.learnt, strict=True)
    ]
    again = config(replay={"run": "first", "steps": steps})
    world = World(tmp_path / "again", again, ["skill-0.4", "skill-0.8", "skill-0.6"])
    for iteration, (_, content) in enumerate(first.learnt, start=1):
        folder = tmp_path / "again" / f"iteration_{iteration:02}"
        folder.mkdir(parents=True)
        (folder / "dataset.jsonl").write_bytes(content)
    journal = world.journal()
    try:
        assert again.replay is not None
        results = await retrain_chain(world.run(journal), again.replay.steps)
    finally:
        journal.close()
    assert world.learnt == first.learnt
    assert world.started == ["skill-0.2", "skill-0.4", "skill-0.4"]  # as the gate had it
    assert not [request for request in world.chat.asked if request.key.startswith("train/")]
    assert results.champion.model == "skill-0.8"


def lesson(content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"method": "supervised", "sha256": sha256, "examples": 10, "tokens": 100}
