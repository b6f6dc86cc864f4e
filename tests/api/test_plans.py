"""Plans and previews from Python: the commands' numbers, also where an event loop runs."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import rmft_api
from rmft_api import errors
from rmft_api.api.event_loop import run_soon
from rmft_api.cli.main import app

FILE: dict[str, Any] = {
    "name": "tried",
    "model": {"base": "gpt-4.1-mini-2025-04-14", "profile": "openai"},
    "budget_usd": 5,
    "rollouts": {"scenarios": 2, "trajectories": 8, "problems": [{"environment": "bandit"}]},
    "validation": {"scenarios": 2},
    "test": {"scenarios": 2},
}
BASE = """
budget_usd = 5
[model]
base = "gpt-4.1-mini-2025-04-14"
profile = "openai"
[rollouts]
scenarios = 2
trajectories = 8
problems = [{ environment = "bandit", K = 2, T = 3 }]
[validation]
scenarios = 2
[test]
scenarios = 2
"""
GRID = """
base = "base.toml"
seeds = [1, 2]
[[cell]]
name = "rmft"
[[cell]]
name = "short"
set = { iterations = 1 }
"""


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "grid.toml").write_text(GRID)
    return tmp_path / "grid.toml"


def printed(*words: object, runs: Path) -> str:
    result = CliRunner().invoke(app, [*map(str, words), "--runs", str(runs)])
    assert result.exit_code == 0, result.output
    return result.stdout.rstrip("\n")


def test_the_plan_of_an_evaluation_is_the_commands(tmp_path: Path) -> None:
    player = "openai:gpt-4o-mini-2024-07-18"
    small = {"scenarios": 4}
    plan = rmft_api.plan_evaluate(
        [player], overrides=small, budget_usd=3, reply_tokens=40, runs=tmp_path
    )
    words = ("eval", player, "--set", "scenarios=4", "--budget", 3)
    words = (*words, "--reply-tokens", 40, "--dry-run")
    shown = printed(*words, "--json", runs=tmp_path)
    assert plan.to_json() == shown
    assert plan.total[1] == json.loads(shown)["total"]["expected"] / 1e6 > 0
    assert [phase.name for phase in plan.phases] == ["test"]
    assert str(plan) == printed(*words, runs=tmp_path)
    with pytest.raises(errors.UsageError, match="name a model to plan for"):
        rmft_api.plan_evaluate([], "compact", runs=tmp_path)


def test_the_plan_of_a_grid_is_the_commands_and_the_sum_of_its_runs(
    grid: Path, tmp_path: Path
) -> None:
    plan = rmft_api.plan_ablate(grid, runs=tmp_path / "runs")
    words = ("ablate", grid, "--dry-run")
    shown = printed(*words, "--json", runs=tmp_path / "runs")
    assert plan.to_json() == shown
    assert str(plan) == printed(*words, runs=tmp_path / "runs")
    runs = plan.record.runs
    assert [(run.cell, run.seed) for run in runs] == [
        ("rmft", 1),
        ("rmft", 2),
        ("short", 1),
        ("short", 2),
    ]
    assert plan.total[1] == pytest.approx(
        sum(run["plan"]["total_usd"]["expected"] for run in json.loads(shown)["runs"])
    )
    assert len(plan.phases) == sum(len(run.plan.phases) for run in runs)
    alone = rmft_api.plan(tmp_path / "base.toml", {"name": "x", "iterations": 1, "seed": 1})
    assert rmft_api.Plan(runs[2].plan).total == alone.total
    assert not (tmp_path / "runs").exists()


def test_the_budget_of_a_grid_is_compared_with_its_total(grid: Path, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE.removeprefix("\nbudget_usd = 5"))
    runs = tmp_path / "runs"
    plan = rmft_api.plan_ablate(grid, runs=runs)
    _, likely, worst = plan.total
    assert likely is not None
    assert worst is not None
    scarce, tight, ample = 0.9 * likely, (likely + worst) / 2, 2 * worst
    alone = max(run.plan.total.worst or 0 for run in plan.record.runs)
    assert alone < scarce * 1e6, "each run alone would fit: only their total can speak"
    for budget, expected in (
        (scarce, [f"all 4 runs together: expected to stop at its budget of ${scarce:.2f}"]),
        (tight, [f"all 4 runs together: the worst case is above the budget of ${tight:.2f}"]),
        (ample, []),
    ):
        plan = rmft_api.plan_ablate(grid, budget_usd=budget, runs=runs)
        spoken = [line for line in plan.warnings if "budget of" in line]
        assert [a for a, b in zip(spoken, expected, strict=True) if not a.startswith(b)] == []
        words = ("ablate", grid, "--dry-run", "--budget", budget, "--json")
        assert printed(*words, runs=runs) == plan.to_json()


def test_a_grid_with_a_run_that_would_not_begin_says_so_after_its_plan(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "profiles.toml").write_text(
        '[gone]\nlike = "openai"\n[[gone.lifecycle]]\nmodel = "gpt-4.1-mini-2025-04-14"\n'
        'shutdown = 2020-01-01\nas_of = 2019-01-01\nsource = "a letter"\n'
    )
    monkeypatch.setenv("RMFT_PROFILES", str(tmp_path / "profiles.toml"))
    (tmp_path / "base.toml").write_text(BASE.replace('"openai"', '"gone"'))
    plan = rmft_api.plan_ablate(grid, cells="rmft", runs=tmp_path)
    assert plan.refusal is not None
    assert plan.refusal.startswith("grid-rmft-1: ")
    assert {line.partition(":")[0] for line in plan.warnings} == {"grid-rmft-1", "grid-rmft-2"}
    result = CliRunner().invoke(app, ["ablate", str(grid), "--dry-run", "--runs", str(tmp_path)])
    assert isinstance(result.exception, errors.ConfigError)
    assert "grid-short-2" in result.stdout


async def test_plans_and_previews_work_inside_an_event_loop(grid: Path, tmp_path: Path) -> None:
    plan = rmft_api.plan(FILE, runs=tmp_path)
    assert plan.record == (await rmft_api.aplan(FILE, runs=tmp_path)).record
    assert plan._repr_html_().startswith("<pre>run tried at openai")  # pyright: ignore[reportPrivateUsage]
    shown = rmft_api.preview(FILE, rounds=[1])
    assert shown.record == (await rmft_api.apreview(FILE, rounds=[1])).record
    assert rmft_api.plan_ablate(grid, cells="rmft", runs=tmp_path).total[1]
    assert rmft_api.plan_evaluate(["openai:gpt-4.1-mini-2025-04-14"], runs=tmp_path).total[1]
    with pytest.raises(errors.ConfigError, match="did you mean 'iterations'"):
        rmft_api.plan({**FILE, "iteratoins": 3}, runs=tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [{"rounds": np.arange(1, 3)}, {"rounds": range(1, 3)}, {"rounds": (np.int64(1), 2)}],
)
def test_rounds_are_whole_numbers_of_any_kind(arguments: dict[str, Any]) -> None:
    shown = rmft_api.preview(FILE, scenario=np.int64(1), split="test", **arguments)  # pyright: ignore[reportArgumentType]
    assert [one.round for one in shown.rounds] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rounds": "12"}, "rounds must be a list of whole numbers (got str '12')"),
        ({"rounds": 1.5}, "rounds must be a list of whole numbers (got float 1.5)"),
        ({"rounds": [0]}, "each of rounds must be a whole number, at least 1 (got int 0)"),
        ({"rounds": [True]}, "each of rounds must be a whole number"),
        ({"rounds": None}, "rounds must be a list of whole numbers (got NoneType None)"),
        ({"scenario": -1}, "scenario must be a whole number, at least 0 (got int -1)"),
        ({"scenario": "0"}, "scenario must be a whole number"),
        ({"scenario": None}, "scenario must be a whole number"),
        ({"split": "dev"}, "split must be one of train, validation, test (got str 'dev')"),
        ({"split": ["test"]}, "split must be one of"),
        ({"replies": 3}, "replies must be a list of texts (got int 3)"),
        ({"replies": [b"x"]}, "each of replies must be a text"),
        ({"replies": None}, "replies must be a list of texts"),
    ],
)
def test_a_wrong_argument_of_a_preview_is_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        rmft_api.preview(FILE, **arguments)
    assert said in str(caught.value)


def test_an_empty_reply_is_read_as_one() -> None:
    for replies in ("", [""]):
        (one,) = rmft_api.preview(FILE, rounds=[1], replies=replies).replies
        assert one.action is None
        assert one.why


def test_a_worker_thread_hands_back_what_was_raised() -> None:
    async def breaks() -> None:
        raise KeyError("x")

    async def inside(call: Callable[[], None]) -> None:
        with pytest.raises(KeyError, match="x"):
            call()

    asyncio.run(inside(lambda: run_soon(breaks)))
