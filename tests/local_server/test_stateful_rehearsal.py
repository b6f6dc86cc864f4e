"""Problems with state on the embedded server: scripted players, the text model, preview."""

from pathlib import Path
from typing import Any

import pytest

import rmft_api
from rmft_api import loop
from rmft_api.core.errors import ResumableError

STOCK: dict[str, Any] = {"environment": "inventory", "K": 3, "T": 6}
BARE: dict[str, Any] = {**STOCK, "options": {"named": False}}
PRICES: dict[str, Any] = {"environment": "pricing", "K": 3, "T": 6, "options": {"stock": 2}}
LAKE: dict[str, Any] = {
    "environment": "gym",
    "K": 4,
    "T": 6,
    "options": {"id": "FrozenLake-v1", "mode": "step"},
}


def rehearsal(base: str, *problems: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "rehearsal",
        "iterations": 1,
        "model": {"base": base},
        "rollouts": {"scenarios": len(problems), "trajectories": 2, "problems": list(problems)},
        "selection": {"k": 1},
        "validation": {"scenarios": len(problems)},
        "test": {"scenarios": 2 * len(problems)},
        "finetuning": {"poll_every_s": 0.05},
    }


@pytest.mark.parametrize("base", ["scripted-random", "scripted-ucb1"])
def test_a_scripted_player_rehearses_problems_with_state(tmp_path: Path, base: str) -> None:
    pytest.importorskip("gymnasium")
    run = rmft_api.run(rehearsal(base, STOCK, PRICES, LAKE), runs=tmp_path)
    assert run.results is not None
    assert [one.validation.valid for one in run.results.iterations] == [1.0, 1.0]
    assert {"base_stock", "fixed_price"} <= set(run.results.baselines)
    assert len(run.results.references) == 3


def test_preview_shows_the_state_that_a_player_meets() -> None:
    pytest.importorskip("gymnasium")
    for problem, word in ((STOCK, "In store: 3"), (PRICES, "Pieces left: 2"), (LAKE, "row 1")):
        shown = rmft_api.preview(rehearsal("scripted-ucb1", problem), rounds=[1, 6])
        first, last = shown.rounds
        text = " ".join(one.content for one in first.messages)
        assert word in text
        assert first.messages != last.messages


def small() -> dict[str, Any]:
    return {
        "name": "stock",
        "seed": 1,
        "iterations": 1,
        "model": {"profile": "local", "base": "rmft-tiny"},
        "prompts": {"set": "compact-state", "reasoning": "none"},
        "sampling": {"max_tokens": 16},
        "warm_up": {"scenarios": 12, "n_epochs": 3},
        "rollouts": {"scenarios": 3, "trajectories": 4, "min_valid": 0.0, "problems": [BARE]},
        "selection": {"k": 2, "min_valid": 0.0},
        "finetuning": {"n_epochs": 1, "poll_every_s": 0.05},
        "validation": {"scenarios": 2, "min_valid": 0.0},
        "test": {"scenarios": 3, "min_valid": 0.0},
    }


def told(run: Any) -> tuple[bytes, list[tuple[float, float]]]:
    """What it learnt from, and each model's figures."""
    learnt = (run.directory / "iteration_01" / "dataset.jsonl").read_bytes()
    figures = [(one.test.regret.mean, one.test.valid) for one in run.results.iterations]
    return learnt, figures


def test_a_whole_run_on_stock_control_resumed_equals_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    whole = rmft_api.run(small(), runs=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_training_files", _stopped)
        with pytest.raises(ResumableError):
            rmft_api.run(small(), runs=tmp_path / "cut")
    resumed = rmft_api.resume("stock", runs=tmp_path / "cut")
    assert told(resumed) == told(whole)
    assert whole.results is not None
    assert whole.results.iterations[0].validation.valid > 0.2
    assert "base_stock" in whole.results.baselines


async def _stopped(*_: object) -> None:
    raise ResumableError("stopped by the test")
