"""The whole loop on an open checkpoint: made on the spot, played, fine-tuned twice, on a CPU."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

RUN_FILE = Path(__file__).parents[3] / "runs" / "open-tiny.toml"
SUITE = """
scenarios = 2
[prompts]
set = "compact"
[sampling]
max_tokens = 8
[[problems]]
environment = "bandit"
K = 2
T = 2
"""


def rmft(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "rmft_api", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("open")
    made = rmft(folder, "make-checkpoint", "tiny-llama", "--steps", "40")
    assert "parameters" in made
    small = ["validation.scenarios=2", "test.scenarios=2", "rollouts.trajectories=4"]
    options = [word for setting in small for word in ("--set", setting)]
    rmft(folder, "run", str(RUN_FILE), *options)
    return folder


def test_two_iterations_run_on_a_checkpoint_made_on_the_spot(played: Path) -> None:
    jobs = [json.loads(path.read_bytes()) for path in played.glob("runs/*/server/jobs/*/job.json")]
    first, second = sorted(jobs, key=_number)
    assert first["status"] == second["status"] == "succeeded"
    assert first["model"] == "tiny-llama"
    assert second["model"] == first["target"]
    assert second["target"] in rmft(played, "report", "open-tiny", "--json")


def test_models_of_a_finished_run_are_compared_on_another_suite(played: Path) -> None:
    (played / "mine.toml").write_text(SUITE)
    words = ("run:open-tiny@base", "run:open-tiny@last", "--suite", "mine.toml", "--json")
    found = json.loads(rmft(played, "eval", *words))
    labels = [player["label"] for player in found["players"]]
    assert labels[:2] == ["open-tiny@base", "open-tiny@2"]
    assert all(0 <= player["figures"]["regret"]["mean"] <= 2 for player in found["players"][:2])


def _number(job: dict[str, Any]) -> int:
    return int(job["number"])
