"""The arithmetic of shapes, held against transformers and PEFT themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from rmft_api.open_models import shapes

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # peft and transformers' own

PUBLISHED = ("microsoft/Phi-3.5-mini-instruct", "google/gemma-2-9b-it", "Qwen/Qwen3-8B")
TINY = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def built(config: dict[str, Any]) -> Any:
    """The network without its numbers: shapes alone, no memory."""
    torch = pytest.importorskip("torch", reason="pip install 'rmft-api[open]'")
    transformers: Any = pytest.importorskip("transformers", reason="pip install 'rmft-api[open]'")
    named = transformers.AutoConfig.for_model(**config)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(named)


def trained(network: Any, rank: int, targets: str | list[str]) -> int:
    peft: Any = pytest.importorskip("peft", reason="pip install 'rmft-api[open]'")
    config = peft.LoraConfig(r=rank, target_modules=targets, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(network, config, low_cpu_mem_usage=True)
    return sum(part.numel() for part in adapted.parameters() if part.requires_grad)


def row(name: str) -> dict[str, Any]:
    return shapes._published()[name]  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_shape_counts_as_many_parameters_as_the_hub_tells(name: str) -> None:
    found = shapes.known(name)
    assert found is not None
    assert found.shape.parameters() == row(name)["parameters"]
    assert found.source.startswith("https://huggingface.co/")
    assert found.as_of is not None


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_networks_have_these_parameters_and_adapters(name: str) -> None:
    found = shapes.known(name)
    assert found is not None
    network = built({key: row(name)[key] for key in row(name) if key not in ("source", "as_of")})
    assert found.shape.parameters() == network.num_parameters()
    assert found.shape.adapter(16, "all-linear") == trained(network, 16, "all-linear")


@pytest.mark.parametrize("family", sorted(shapes.FAMILIES))
def test_every_known_family_is_counted_exactly(family: str) -> None:
    config = {**TINY, "model_type": family}
    if family in ("gemma2", "qwen3"):
        config["head_dim"] = 32
    shape = shapes.from_config(config)
    assert shape is not None
    network = built(config)
    assert shape.parameters() == network.num_parameters()
    assert shape.adapter(4, "all-linear") == trained(network, 4, "all-linear")


def test_adapters_on_some_matrices_are_counted_exactly() -> None:
    biased = {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}
    config = {**TINY, **biased, "model_type": "llama"}
    shape = shapes.from_config(config)
    assert shape is not None
    network = built(config)
    assert shape.parameters() == network.num_parameters()
    assert shape.adapter(8, "q_proj v_proj") == trained(network, 8, ["q_proj", "v_proj"])


def test_a_folder_tells_its_own_shape(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**TINY, "model_type": "qwen2"}))
    found = shapes.known(str(tmp_path))
    assert found is not None
    assert (found.shape.family, found.shape.layers) == ("qwen2", 3)
    assert found.source == str(tmp_path / "config.json")


@pytest.mark.parametrize(
    "text", ['{"model_type": "mamba"}', '{"model_type": "llama"}', "{", '{"model_type": 3}']
)
def test_a_config_that_says_too_little_has_no_shape(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert shapes.known(str(tmp_path)) is None


def test_a_checkpoint_that_nobody_published_has_no_shape() -> None:
    assert shapes.known("nobody/nothing") is None
