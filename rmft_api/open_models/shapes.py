"""The tensors of a checkpoint, computed from its config.json.

Of the families below every tensor is known, so parameters are counted and not guessed; another
family has no shape here, and what is planned from shapes is left out for it.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from rmft_api.core.records import Record
from rmft_api.open_models.gguf_files import CONFIG, folder_for
from rmft_api.open_models.packaged import hub_id

PUBLISHED = Path(__file__).with_name("published.toml")
"""Shapes of checkpoints that a plan may name without having them."""
ALL_LINEAR = "all-linear"
"""Every linear layer but the one that makes logits, as PEFT has it."""
FUSED = frozenset({"phi3"})
"""Families whose attention and gate projections are one matrix each."""
FAMILIES = FUSED | {"gemma2", "llama", "mistral", "qwen2", "qwen3"}
_TIED = {"gemma2": True}
"""What a family does where its config.json says nothing of `tie_word_embeddings`."""


class Linear(NamedTuple):
    """One matrix of a layer."""

    name: str
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Of the matrix and its bias."""
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)


class Shape(Record, frozen=True):
    """What decides how large a checkpoint is, in memory and in work."""

    family: str
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    """Tokens of a chat at most."""
    tied: bool
    """Whether logits are made by the embeddings."""
    attention_bias: bool = False
    mlp_bias: bool = False

    @property
    def queries(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads together; of the value heads the same."""
        return self.kv_heads * self.head_dim

    def linears(self) -> Iterator[Linear]:
        """The matrices of one layer."""
        hidden, inner, biased = self.hidden, self.intermediate, self.attention_bias
        if self.family in FUSED:
            yield Linear("qkv_proj", hidden, self.queries + 2 * self.keys)
            yield Linear("o_proj", self.queries, hidden)
            yield Linear("gate_up_proj", hidden, 2 * inner)
            yield Linear("down_proj", inner, hidden)
            return
        yield Linear("q_proj", hidden, self.queries, biased)
        yield Linear("k_proj", hidden, self.keys, biased)
        yield Linear("v_proj", hidden, self.keys, biased)
        yield Linear("o_proj", self.queries, hidden, biased and self.family != "qwen2")
        yield Linear("gate_proj", hidden, inner, self.mlp_bias)
        yield Linear("up_proj", hidden, inner, self.mlp_bias)
        yield Linear("down_proj", inner, hidden, self.mlp_bias)

    def parameters(self) -> int:
        """Of the whole checkpoint."""
        norms = (4 if self.family == "gemma2" else 2) * self.hidden
        norms += 2 * self.head_dim if self.family == "qwen3" else 0
        layer = sum(one.parameters for one in self.linears()) + norms
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden
        return embeddings + self.layers * layer + self.hidden

    def adapted(self, targets: str) -> list[Linear]:
        """The matrices of one layer that get an adapter, as PEFT chooses them."""
        names = targets.split()
        return [one for one in self.linears() if targets == ALL_LINEAR or one.name in names]

    def adapter(self, rank: int, targets: str) -> int:
        """Parameters of a LoRA adapter: all that is trained."""
        each = sum(rank * (one.inputs + one.outputs) for one in self.adapted(targets))
        return self.layers * each


class Known(NamedTuple):
    """A shape, and who says so."""

    shape: Shape
    source: str
    as_of: date | None = None
    """None for a file that lies here."""

    @property
    def cited(self) -> str:
        """The source, with its day."""
        return self.source if self.as_of is None else f"{self.source}, as of {self.as_of}"


def known(checkpoint: str) -> Known | None:
    """The shape of a folder in Hugging Face's format, or of a published checkpoint by its id."""
    file = folder_for(checkpoint) / CONFIG
    if file.is_file():
        shape = from_config(_json(file))
        return None if shape is None else Known(shape, str(file))
    row = _published().get(hub_id(checkpoint))
    shape = None if row is None else from_config(row)
    if row is None or shape is None:
        return None
    return Known(shape, row["source"], row["as_of"])


def from_config(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a config.json states; None for a family whose tensors are not known here."""
    config = config.get("text_config") or config
    family = config.get("model_type")
    if family not in FAMILIES:
        return None
    try:
        return _read(family, config)
    except (KeyError, msgspec.ValidationError):
        return None


def _read(family: str, config: Mapping[str, Any]) -> Shape:
    heads = config["num_attention_heads"]
    raw = {
        "family": family,
        "vocabulary": config["vocab_size"],
        "hidden": config["hidden_size"],
        "intermediate": config["intermediate_size"],
        "layers": config["num_hidden_layers"],
        "heads": heads,
        "kv_heads": config.get("num_key_value_heads") or heads,
        "head_dim": config.get("head_dim") or config["hidden_size"] // heads,
        "context": config["max_position_embeddings"],
        "tied": config.get("tie_word_embeddings", _TIED.get(family, False)),
        "attention_bias": family == "qwen2" or bool(config.get("attention_bias")),
        "mlp_bias": bool(config.get("mlp_bias")),
    }
    return msgspec.convert(raw, Shape)


def _json(file: Path) -> dict[str, Any]:
    """Empty where the file is damaged: who loads it will say so."""
    try:
        return cast("dict[str, Any]", json.loads(file.read_bytes()))
    except (OSError, ValueError):
        return {}


@cache
def _published() -> dict[str, dict[str, Any]]:
    return tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))
