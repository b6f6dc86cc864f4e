"""Tiny checkpoints of random weights, each with the architecture and the chat manners of a family.

Their templates are ours; they do what the published ones do. Gemma 2 refuses a system turn and
turns that do not alternate, and ends an answer with a token that its files do not name. Qwen3
closes its thoughts before an answer where it is told not to think, and forgets those of earlier
answers. Phi-3.5 has several tokens that end an answer.
"""

from pathlib import Path
from typing import Any

import pytest

from rmft_api.local_server.hf import example_checkpoint

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
GEMMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
QWEN = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'].split('</think>')[-1].lstrip('\n') if m['role'] == 'assistant' "
    "else m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
PHI = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
FAMILIES: dict[str, tuple[str, list[str], str]] = {
    "gemma2": (GEMMA, ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<eos>"),
    "qwen3": (QWEN, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|im_end|>"),
    "phi3": (
        PHI,
        ["<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
        "<|endoftext|>",
    ),
}
"""Template, special tokens (the first begins a text), and the token that ends a text."""


def make(family: str, folder: Path) -> Path:
    """Write the checkpoint."""
    transformers: Any = pytest.importorskip("transformers", reason="pip install 'rmft-api[open]'")
    torch = pytest.importorskip("torch")
    template, special, end = FAMILIES[family]
    tokenizer: Any = example_checkpoint._tokenizer(0)  # pyright: ignore[reportPrivateUsage]
    tokenizer.add_special_tokens(
        {"bos_token": special[0], "eos_token": end, "additional_special_tokens": special[1:]}
    )
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = template
    tokenizer.save_pretrained(str(folder))
    ids = {word: tokenizer.convert_tokens_to_ids(word) for word in (*special, end)}
    config = transformers.AutoConfig.for_model(
        family,
        vocab_size=len(tokenizer),
        bos_token_id=ids[special[0]],
        eos_token_id=[ids[end], ids["<|end|>"]] if family == "phi3" else ids[end],
        pad_token_id=tokenizer.pad_token_id,
        **({"head_dim": 16} if family != "phi3" else {}),
        **SIZES,
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    return folder
