"""`rmft-api eval` as it is typed: plans, refusals, and the embedded model through the wire."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmft_api.cli.main import app
from rmft_api.core.errors import RmftError

MINE = """
scenarios = 4
concurrency = 8
[prompts]
set = "compact"
[sampling]
max_tokens = 24
[[problems]]
environment = "bandit"
K = 2
T = [3, 5]
"""


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return str(path)


def typed(*words: str, runs: Path) -> str:
    """What stands on stdout. Raises what the command raises."""
    result = CliRunner().invoke(app, [*words, "--runs", str(runs)], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_known_algorithms_need_no_model(suite: str, tmp_path: Path) -> None:
    told = typed("eval", "--suite", suite, "--baseline", "ucb1", "--json", runs=tmp_path)
    found = json.loads(told)
    assert [player["label"] for player in found["players"]] == ["ucb1"]
    again = typed("report", "eval-mine", "--json", runs=tmp_path)
    assert json.loads(again) == found


def test_a_plan_is_made_without_a_key_and_costs_every_model(
    suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    models = ("openai:gpt-4o-mini-2024-07-18", "openai:gpt-4.1-mini-2025-04-14", "rmft-tiny")
    words = ("eval", *models, "--suite", suite, "--set", "prompts.set=standard", "--dry-run")
    plan = json.loads(typed(*words, "--json", runs=tmp_path))
    costs = [seat["phase"]["cost"]["expected"] for seat in plan["players"]]
    assert costs[1] > costs[0] > 0 == costs[2]
    assert plan["total"]["expected"] == sum(costs)
    assert {seat["phase"]["calls"] for seat in plan["players"]} == {16}
    table = typed(*words, "--budget", "0.0000001", runs=tmp_path)
    assert "total" in table
    assert "warning: the budget is below the expected cost" in table
    assert not (tmp_path / "eval-mine").exists()


def test_a_model_whose_end_has_come_is_refused(
    suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "profiles.toml"
    own.write_text(
        '[gone]\nlike = "openai"\n[[gone.lifecycle]]\nmodel = "gpt-4o-mini"\n'
        'shutdown = 2020-01-01\nas_of = 2019-01-01\nsource = "a letter"\n'
    )
    monkeypatch.setenv("RMFT_PROFILES", str(own))
    with pytest.raises(RmftError, match=r"stopped answering at 'gone' on 2020-01-01 \(a letter\)"):
        typed("eval", "gone:gpt-4o-mini", "--suite", suite, "--dry-run", runs=tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rmft-tiny", "--suite", "nowhere"), "no suite 'nowhere'; shipped: "),
        (("run:nothing",), "no run 'nothing'"),
        (("local:",), "'local:' names no model"),
        (("rmft-tiny", "rmft-tiny"), "'rmft-tiny' is named twice"),
        (("rmft-tiny", "--profile", "nobody"), "nobody"),
        (("--baseline", "hedge"), "--baseline 'hedge' cannot play this suite; these can: "),
        (("--set", "scenario=3"), "unknown key 'scenario'"),
        (("--name", "A B"), "--name 'A B' is no name"),
        (("--dry-run",), "known algorithms alone cost nothing"),
        (("--like", "nothing"), "no run 'nothing'"),
    ],
)
def test_what_is_typed_wrong_is_told_in_one_line(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RmftError, match=message) as raised:
        typed("eval", *words, runs=tmp_path)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_an_evaluation_of_the_same_name_is_not_begun_twice(suite: str, tmp_path: Path) -> None:
    typed("eval", "--suite", suite, runs=tmp_path)
    with pytest.raises(RmftError, match="`rmft-api report eval-mine` shows it"):
        typed("eval", "--suite", suite, runs=tmp_path)
    with pytest.raises(RmftError, match="is an evaluation, not a run"):
        typed("eval", "run:eval-mine", "--suite", suite, "--name", "x", runs=tmp_path)


def test_a_paid_model_needs_a_budget(
    suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-one")
    with pytest.raises(RmftError, match="costs money: say how much at most, with --budget"):
        typed("eval", "openai:gpt-4o-mini", "--suite", suite, runs=tmp_path)


def test_the_embedded_model_plays_without_a_key_and_is_resumed_for_nothing(
    suite: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    environment = {k: v for k, v in os.environ.items() if not k.endswith("API_KEY")}

    def shell(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rmft_api", *words, "--runs", str(tmp_path)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=120, check=True
        )

    csv = tmp_path / "figures.csv"
    told = shell("eval", "rmft-tiny", "--suite", suite, "--csv", str(csv)).stdout
    assert "rmft-tiny than random" in told
    assert csv.read_text().startswith("contest,suite,player")
    resumed = shell("resume", "eval-mine")
    assert resumed.stdout == told
    assert "rounds in" not in resumed.stderr
    assert shell("report", "eval-mine").stdout == told
