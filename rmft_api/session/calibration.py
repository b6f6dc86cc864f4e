"""How fast this machine reads and writes with a checkpoint: measured in some ten seconds, and kept.

The run's own server is started as a run would start it and asked chats of about the length that the
run has. What was measured lies beside the checkpoint (or not at all, where that is no folder), for
later plans of the same settings on the same machine.
"""

import asyncio
import hashlib
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, StorageError
from rmft_api.core.files import replace_file
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, Message, Sampling
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.open_models.gguf_files import folder_for
from rmft_api.open_models.speed import Calibration
from rmft_api.planning.open_model import settings_of
from rmft_api.prompts import PromptSet
from rmft_api.providers import connect, profiles
from rmft_api.rollouts import preparation
from rmft_api.session.embedded_server import (
    embedded_server,
    engine_options,
    is_embedded,
    require_open_extra,
    start_within_s,
)

FILE = "calibration.json"
BURSTS, SECONDS = 5, 10.0
"""At most so many measurements, and none begins after so long; two are always made."""
_ROWS, _WRITTEN = 32, 16


def kept(config: RunConfig) -> Calibration | None:
    """What was measured here for these settings; None: nothing."""
    if config.model.checkpoint is None:
        return None
    try:
        text = (folder_for(config.model.checkpoint) / FILE).read_bytes()
        found = msgspec.json.decode(text, type=dict[str, Calibration])
    except (OSError, msgspec.MsgspecError):
        return None
    return found.get(_key(config))


async def calibrate(config: RunConfig, prompts: PromptSet, counter: TokenCounter) -> Calibration:
    """Measure, and keep it. Raises ConfigError where the run starts no server for a checkpoint."""
    profile = profiles.load(config.model.profile)
    if config.model.checkpoint is None or not is_embedded(profile):
        raise ConfigError(
            "--calibrate measures a checkpoint that the run's own server loads; it needs "
            "profile = 'local' and model.checkpoint"
        )
    require_open_extra()
    options, within_s = engine_options(config.model), start_within_s(config.model)
    with TemporaryDirectory() as scratch:
        async with (
            embedded_server(Path(scratch), options, within_s) as url,
            connect(profile.at(url)) as connection,
        ):
            texts = _texts(config, prompts)
            found = await _measured(connection.chat, config, texts, counter)
    _keep(config, found)
    return found


def _texts(config: RunConfig, prompts: PromptSet) -> list[tuple[Message, ...]]:
    """Prompts of the run's first round, one a validation scenario."""
    prepared_scenarios = preparation.prepared_scenarios(config, prompts, "validation", 1)
    return [prepared.prompt_builder().messages() for prepared in prepared_scenarios][:_ROWS]


async def _measured(
    chat: ChatModel,
    config: RunConfig,
    texts: Sequence[tuple[Message, ...]],
    counter: TokenCounter,
) -> Calibration:
    rows = min(_ROWS, config.requests.concurrency)
    await _burst(chat, config.model.base, texts[:1], "warm", 1)  # loads the weights
    reading: list[float] = []
    steps: list[float] = []
    began = time.perf_counter()
    while len(reading) < 2 or (len(reading) < BURSTS and time.perf_counter() - began < SECONDS):
        asked = [_unlike(texts[i % len(texts)], len(reading), i) for i in range(rows)]
        read_s, _ = await _burst(chat, config.model.base, asked, "read", 1)
        again_s, _ = await _burst(chat, config.model.base, asked, "again", 1)
        both_s, written = await _burst(chat, config.model.base, asked, "write", _WRITTEN)
        reading.append(sum(counter.chat(one) for one in asked) / read_s)
        # What one token of the same prompts takes is no writing; noise leaves a tenth at least.
        steps.append(max(both_s - again_s, 0.1 * both_s) / max(1.0, written / rows - 1))
    return Calibration(
        reading=_middle(reading),
        rows=rows,
        step_s=_middle(steps),
        error=max(_spread(reading), _spread(steps)),
        measured=str(datetime.now(UTC).date()),
    )


def _unlike(chat: tuple[Message, ...], burst: int, row: int) -> tuple[Message, ...]:
    """The chat with a beginning of its own, so that no earlier one is read for it."""
    first, *rest = chat
    return (Message(first.role, f"{burst}.{row} {first.content}"), *rest)


async def _burst(
    chat: ChatModel, model: str, chats: Sequence[tuple[Message, ...]], what: str, most: int
) -> tuple[float, int]:
    """Seconds, and tokens written, of chats that are asked at once."""
    requests = [
        ChatRequest(f"{what}/{i}", model, one, 1, i, Sampling(max_tokens=most))
        for i, one in enumerate(chats)
    ]
    began = time.perf_counter()
    replies = await asyncio.gather(*map(chat.reply, requests))
    seconds = time.perf_counter() - began
    return seconds, sum(one.usage.completion_tokens for one in replies if one.usage)


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _spread(values: Sequence[float]) -> float:
    """The largest relative distance from the middle."""
    middle = _middle(values)
    return max(abs(value / middle - 1) for value in values)


def _key(config: RunConfig) -> str:
    """The machine and the settings that a measurement holds for."""
    settings = settings_of(config)
    spec = "" if settings is None else settings.spec
    lines = (platform.node(), platform.machine(), str(os.cpu_count()), spec)
    return hashlib.sha256("|".join(lines).encode()).hexdigest()[:16]


def _keep(config: RunConfig, found: Calibration) -> None:
    folder = folder_for(config.model.checkpoint or "")
    if not folder.is_dir():
        return
    try:
        before = msgspec.json.decode((folder / FILE).read_bytes(), type=dict[str, Calibration])
    except (OSError, msgspec.MsgspecError):
        before = {}
    with suppress(StorageError):  # a folder of another user: the plan has it anyway
        replace_file(folder / FILE, msgspec.json.encode({**before, _key(config): found}))
