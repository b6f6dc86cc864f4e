"""GGUF files of a tiny Llama with random weights, as llama.cpp's converter writes them."""

from pathlib import Path
from typing import Any

import numpy as np

TEMPLATE = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
HIDDEN, INNER, HEADS, LAYERS = 64, 96, 2, 2


def write(
    path: Path,
    *,
    architecture: str = "llama",
    template: str | None = TEMPLATE,
    license_id: str | None = "apache-2.0",
) -> None:
    import gguf

    writer: Any = gguf.GGUFWriter(str(path), architecture)
    writer.add_name("tiny")
    if license_id is not None:
        writer.add_license(license_id)
    _shape(writer)
    words = _words()
    _vocabulary(writer, words, template)
    _tensors(writer, gguf, len(words))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shape(writer: Any) -> None:
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)


def _words() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return [*SPECIAL, *sorted(ByteLevel.alphabet()), "ĠĠ"]


def _vocabulary(writer: Any, words: list[str], template: str | None) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([3 if word in SPECIAL else 1 for word in words])
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    writer.add_vocab_size(len(words))


def _tensors(writer: Any, gguf: Any, words: int) -> None:
    chance = np.random.default_rng(0)

    def matrix(name: str, outputs: int, inputs: int) -> None:
        kind = gguf.GGMLQuantizationType.Q4_1
        values = chance.normal(0, 0.05, (outputs, inputs)).astype(np.float32)
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)

    matrix("token_embd.weight", words, HIDDEN)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, np.float32))
    keys = HIDDEN // HEADS
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{at}{norm}.weight", np.ones(HIDDEN, np.float32))
        for name, width in (("q", HIDDEN), ("k", keys), ("v", keys), ("output", HIDDEN)):
            matrix(f"{at}attn_{name}.weight", width, HIDDEN)
        matrix(f"{at}ffn_gate.weight", INNER, HIDDEN)
        matrix(f"{at}ffn_up.weight", INNER, HIDDEN)
        matrix(f"{at}ffn_down.weight", HIDDEN, INNER)
