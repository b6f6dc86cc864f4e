"""Bytes that training and serving a checkpoint take, part by part.

Weights, adapters and their optimiser are counted exactly. Activations are what torch keeps for the
backward pass in the transformers version of the `[open]` extra, measured per token and layer for
each family (tests/open_models/test_memory.py measures again). The reserve is an assumption; on a
CPU it was seen to hold (benchmarks/training_memory.py).
"""

from collections.abc import Iterable
from typing import NamedTuple

from rmft_api.core.records import Record
from rmft_api.open_models.settings import HfSettings
from rmft_api.open_models.shapes import Shape

GIB = 2**30
MIB = 2**20
ADAM = 16
"""Bytes of a trained parameter: itself, its gradient and Adam's two moments, all float32."""
ADAPTER = 4
"""Bytes of a parameter of an adapter: they are float32 over whatever base."""
TILE_TOKENS, TILE_WIDTH = 4096, 32768
"""TRL makes logits in tiles of so many tokens and words, never all of them."""
TILE_ON_CPU, CAPPED = 33, 4
"""Bytes of each logit of a tile where no kernel turns it into its gradient in place: eight float32
and a truth value; one float32 more where logits are capped (Gemma 2)."""
HELD = 8
"""Fine-tunes kept loaded beside the base at most."""
RESERVE_SHARE, RESERVE = 0.08, 1 * GIB
"""Assumed for what allocators do not give back, and for the process and its libraries."""


class MemoryUse(Record, frozen=True):
    """One use of memory."""

    name: str
    bytes: int


class Memory(Record, frozen=True):
    """All that one process holds at its peak."""

    parts: tuple[MemoryUse, ...]

    @property
    def total(self) -> int:
        """Bytes."""
        return sum(part.bytes for part in self.parts)


class Pass(NamedTuple):
    """One forward and backward pass."""

    examples: int
    length: int
    """Tokens of the longest of them: the others are padded to it."""
    chats: int = 1
    """Chats of an example: 2 for preferences."""

    @property
    def tokens(self) -> int:
        """Padding included."""
        return self.examples * self.chats * self.length


PACKED_TOKENS = 1024
"""Of a packed training row at most."""
PACKED_LOGIT = 16
"""Bytes of each of its logits: themselves, their log-odds, and the gradients of both."""


class _Kept(NamedTuple):
    """Bytes that a layer keeps for each token, for a unit of each width."""

    hidden: int
    intermediate: int
    queries: int
    keys: int
    heads: int
    scores: int
    """For each head and token of the row: attention weights, where they are kept at all."""


_KEPT = {
    "llama": (_Kept(18, 8, 6, 4, 4, 0), _Kept(16, 16, 8, 8, 4, 0)),
    "qwen3": (_Kept(18, 8, 10, 8, 8, 0), _Kept(16, 16, 12, 12, 8, 0)),
    "phi3": (_Kept(16, 8, 6, 4, 4, 0), _Kept(16, 16, 16, 12, 4, 0)),
    "gemma2": (_Kept(26, 8, 8, 0, 0, 8), _Kept(24, 16, 16, 0, 0, 8)),
}
"""In half precision (bfloat16 autocast), and in float32. Gemma 2 caps its attention scores, which
only the plain attention can, and that keeps them."""
_LIKE = {"mistral": "llama", "qwen2": "llama"}


def training(shape: Shape, settings: HfSettings, one: Pass, *, on_cpu: bool) -> Memory:
    """What the training process holds."""
    width = width_of(settings, on_cpu=on_cpu)
    trained = shape.adapter(settings.lora_rank, settings.lora_targets)
    parts = [
        MemoryUse("base weights", shape.parameters() * width),
        MemoryUse("adapter and optimizer", trained * ADAM),
        MemoryUse("activations", _activations(shape, settings, one, width)),
        MemoryUse("logits", _training_logits(shape, settings, one, width, on_cpu=on_cpu)),
    ]
    return _reserved(parts)


def _training_logits(
    shape: Shape, settings: HfSettings, one: Pass, width: int, *, on_cpu: bool
) -> int:
    """All at once for a packed row (`local_server/hf/packed_rows.py`), else in tiles."""
    short = one.chats == 1 < one.examples and one.tokens <= PACKED_TOKENS
    if on_cpu and short and not settings.launch and shape.family != "gemma2":
        return one.tokens * shape.vocabulary * PACKED_LOGIT
    return _logits(shape, one, width, on_cpu=on_cpu)


def serving(
    shape: Shape, settings: HfSettings, rows: int, length: int, *, on_cpu: bool, adapters: int = 1
) -> Memory:
    """What the server holds while it answers `rows` chats of `length` tokens at once."""
    width = width_of(settings, on_cpu=on_cpu)
    trained = shape.adapter(settings.lora_rank, settings.lora_targets)
    tokens = rows * length
    parts = [
        MemoryUse("base weights", shape.parameters() * width),
        MemoryUse("adapters", ADAPTER * trained * min(adapters, HELD)),
        MemoryUse("keys and values", tokens * cached(shape, width)),
        MemoryUse("merged weights", _merged(shape, settings, width, on_cpu=on_cpu)),
        MemoryUse("prompts kept", settings.prefix_mb * MIB),
        MemoryUse("reading prompts", tokens * _read(shape, width, length)),
    ]
    return _reserved(parts)


def _merged(shape: Shape, settings: HfSettings, width: int, *, on_cpu: bool) -> int:
    """Every matrix once more, the output's too (`local_server/hf/merged_weights.py`)."""
    tied = 0 if shape.tied else shape.vocabulary * shape.hidden
    wanted = width * (shape.parameters() - tied)
    return wanted if on_cpu and width == 4 and wanted <= settings.merged_mb * MIB else 0


def cached(shape: Shape, width: int) -> int:
    """Bytes of the keys and values of one token."""
    return 2 * shape.layers * shape.keys * width


def width_of(settings: HfSettings, *, on_cpu: bool) -> int:
    """Bytes of a base weight."""
    if settings.dtype == "auto":
        return 4 if on_cpu else 2
    return 4 if settings.dtype == "float32" else 2


def kept(shape: Shape, rank: int, targets: str, length: int, width: int) -> int:
    """Bytes that one layer keeps for the backward pass, for each token of a row of `length`."""
    half, whole = _KEPT[_LIKE.get(shape.family, shape.family)]
    each = half if width == 2 else whole
    adapted = len(shape.adapted(targets))
    return (
        each.hidden * shape.hidden
        + each.intermediate * shape.intermediate
        + each.queries * shape.queries
        + each.keys * shape.keys
        + shape.heads * (each.heads + each.scores * length)
        + adapted * rank * width
    )


def _activations(shape: Shape, settings: HfSettings, one: Pass, width: int) -> int:
    layer = one.tokens * kept(shape, settings.lora_rank, settings.lora_targets, one.length, width)
    between = one.tokens * shape.hidden * width
    if settings.gradient_checkpointing:
        return shape.layers * between + 2 * layer  # one layer made again, and its gradients
    return shape.layers * layer + layer


def _logits(shape: Shape, one: Pass, width: int, *, on_cpu: bool) -> int:
    tile = min(one.tokens, TILE_TOKENS) * min(shape.vocabulary, TILE_WIDTH)
    capped = CAPPED if shape.family == "gemma2" else 0
    each = TILE_ON_CPU + capped if on_cpu else width + 8
    return tile * each + one.tokens * shape.hidden * (4 + 2 * width)


def _read(shape: Shape, width: int, length: int) -> int:
    """Of one layer at work without a backward pass."""
    each = width * (4 * shape.hidden + 3 * shape.intermediate + 2 * shape.queries)
    scores = 6 * shape.heads * length if shape.family == "gemma2" else length
    return each + scores


def _reserved(parts: Iterable[MemoryUse]) -> Memory:
    known = tuple(parts)
    held = sum(part.bytes for part in known)
    return Memory((*known, MemoryUse("reserve", RESERVE + round(held * RESERVE_SHARE))))
