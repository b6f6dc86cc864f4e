"""Settings that would fit where the chosen ones do not."""

from collections.abc import Iterator

import msgspec

from rmft_api.open_models import memory
from rmft_api.open_models.memory import Pass
from rmft_api.open_models.settings import HfSettings
from rmft_api.open_models.shapes import Shape

SHORTEST = 128
"""Tokens; a chat shorter than this is no way out."""


def fitting(
    shape: Shape,
    settings: HfSettings,
    one: Pass,
    room: int,
    *,
    on_cpu: bool,
    shortest: int = SHORTEST,
) -> HfSettings | None:
    """The nearest settings whose training takes `room` bytes at most; None where none do.

    First fewer examples at once (slower, the same model), then activations made again (slower
    still), then chats down to `shortest` tokens (longer ones are refused).
    """
    for other, length in _ways(settings, one.length, shortest):
        planned = Pass(min(other.micro_batch, one.examples), length, one.chats)
        if memory.training(shape, other, planned, on_cpu=on_cpu).total <= room:
            return other
    return None


def _ways(settings: HfSettings, length: int, shortest: int) -> Iterator[tuple[HfSettings, int]]:
    for again in dict.fromkeys((settings.gradient_checkpointing, True)):
        size = settings.micro_batch
        while size >= 1:
            changed = {"micro_batch": size, "gradient_checkpointing": again}
            yield msgspec.structs.replace(settings, **changed), length
            size //= 2
    least = msgspec.structs.replace(settings, micro_batch=1, gradient_checkpointing=True)
    while length > shortest:
        length = max(shortest, length // 2)
        yield msgspec.structs.replace(least, max_length=length), length


def changes(before: HfSettings, after: HfSettings) -> list[str]:
    """What differs, as `key=value`."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return [f"{key}={_written(new[key])}" for key in new if new[key] != old[key]]


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
