"""A chain walked again: the same bytes, jobs paid once, and both chains side by side."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import NAME, QUICK, Said, World, build

COMMAND = ("retrain", NAME, "--profile", "fake", "--name", "again", "--budget", "5")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = build(tmp_path_factory.mktemp("replay") / "world", QUICK)
    assert said(world, "run", f"{NAME}.toml").code == 0
    yield world
    world.provider.stop()


def said(world: World, *arguments: str, crash_at: str = "") -> Said:
    environ = {"RMFT_CRASH_AT": crash_at} if crash_at else {}
    return world.process(*arguments, environ=environ).start().finish(60)


def files(run: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(run.glob("iteration_*/dataset.jsonl"))]


def test_a_replay_is_planned_to_the_token_and_spends_nothing(world: World) -> None:
    ended = said(world, *COMMAND, "--dry-run", "--json")
    assert ended.code == 0, ended.stderr
    plan = json.loads(ended.stdout)
    assert {phase["name"] for phase in plan["phases"]} == {"validation", "training", "test"}
    training = [phase for phase in plan["phases"] if phase["name"] == "training"]
    assert len(training) == 2
    assert all(one["usd"]["low"] == one["usd"]["worst"] for one in training)
    assert not (world.folder / "runs" / "again").exists()


def test_a_killed_replay_goes_on_with_its_job_and_shows_both_chains(world: World) -> None:
    jobs = len(world.provider.books.jobs())
    killed = said(world, *COMMAND, crash_at="job.polled:1:KILL")
    assert killed.code == -9
    ended = said(world, *COMMAND)
    assert ended.code == 0, ended.stderr
    runs = world.folder / "runs"
    assert files(runs / "again") == files(runs / NAME)
    assert len(files(runs / "again")) == 2
    assert len(world.provider.books.jobs()) == jobs + 2
    assert f"regret of {NAME}" in ended.stdout
    assert "regret of again" in ended.stdout
    shown = said(world, *COMMAND, "--json")
    sides = json.loads(shown.stdout)
    assert [pair["index"] for pair in sides["pairs"]] == [0, 1, 2]
    assert all(pair["here"]["mean"] == pair["there"]["mean"] for pair in sides["pairs"])
    assert ": trains " not in shown.stderr


def test_a_finished_replay_is_reported_like_any_run(world: World) -> None:
    assert said(world, *COMMAND).code == 0
    assert json.loads(said(world, "report", "again", "--json").stdout)["run"] == "again"


def test_a_training_file_that_was_changed_is_refused(world: World) -> None:
    path = world.folder / "runs" / NAME / "iteration_01" / "dataset.jsonl"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"user", b"User", 1))
    try:
        refused = said(world, *COMMAND[:-3], "changed", "--budget", "5")
    finally:
        path.write_bytes(kept)
    assert refused.code == 65
    assert "the run learnt from" in refused.stderr


def test_a_name_that_is_taken_by_another_run_is_refused(world: World) -> None:
    refused = said(world, "retrain", NAME, "--profile", "fake", "--name", NAME, "--budget", "5")
    assert refused.code == 78
    assert "--name" in refused.stderr


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        (("--model", "rmft-tiny"), 65, "and 512 are allowed there; replay it on a model"),
        ((), 78, "the local server has no model"),
    ],
    ids=["too long", "unknown"],
)
def test_what_the_embedded_model_cannot_learn_is_told_before_anything_is_played(
    world: World, model: tuple[str, ...], code: int, says: str
) -> None:
    refused = said(world, "retrain", NAME, "--profile", "local", *model, "--name", "here")
    assert refused.code == code, refused.stderr
    assert says in refused.stderr.splitlines()[-1]
    assert not (world.folder / "runs" / "here").exists()


def test_a_run_that_trained_nothing_has_no_chain(world: World) -> None:
    poor = said(world, "run", f"{NAME}.toml", "--set", "name=poor", "--budget", "0.0001")
    assert poor.code == 75
    refused = said(world, "retrain", "poor", "--profile", "fake", "--budget", "5")
    assert refused.code == 64
    assert "nothing to replay" in refused.stderr
