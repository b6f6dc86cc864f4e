"""`plan --calibrate`: the time of an open model's run from a short measurement on this machine."""

from pathlib import Path
from typing import Any

import pytest

import rmft_api
from rmft_api.core.errors import ConfigError
from rmft_api.open_models.settings import HfSettings
from rmft_api.open_models.speed import Calibration
from rmft_api.session import calibration

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")


def run_of(checkpoint: Path, **model: Any) -> dict[str, Any]:
    return {
        "name": "measured",
        "iterations": 1,
        "model": {"base": "mine", "checkpoint": str(checkpoint), **model},
        "prompts": {"set": "compact", "reasoning": "none"},
        "sampling": {"max_tokens": 8},
        "rollouts": {
            "scenarios": 4,
            "trajectories": 4,
            "problems": [{"environment": "bandit", "K": 2, "T": 4}],
        },
        "selection": {"k": 2},
        "validation": {"scenarios": 2},
        "test": {"scenarios": 2},
    }


async def test_a_measured_plan_tells_time_and_error_and_later_plans_know_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    before = await rmft_api.aplan(run_of(checkpoint), runs=tmp_path)
    assert before.record.seconds is None
    assert "--calibrate" in str(before)
    measured = await rmft_api.aplan(run_of(checkpoint), calibrate=True, runs=tmp_path)
    mine = measured.record.open_model
    assert mine is not None
    assert mine.calibration is not None
    assert mine.calibration.reading > 0
    assert mine.calibration.step_s > 0
    assert measured.record.seconds is not None
    told = " ".join(str(measured).split())
    assert "time: measured on this machine on 20" in told
    assert "% off; training was not measured" in told
    later = await rmft_api.aplan(run_of(checkpoint), runs=tmp_path)
    assert later.record.open_model == mine
    other = await rmft_api.aplan(run_of(checkpoint, engine={"rows": 3}), runs=tmp_path)
    assert other.record.seconds is None
    (checkpoint / calibration.FILE).unlink()


async def test_what_is_no_checkpoint_of_this_machine_is_not_measured(tmp_path: Path) -> None:
    for changes in ({"model": {"base": "rmft-tiny"}},):
        with pytest.raises(ConfigError, match="--calibrate measures a checkpoint"):
            await rmft_api.aplan({**run_of(tmp_path), **changes}, calibrate=True, runs=tmp_path)


def test_training_is_taken_from_reading_by_its_operations() -> None:
    found = Calibration(reading=100.0, rows=8, step_s=0.5, error=0.2, measured="2026-11-28")
    plain = HfSettings(checkpoint="here")
    assert found.speed(plain).training == 50.0
    again = HfSettings(checkpoint="here", gradient_checkpointing=True)
    assert found.speed(again).training == pytest.approx(100 / 3)
    assert found.speed(plain).generation == 16.0


def test_training_is_taken_from_prompts_that_share_nothing() -> None:
    found = Calibration(
        reading=900.0, rows=8, step_s=0.5, error=0.2, measured="2026-11-28", computing=100.0
    )
    assert found.speed(HfSettings(checkpoint="here")).training == 50.0
    assert found.speed(HfSettings(checkpoint="here")).reading == 900.0


async def test_a_measurement_holds_for_the_prompts_it_was_made_with(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    asked: list[list[int]] = []
    burst = calibration._burst  # pyright: ignore[reportPrivateUsage]

    async def noted(chat: Any, requests: Any, what: str, most: int) -> Any:
        asked.append([one.n for one in requests])
        return await burst(chat, requests, what, most)

    monkeypatch.setattr(calibration, "_burst", noted)
    await rmft_api.aplan(run_of(checkpoint), calibrate=True, runs=tmp_path)
    assert sum(asked[1]) == 16  # all plays of a middle round
    changed = {**run_of(checkpoint), "prompts": {"set": "plain", "reasoning": "none"}}
    assert (await rmft_api.aplan(changed, runs=tmp_path)).record.seconds is None
    (checkpoint / calibration.FILE).unlink()
