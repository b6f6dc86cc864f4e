"""The Python door: the same runs, the same numbers, the same one-line errors, nothing printed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rmft_api
from rmft_api import errors
from rmft_api.journal import open_to_read
from rmft_api.report import page
from rmft_api.session import pages

SMALL: dict[str, Any] = {
    "name": "tried",
    "iterations": 1,
    "model": {"base": "rmft-tiny"},
    "prompts": {"set": "compact"},
    "sampling": {"max_tokens": 64},
    "rollouts": {
        "scenarios": 4,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "K": 2, "T": 3}],
    },
    "selection": {"k": 2},
    "finetuning": {"n_epochs": 1, "poll_every_s": 0.2},
    "validation": {"scenarios": 4},
    "test": {"scenarios": 4},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    rmft_api.run(SMALL, runs=folder)
    return folder


@pytest.fixture
def run(runs: Path) -> Iterator[rmft_api.Run]:
    yield rmft_api.open_run("tried", runs)


def test_a_run_says_nothing_unless_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rmft_api.plan(SMALL, runs=tmp_path)
    assert capfd.readouterr() == ("", "")


def test_the_numbers_are_those_of_the_command_line_and_of_the_page(run: rmft_api.Run) -> None:
    command = [sys.executable, "-m", "rmft_api", "report", "tried", "--json"]
    command += ["--runs", str(run.directory.parent)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = json.loads(ended.stdout)
    found = run.results
    assert told["champion"] == {"index": found.champion.index, "model": found.champion.model}
    for shown, one in zip(told["iterations"], found.iterations, strict=True):
        assert one.test is not None
        assert shown["suff_fail_freq"] == one.test.suff_fail_freq
        assert shown["regret"]["mean"] == pytest.approx(one.test.regret.mean)
    with open_to_read(run.directory) as journal:
        drawn, _ = page.read(run.config, journal, found, pages.run_state(run.directory))
    tested = [one for one in drawn.players if one.split == "test"]
    means = {one.index: one.regret.mean for one in tested if one.regret is not None}
    for one in found.iterations:
        assert one.test is not None
        assert means[one.index] == pytest.approx(one.test.regret.mean)
    assert run.report(run.directory / "own.html").read_text("utf-8").startswith("<!doctype html>")
    shown_money = told["spending"]["phases"]
    assert len(shown_money) == len(run.spending.lines)


def test_frames_hold_every_trajectory_and_every_round(run: rmft_api.Run) -> None:
    trained = run.trajectories(split="train")
    assert len(trained) == 16
    assert set(trained["T"]) == {3}
    rounds = run.rounds(split="train", iteration=1)
    assert len(rounds) == 48
    tested = run.trajectories(split="test", iteration=0)
    base = run.results.iterations[0].test
    assert base is not None
    by_scenario = tested.groupby("scenario")["regret"].mean()
    assert by_scenario.mean() == pytest.approx(base.regret.mean)


def test_a_plan_is_told_in_dollars_and_as_a_table() -> None:
    plan = rmft_api.plan("gpt-4.1-mini", {"rollouts.scenarios": 8}, budget_usd=20, reply_tokens=40)
    low, expected, worst = plan.total
    assert low is not None
    assert expected is not None
    assert worst is not None
    assert 0 < low <= expected <= worst
    assert "total" in str(plan)
    assert plan._repr_html_().startswith("<pre>")  # pyright: ignore[reportPrivateUsage]
    assert {phase.name for phase in plan.phases} >= {"rollouts", "training"}


def test_errors_are_typed_and_say_what_the_command_line_says(run: rmft_api.Run) -> None:
    folder = run.directory.parent
    with pytest.raises(errors.UsageError, match="'tried' exists"):
        rmft_api.run(SMALL, runs=folder)
    with pytest.raises(errors.ConfigError, match="did you mean 'iterations'"):
        rmft_api.plan({**SMALL, "iteratoins": 3})
    with pytest.raises(errors.ConfigError, match=r"gpt-4\.1-mini"):
        rmft_api.plan("gpt-4.1-min")
    with pytest.raises(errors.UsageError, match="no run 'other'"):
        rmft_api.open_run("other", folder)


def test_a_finished_run_is_resumed_to_what_it_was(run: rmft_api.Run) -> None:
    before = run.results
    again = rmft_api.resume("tried", runs=run.directory.parent)
    assert again.results == before


def test_inside_an_event_loop_the_async_twin_is_named(runs: Path) -> None:
    async def inside() -> None:
        with pytest.raises(errors.UsageError, match=r"await rmft_api\.arun"):
            rmft_api.run(SMALL, runs=runs)

    asyncio.run(inside())


def test_a_cancelled_run_is_saved_and_can_be_resumed(tmp_path: Path) -> None:
    import signal

    handler = signal.getsignal(signal.SIGTERM)
    slow = {**SMALL, "name": "cut", "rollouts": {**SMALL["rollouts"], "scenarios": 40}}

    async def cut() -> None:
        work = asyncio.create_task(rmft_api.arun(slow, runs=tmp_path))
        journal = tmp_path / "cut" / "journal.sqlite"
        while not journal.exists():  # noqa: ASYNC110  nobody tells when it is there
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cut())
    status = rmft_api.open_run("cut", tmp_path).status
    assert status is not None
    assert status.state == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == handler
    done = rmft_api.resume("cut", runs=tmp_path)
    assert done.results.champion.model


def test_models_of_a_suite_are_compared(run: rmft_api.Run) -> None:
    folder = run.directory.parent
    found = rmft_api.evaluate(
        ["run:tried@base"],
        "compact",
        baselines=["random"],
        like="tried",
        overrides={"scenarios": 4, "trajectories": 1},
        runs=folder,
    )
    assert {player.label for player in found.players} >= {"random"}


def test_the_door_opens_fast_and_loads_nothing() -> None:
    program = (
        "import sys, time; began = time.process_time(); import rmft_api; "
        "took = time.process_time() - began; "
        "heavy = {'pandas', 'openai', 'numpy', 'torch', 'pydantic'} & set(sys.modules); "
        "print(took, *heavy); print(rmft_api.__version__)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    took, *heavy = ended.stdout.splitlines()[0].split()
    assert float(took) < 0.3
    assert heavy == []


def test_every_exported_name_is_there() -> None:
    assert all(getattr(rmft_api, name) is not None for name in rmft_api.__all__)
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        rmft_api.walk  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue, reportUnusedExpression]
