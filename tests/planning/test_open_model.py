"""Plans of open models: memory and time, from data that ship with the package."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config import schema
from rmft_api.planning.open_model import OpenModel, open_model

RUNS = Path(__file__).parents[2] / "runs"
SMALL = ("open-tiny", "open-smollm2")
FILES = sorted(path.name for path in RUNS.glob("open-*.toml") if path.stem not in SMALL)
ALONE = (
    "import sys; from rmft_api.cli.main import main\n"
    "try: main()\n"
    "finally: assert not {'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys()"
)


def planned(file: Path, *words: str, cwd: Path | None = None, json_: bool = True) -> str:
    """What the dry run prints; it fails if the plan took more than arithmetic."""
    command = [sys.executable, "-c", ALONE, "run", str(file), "--dry-run", *words]
    command += ["--json"] if json_ else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_a_run_file_for_each_open_model_of_the_paper() -> None:
    assert FILES == ["open-gemma-2-9b.toml", "open-phi-3.5-mini.toml", "open-qwen3-8b.toml"]


@pytest.mark.parametrize("file", FILES)
def test_a_plan_tells_memory_and_time_of_an_open_model(file: str) -> None:
    plan: dict[str, Any] = json.loads(planned(RUNS / file))
    mine = plan["open_model"]
    assert mine["parameters"] > 3.8e9
    assert mine["source"].startswith("https://huggingface.co/")
    assert mine["trained"] * 4 == mine["adapter_bytes"]
    assert {part["name"] for part in mine["training"]["parts"]} == {
        *("base weights", "adapter and optimizer", "activations", "logits", "reserve")
    }
    parts = [part["bytes"] for one in ("training", "serving") for part in mine[one]["parts"]]
    assert mine["total"] == sum(parts) <= mine["room"]
    assert plan["seconds"] == pytest.approx(sum(phase["seconds"] for phase in plan["phases"]))
    assert 600 < plan["seconds"] < 24 * 3600
    assert plan["warnings"] == []


def test_a_card_that_is_too_small_is_told_with_settings_that_would_fit() -> None:
    file, small = RUNS / "open-qwen3-8b.toml", "model.accelerator=a100-40gb"
    (warning,) = json.loads(planned(file, "--set", small))["warnings"]
    assert "a100-40gb has 40" in warning
    ways = warning.partition("would fit: ")[2].partition(" ([model.engine])")[0].split(", ")
    words = [word for way in ways for word in ("--set", f"model.engine.{way}")]
    again = json.loads(planned(file, "--set", small, *words))
    assert again["warnings"] == []
    assert again["open_model"]["total"] <= 40 * 2**30


def test_without_a_card_the_time_is_unknown(tmp_path: Path) -> None:
    text = (RUNS / "open-qwen3-8b.toml").read_text().replace('accelerator = "a100-80gb"\n', "")
    text += '\n[model.engine]\ndevice = "{device}"\n' if "[model.engine]" not in text else ""
    text = text.replace("[model.engine]", '[model.engine]\ndevice = "{device}"', 1)
    (tmp_path / "open.toml").write_text(text.replace("{device}", "cuda"))
    told = planned(tmp_path / "open.toml", json_=False)
    assert "time: unknown" in told
    assert "8,190,735,360 parameters" in told
    assert "62." in told  # GiB, serving and training together


def test_memory_is_in_the_type_of_the_machine_that_will_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (RUNS / "open-qwen3-8b.toml").read_text().replace('accelerator = "a100-80gb"\n', "")
    (tmp_path / "open.toml").write_text(text)
    config = schema.load(tmp_path / "open.toml")

    def seen(*, card: bool) -> OpenModel:
        monkeypatch.setattr("rmft_api.planning.open_model.has_accelerator", lambda: card)
        found = open_model(config, 500)
        assert found is not None
        return found

    assert (seen(card=True).width, seen(card=False).width) == (2, 4)
    assert seen(card=False).total > 1.8 * seen(card=True).total


def test_a_folder_of_ones_own_tells_its_shape(tmp_path: Path) -> None:
    config = {
        **{"model_type": "llama", "vocab_size": 431, "hidden_size": 96, "intermediate_size": 256},
        **{"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2},
        **{"max_position_embeddings": 512, "tie_word_embeddings": True},
    }
    (tmp_path / "tiny-llama").mkdir()
    (tmp_path / "tiny-llama" / "config.json").write_text(json.dumps(config))
    plan = json.loads(planned(RUNS / "open-tiny.toml", cwd=tmp_path))
    assert plan["open_model"]["parameters"] == 346_176
    assert plan["seconds"] is None
    shutil.rmtree(tmp_path / "tiny-llama")
    plan = json.loads(planned(RUNS / "open-tiny.toml", cwd=tmp_path))
    assert plan["open_model"] is None
    assert "the shape of 'tiny-llama' is not known" in plan["warnings"][-1]


def test_a_setting_that_does_not_exist_is_refused_before_anything_begins(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rmft_api", "run", str(RUNS / "open-tiny.toml"), "--dry-run"]
    command += ["--set", "model.engine.lora_rnak=8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "no setting 'lora_rnak'" in done.stderr
