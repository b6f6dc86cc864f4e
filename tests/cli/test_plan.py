"""`rmft-api plan` and `run --dry-run`: the same table, for people and for programs."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rmft_api.cli.main import main

RUN = """
iterations = 2
budget_usd = 3
[model]
base = "gpt-4o-mini"
profile = "openai"
[rollouts]
scenarios = 2
trajectories = 4
[[rollouts.problems]]
environment = "bandit"
T = 4
[selection]
k = 2
[validation]
scenarios = 2
[test]
scenarios = 2
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "little.toml"
    path.write_text(RUN, encoding="utf-8")
    return path


def rmft_api(patch: pytest.MonkeyPatch, *words: object) -> int:
    patch.setattr(sys, "argv", ["rmft-api", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_plan_and_dry_run_print_the_same_table_and_begin_nothing(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    runs = tmp_path / "runs"
    assert rmft_api(monkeypatch, "plan", file) == 0
    planned = capsys.readouterr().out
    assert rmft_api(monkeypatch, "run", file, "--dry-run", "--runs", runs) == 0
    assert capsys.readouterr().out == planned
    assert not runs.exists()
    for word in ("rollouts", "training", "validation", "test", "total", "expected", "warning:"):
        assert word in planned


def test_the_json_of_a_plan_has_the_promised_shape(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rmft_api(monkeypatch, "plan", file, "--json") == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert plan["total_usd"].keys() == {"low", "expected", "worst"}
    assert plan["saves_usd"].keys() == {"coalescing", "caching"}
    assert plan["budget_usd"] == 3
    assert plan["crash_usd"] > 0
    assert {phase["name"] for phase in plan["phases"]} == {
        *("rollouts", "training", "validation", "test")
    }
    assert plan["phases"][0].keys() == {
        *("iteration", "name", "model", "calls", "prompt_tokens", "cached_tokens"),
        *("output_tokens", "trained_tokens", "examples", "seconds", "usd"),
    }
    spent = sum(phase["usd"]["expected"] for phase in plan["phases"])
    assert plan["total_usd"]["expected"] == pytest.approx(spent)


def test_an_unknown_price_is_called_unknown_and_is_null_to_programs(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unpriced = ("--set", "model.base=gpt-99")
    assert rmft_api(monkeypatch, "plan", file, *unpriced) == 0
    total = next(li for li in capsys.readouterr().out.splitlines() if li.startswith("total"))
    assert total.count("unknown") == 3
    rmft_api(monkeypatch, "plan", file, *unpriced, "--json")
    assert json.loads(capsys.readouterr().out)["total_usd"]["expected"] is None


def test_the_assumed_length_of_replies_can_be_given(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens: list[int] = []
    for length in (20, 80):
        rmft_api(monkeypatch, "plan", file, "--json", "--reply-tokens", length)
        plan = json.loads(capsys.readouterr().out)
        tokens.append(plan["phases"][0]["output_tokens"])
    assert tokens[1] == pytest.approx(4 * tokens[0], rel=0.05)


@pytest.mark.parametrize("command", [("plan",), ("run", "--dry-run"), ("run",)])
def test_a_run_whose_model_is_gone_ends_with_78_and_a_way_out(
    file: Path,
    tmp_path: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (*command, file, "--set", "model.base=gpt-4.1-nano")
    monkeypatch.setenv("RMFT_RUNS", str(tmp_path / "runs"))
    assert rmft_api(monkeypatch, *words) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert "2026-10-23" in line
    assert "--accept-shutdown" in line
    assert not (tmp_path / "runs").exists()


def test_a_shutdown_that_is_accepted_stops_no_plan(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = ("--set", "model.base=gpt-4.1-nano")
    assert rmft_api(monkeypatch, "plan", file, *gone, "--accept-shutdown") == 0


@pytest.mark.parametrize(
    ("profile", "base", "why"),
    [
        ("azure", "gpt-4o-mini-2024-07-18", "only where it is deployed"),
        ("openai-compatible", "gpt-4o-mini", "answers no batches"),
    ],
)
def test_batches_that_an_endpoint_does_not_answer_are_not_planned(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    profile: str,
    base: str,
    why: str,
) -> None:
    changes = (f"model.profile={profile}", f"model.base={base}", "requests.transport=batch")
    words = [word for change in changes for word in ("--set", change)]
    assert rmft_api(monkeypatch, "plan", file, *words) == 78
    told = capsys.readouterr()
    assert (why in told.err, told.out, told.err.count("\n")) == (True, "", 1)
