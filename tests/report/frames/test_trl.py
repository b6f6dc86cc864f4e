"""The exported training data are trained on by TRL's own trainers, as they are."""

import math
from pathlib import Path
from typing import Any

import pytest

import rmft_api
from rmft_api.local_server.hf import example_checkpoint
from tests.report.conftest import played

trl: Any = pytest.importorskip("trl", reason="the extra [open] is not installed")
datasets: Any = pytest.importorskip("datasets", reason="comes with trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # its own dependencies' warnings


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with pairs to prefer, and an untrained checkpoint."""
    folder = tmp_path_factory.mktemp("trl")
    example_checkpoint.make(folder / "model", 0, 0, lambda _: None)
    dataset = {"content": "full"}
    run = played(folder / "loop", iterations=1, dataset=dataset)
    return run, folder / "model"


def settings(folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "report_to": "none",
        "use_cpu": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "bf16": False,
        "gradient_checkpointing": False,
    }


def exported(run: Path, to: Path, table: str) -> Any:
    path = to / f"{table}.jsonl"
    assert rmft_api.open_run(run).export(path, table) > 2
    return datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(to))


def test_sft_trains_on_prompts_and_completions(parts: tuple[Path, Path], tmp_path: Path) -> None:
    run, model = parts
    trainer = trl.SFTTrainer(
        model=str(model),
        args=trl.SFTConfig(max_length=1024, **settings(tmp_path)),
        train_dataset=exported(run, tmp_path, "prompt-completion"),
    )
    assert math.isfinite(trainer.train().training_loss)


def test_dpo_trains_on_the_preferences(parts: tuple[Path, Path], tmp_path: Path) -> None:
    run, model = parts
    trainer = trl.DPOTrainer(
        model=str(model),
        args=trl.DPOConfig(max_length=1024, **settings(tmp_path)),
        train_dataset=exported(run, tmp_path, "preference"),
    )
    assert math.isfinite(trainer.train().training_loss)
