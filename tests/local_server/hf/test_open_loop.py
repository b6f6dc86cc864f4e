"""The whole loop on an open checkpoint: made on the spot, played, fine-tuned twice, on a CPU."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

RUN_FILE = Path(__file__).parents[3] / "runs" / "open-tiny.toml"


def rmft(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "rmft_api", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_iterations_run_on_a_checkpoint_made_on_the_spot(tmp_path: Path) -> None:
    made = rmft(tmp_path, "make-checkpoint", "tiny-llama", "--steps", "40")
    assert "parameters" in made
    small = ["validation.scenarios=2", "test.scenarios=2", "rollouts.trajectories=4"]
    options = [word for setting in small for word in ("--set", setting)]
    rmft(tmp_path, "run", str(RUN_FILE), *options)
    jobs = [
        json.loads(path.read_bytes()) for path in tmp_path.glob("runs/*/server/jobs/*/job.json")
    ]
    first, second = sorted(jobs, key=_number)
    assert first["status"] == second["status"] == "succeeded"
    assert first["model"] == "tiny-llama"
    assert second["model"] == first["target"]
    assert second["target"] in rmft(tmp_path, "report", "open-tiny", "--json")


def _number(job: dict[str, Any]) -> int:
    return int(job["number"])
