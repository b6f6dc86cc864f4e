"""What a plan says of memory, held against what torch really keeps and what really lies on disk."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from rmft_api.open_models import fitting, memory, shapes
from rmft_api.open_models.memory import Pass
from rmft_api.open_models.settings import HfSettings
from rmft_api.open_models.shapes import Shape

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # peft and transformers' own

RANK = 8
SIZES = {
    "vocab_size": 300,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def config_of(family: str, layers: int) -> dict[str, Any]:
    own = {"num_key_value_heads": 6} if family == "phi3" else {}
    own |= {"head_dim": 32} if family in ("gemma2", "qwen3") else {}
    return {**SIZES, **own, "num_hidden_layers": layers, "model_type": family}


def shape_of(family: str, layers: int = 1) -> Shape:
    shape = shapes.from_config(config_of(family, layers))
    assert shape is not None
    return shape


def as_it_is(tensor: Any) -> Any:
    return tensor


def kept_bytes(family: str, layers: int, width: int, rows: int, length: int, again: bool) -> int:
    """What torch really holds for the backward pass, the weights left out."""
    torch = pytest.importorskip("torch", reason="pip install 'rmft-api[open]'")
    transformers: Any = pytest.importorskip("transformers", reason="pip install 'rmft-api[open]'")
    peft: Any = pytest.importorskip("peft", reason="pip install 'rmft-api[open]'")
    config = transformers.AutoConfig.for_model(**config_of(family, layers))
    dtype = torch.bfloat16 if width == 2 else torch.float32
    network = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    if again:
        network.gradient_checkpointing_enable({"use_reentrant": False})
        network.enable_input_require_grads()
    adapted = peft.get_peft_model(network, peft.LoraConfig(r=RANK, target_modules="all-linear"))
    weights = {part.untyped_storage().data_ptr() for part in adapted.parameters()}
    sizes: dict[int, int] = {}
    held: list[Any] = []

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        held.append(tensor)  # else another tensor may come to lie where it lay
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    tokens = torch.randint(3, 299, (rows, length))
    half = torch.autocast("cpu", torch.bfloat16) if width == 2 else contextlib.nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(keep, as_it_is), half:
        adapted.train().base_model.model.model(input_ids=tokens, use_cache=False)
    return sum(sizes.values())


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("family", ["gemma2", "llama", "phi3", "qwen3"])
def test_activations_are_what_torch_keeps(family: str, width: int) -> None:
    rows, length = 2, 160
    one, three = (kept_bytes(family, n, width, rows, length, False) for n in (1, 3))
    casts = shape_of(family).adapter(RANK, "all-linear") * 2 if width == 2 else 0
    measured = ((three - one) / 2 - casts) / (rows * length)
    planned = memory.kept(shape_of(family), RANK, "all-linear", length, width)
    assert planned == pytest.approx(measured, rel=0.03)


def test_activations_made_again_leave_one_vector_a_layer_and_token() -> None:
    rows, length = 2, 160
    one, three = (kept_bytes("llama", n, 2, rows, length, True) for n in (1, 3))
    assert (three - one) / 2 == rows * length * SIZES["hidden_size"] * 2


def plan(**changed: Any) -> int:
    settings = HfSettings(checkpoint="any", **changed)
    passed = Pass(settings.micro_batch, min(800, settings.max_length))
    return memory.training(large(), settings, passed, on_cpu=False).total


def large() -> Shape:
    found = shapes.known("Qwen/Qwen3-8B")
    assert found is not None
    return found.shape


def test_smaller_settings_take_less_and_what_is_said_to_fit_fits() -> None:
    wide = HfSettings(checkpoint="any", micro_batch=8)
    assert plan(micro_batch=8) > plan(micro_batch=2) > plan(micro_batch=1)
    assert plan(micro_batch=8) > plan(micro_batch=8, gradient_checkpointing=True)
    for gib in (24, 30, 40, 80):
        found = fitting.fitting(large(), wide, Pass(8, 800), gib * memory.GIB, on_cpu=False)
        assert found is not None
        assert plan(**dict(word_pair(one) for one in fitting.changes(wide, found))) <= (
            gib * memory.GIB
        )


def word_pair(change: str) -> tuple[str, Any]:
    key, _, value = change.partition("=")
    return key, value == "true" if value in ("true", "false") else int(value)


def test_fewer_examples_at_once_come_before_longer_work_and_shorter_chats() -> None:
    wide = HfSettings(checkpoint="any", micro_batch=8)

    def told(gib: float) -> list[str]:
        room = round(gib * memory.GIB)
        found = fitting.fitting(large(), wide, Pass(8, 800), room, on_cpu=False)
        return [] if found is None else fitting.changes(wide, found)

    assert told(80) == []
    assert told(30) == ["micro_batch=1"]
    assert told(22) == ["micro_batch=4", "gradient_checkpointing=true"]
    assert told(10) == []  # not even the weights


def test_a_card_holds_what_its_maker_states() -> None:
    settings = HfSettings(checkpoint="any")
    whole = memory.serving(large(), settings, 64, 1000, on_cpu=False)
    assert whole.total == sum(part.bytes for part in whole.parts)
    assert memory.cached(large(), 2) == 147_456  # 2 x 36 layers x 8 heads x 128 x 2 bytes


def test_the_files_on_the_disk_have_the_bytes_that_are_planned(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")
    torch_files: Any = pytest.importorskip("safetensors.torch")
    from rmft_api.local_server.hf import example_checkpoint

    example_checkpoint.make(tmp_path / "tiny", 0, 0, lambda line: None)
    found = shapes.known(str(tmp_path / "tiny"))
    assert found is not None
    weights: dict[str, Any] = torch_files.load_file(tmp_path / "tiny" / "model.safetensors")
    sizes = [int(tensor.nbytes) for tensor in weights.values()]
    settings = HfSettings(checkpoint=str(tmp_path / "tiny"))
    planned = memory.training(found.shape, settings, Pass(1, 64), on_cpu=True)
    assert planned.parts[0].bytes == sum(sizes) == 4 * found.shape.parameters()
