"""What an open model takes on a machine of one's own: memory and speed."""

import math
from typing import NamedTuple

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Record
from rmft_api.open_models import fitting, memory, shapes, speed
from rmft_api.open_models.machine import has_accelerator
from rmft_api.open_models.memory import GIB, Memory, Pass
from rmft_api.open_models.settings import HfSettings, of_run
from rmft_api.open_models.shapes import Shape
from rmft_api.open_models.speed import Accelerator, Calibration, Speed


class OpenModel(Record, frozen=True):
    """Of one checkpoint, as the run's settings serve and train it. Memory is bytes."""

    checkpoint: str
    source: str
    """The source of its shape, and the day on which it was read."""
    family: str
    parameters: int
    lora_rank: int
    lora_targets: str
    trained: int
    """Parameters of an adapter."""
    adapter_bytes: int
    """Of one fine-tune on the disk."""
    width: int
    """Bytes of a base weight."""
    length: int
    """Tokens of the longest chat, its answer included."""
    micro_batch: int
    gradient_checkpointing: bool
    rows: int
    """Answers that are made at once."""
    training: Memory
    serving: Memory
    total: int
    """Of both: the server keeps its weights while a job trains."""
    needs: str | None
    """The smallest known card that holds both; None: none does."""
    accelerator: str | None
    """The card that was asked for."""
    room: int | None
    """Its memory."""
    speed: Speed | None
    """On that card, or as it was measured on this machine."""
    way_out: tuple[str, ...] | None
    """Settings that would fit where these do not; None where they do, or none would."""
    calibration: Calibration | None = None
    """What `speed` was measured by; None: nothing was measured."""


class _Sized(NamedTuple):
    """What everything is computed from."""

    shape: Shape
    settings: HfSettings
    train: Pass
    rows: int
    on_cpu: bool

    def trained(self) -> int:
        """Parameters of an adapter."""
        return self.shape.adapter(self.settings.lora_rank, self.settings.lora_targets)

    def training(self) -> Memory:
        """Of the trainer."""
        return memory.training(self.shape, self.settings, self.train, on_cpu=self.on_cpu)

    def speed(self, card: Accelerator) -> Speed:
        """On a card."""
        return speed.speed(card, self.shape, self.settings, self.rows, self.train.length)

    def serving(self, rows: int, adapters: int) -> Memory:
        """Of the server, with so many answers at once."""
        return memory.serving(
            *(self.shape, self.settings, rows, self.train.length),
            on_cpu=self.on_cpu,
            adapters=adapters,
        )


def settings_of(config: RunConfig) -> HfSettings | None:
    """The engine's settings; None for a model of another kind. Raises ConfigError."""
    model = config.model
    if model.checkpoint is None:
        return None
    return of_run(model.checkpoint, {**model.engine, "name": model.served_base})


def open_model(
    config: RunConfig, longest: int, measured: Calibration | None = None
) -> OpenModel | None:
    """The plan's part; None where there is no open model, or its shape is not known.

    `longest`: tokens of the longest possible chat. `measured` is used where no accelerator is
    named. Raises ConfigError.
    """
    settings = settings_of(config)
    known = None if settings is None else shapes.known(settings.checkpoint)
    card = None if (name := config.model.accelerator) is None else speed.accelerator(name)
    if settings is None or known is None:
        return None
    sized = _sized(config, settings, known.shape, longest)
    training, serving = sized.training(), sized.serving(sized.rows, config.iterations)
    total, room = training.total + serving.total, None if card is None else card_bytes(card)
    return OpenModel(
        checkpoint=settings.checkpoint,
        source=known.cited,
        family=known.shape.family,
        parameters=known.shape.parameters(),
        lora_rank=settings.lora_rank,
        lora_targets=settings.lora_targets,
        trained=sized.trained(),
        adapter_bytes=memory.ADAPTER * sized.trained(),
        width=memory.width_of(settings, on_cpu=sized.on_cpu),
        length=sized.train.length,
        micro_batch=sized.train.examples,
        gradient_checkpointing=settings.gradient_checkpointing,
        rows=sized.rows,
        training=training,
        serving=serving,
        total=total,
        needs=speed.smallest(total),
        accelerator=name,
        room=room,
        speed=_speed(sized, card, measured),
        calibration=measured if card is None else None,
        way_out=None if room is None or total <= room else _way_out(sized, room, config.iterations),
    )


def _speed(sized: _Sized, card: Accelerator | None, measured: Calibration | None) -> Speed | None:
    if card is not None:
        return sized.speed(card)
    return None if measured is None else measured.speed(sized.settings)


def card_bytes(card: Accelerator) -> int:
    """Memory of a card."""
    return round(card.memory_gib * GIB)


def _sized(config: RunConfig, settings: HfSettings, shape: Shape, longest: int) -> _Sized:
    length = min(math.ceil(longest), settings.max_length, shape.context)
    finetuning, plays = config.finetuning, config.rollouts
    batch = finetuning.batch_size or settings.batch_size
    chats = 2 if "dpo" in finetuning.methods else 1
    return _Sized(
        shape=shape,
        settings=settings,
        train=Pass(min(settings.micro_batch, batch), length, chats),
        rows=min(settings.rows, plays.scenarios * plays.trajectories),
        on_cpu=_on_cpu(settings, config.model.accelerator),
    )


def _on_cpu(settings: HfSettings, card: str | None) -> bool:
    """Where the model will be: on the card that is planned with, else as this machine decides."""
    if settings.device == "auto":
        return card is None and not has_accelerator()
    return settings.device.startswith("cpu")


def _way_out(sized: _Sized, room: int, adapters: int) -> tuple[str, ...] | None:
    """Smaller trainings first, then fewer answers at once; chats stay as long as they are."""
    rows = sized.rows
    while rows >= 1:
        other = fitting.fitting(
            *(sized.shape, sized.settings, sized.train),
            room - sized.serving(rows, adapters).total,
            on_cpu=sized.on_cpu,
            shortest=sized.train.length,
        )
        if other is not None:
            fewer = [f"rows={rows}"] if rows < sized.rows else []
            return (*fitting.changes(sized.settings, other), *fewer)
        rows //= 2
    return None
