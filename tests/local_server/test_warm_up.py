"""What a warm-up teaches the model that really trains: the form of an answer, and no skill."""

from pathlib import Path
from typing import Any

import pytest

import rmft_api

pytest.importorskip("torch")

RUN: dict[str, Any] = {
    "name": "warm",
    "seed": 1,
    "iterations": 1,
    "model": {"profile": "local", "base": "rmft-tiny"},
    "prompts": {"set": "compact", "reasoning": "none"},
    "sampling": {"max_tokens": 16},
    "warm_up": {"scenarios": 40, "trajectories": 2, "n_epochs": 2},
    "rollouts": {
        "scenarios": 3,
        "trajectories": 4,
        "min_valid": 0.0,
        "problems": [{"environment": "bandit", "K": 3, "T": 8}],
    },
    "selection": {"k": 2, "min_valid": 0.0},
    "finetuning": {"n_epochs": 1},
    "validation": {"scenarios": 3},
    "test": {"scenarios": 48},
    "test_models": "all",
}


async def test_play_after_a_warm_up_is_readable_and_no_better_than_random(tmp_path: Path) -> None:
    run = await rmft_api.arun(RUN, runs=tmp_path)
    warmed, random = run.results.iterations[0].test, run.results.baselines["random"]
    assert run.results.warm_up is not None
    assert run.results.warm_up.examples == 640
    assert warmed is not None
    assert warmed.valid > 0.97
    assert warmed.regret.low < random.regret.mean < warmed.regret.high
    assert warmed.k_min_frac == pytest.approx(random.k_min_frac, abs=0.15)
    assert run.models[0].model == run.results.warm_up.model != "rmft-tiny"
