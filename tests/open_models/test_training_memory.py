"""A whole training's memory, as the system sees it, beside its plan."""

from pathlib import Path

import pytest

from benchmarks.training_memory import WAYS, make, measured
from rmft_api.open_models.memory import MIB

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

SIZES = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 64,
}
TOKENS = 192


@pytest.mark.filterwarnings("ignore::FutureWarning")  # transformers' own
def test_a_training_takes_what_is_planned_within_a_seventh(tmp_path: Path) -> None:
    make(tmp_path / "model", "llama", SIZES)
    way = WAYS[0]
    *parts, _ = way.planned(tmp_path / "model", TOKENS).parts
    planned = sum(part.bytes for part in parts) / MIB
    took = measured(tmp_path / "model", way, TOKENS, 1, returned=True).training
    assert planned == pytest.approx(took, rel=0.15)
