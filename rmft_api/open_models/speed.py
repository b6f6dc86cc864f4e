"""Tokens per second that a card should make of a checkpoint: an estimate, not a measurement.

A forward pass takes 2 operations for each weight and token; a backward pass the same for the
gradients of activations, and LoRA needs none of the frozen weights' own (Kaplan et al. 2020,
arXiv 2001.08361, section 2.1, counts 2 and 4); making activations again takes another 2. A step
of generation reads all weights, keys and values once, and costs the host a while for each layer.
"""

import difflib
import tomllib
from datetime import date
from functools import cache
from pathlib import Path

import msgspec

from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Record
from rmft_api.open_models.memory import cached
from rmft_api.open_models.settings import HfSettings
from rmft_api.open_models.shapes import Shape

CARDS = Path(__file__).with_name("accelerators.toml")
COMPUTE_SHARE = 0.35
"""Assumed share of a card's operations that reading and training get."""
BANDWIDTH_SHARE = 0.6
"""Assumed share of its bandwidth that generation gets."""
LAYER_S = 1e-3
"""Assumed time of the host for one layer of one step of generation: it launches every kernel."""
START_S = 60.0
"""Assumed time of a job before its first step: imports, and the base weights once more."""
HALF = 2
"""Bytes of a weight on a card."""


class Accelerator(Record, frozen=True):
    """What a card's maker states."""

    memory_gib: float
    tflops: float
    """Dense, half precision."""
    bandwidth_gb_s: float
    source: str
    as_of: date


class Speed(Record, frozen=True):
    """Tokens per second."""

    training: float
    reading: float
    rows: int
    """Answers made at once at most."""
    step_s: float
    """Seconds in which each of them grows by a token."""

    @property
    def generation(self) -> float:
        """Of all answers that are made at once, together."""
        return self.rows / self.step_s

    def playing_s(self, prompts: float, replies: float, plays: int) -> float:
        """Seconds to read prompts and to write the replies of so many plays at once."""
        return prompts / self.reading + replies * self.step_s / min(self.rows, plays)

    def training_s(self, tokens: float, jobs: int) -> float:
        """Seconds to train on so many tokens, all epochs together."""
        return jobs * START_S + tokens / self.training


class Calibration(Record, frozen=True):
    """What was measured on one machine with one checkpoint."""

    reading: float
    """Tokens per second of a round's prompts, whose beginnings are read once."""
    rows: int
    step_s: float
    """Seconds in which each of `rows` answers grows by a token."""
    error: float
    """The largest relative distance of a single measurement from the middle one."""
    measured: str
    """The day (UTC)."""
    computing: float | None = None
    """Tokens per second of prompts that share nothing; None: `reading` is of such prompts."""

    def speed(self, settings: HfSettings) -> Speed:
        """For plans. Training is not measured but taken from `computing`, by its operations."""
        passes = 3 if settings.gradient_checkpointing else 2
        training = (self.computing or self.reading) / passes
        return Speed(training, self.reading, self.rows, self.step_s)


def accelerator(name: str) -> Accelerator:
    """A card by its name. Raises ConfigError that lists what is known."""
    cards = _cards()
    if name not in cards:
        near = difflib.get_close_matches(name, cards, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(cards)}"
        raise ConfigError(f"no accelerator {name!r} to plan with; {hint}")
    return cards[name]


def smallest(memory_bytes: int) -> str | None:
    """The known card with the least memory that holds so much."""
    fitting = [(card.memory_gib, name) for name, card in _cards().items()]
    return next((name for gib, name in sorted(fitting) if gib * 2**30 >= memory_bytes), None)


def speed(card: Accelerator, shape: Shape, settings: HfSettings, rows: int, length: int) -> Speed:
    """Of `rows` answers at once, in chats of `length` tokens."""
    weights = shape.parameters() - (0 if shape.tied else shape.vocabulary * shape.hidden)
    operations = card.tflops * 1e12 * COMPUTE_SHARE
    passes = 3 if settings.gradient_checkpointing else 2
    moved = HALF * weights + rows * length * cached(shape, HALF)
    step_s = max(moved / (card.bandwidth_gb_s * 1e9 * BANDWIDTH_SHARE), shape.layers * LAYER_S)
    return Speed(
        training=operations / (2 * passes * weights),
        reading=operations / (2 * weights),
        rows=rows,
        step_s=step_s,
    )


@cache
def _cards() -> dict[str, Accelerator]:
    raw = tomllib.loads(CARDS.read_text(encoding="utf-8"))
    return {name: msgspec.convert(row, Accelerator) for name, row in raw.items()}
