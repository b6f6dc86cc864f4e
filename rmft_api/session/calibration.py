"""How fast this machine reads and writes with a checkpoint: measured in some ten seconds, and kept.

The run's own server is started as a run would start it and asked what iteration 1 asks in its
middle rounds, for as many replies as the server makes at once. What was measured lies beside the
checkpoint (or not at all, where that is no folder), for later plans of the same settings and chats
on the same machine.
"""

import asyncio
import hashlib
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, StorageError
from rmft_api.core.files import replace_file
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, Message
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.open_models.gguf_files import folder_for
from rmft_api.open_models.settings import HfSettings
from rmft_api.open_models.speed import Calibration
from rmft_api.planning import previews
from rmft_api.planning.open_model import settings_of
from rmft_api.prompts import PromptSet
from rmft_api.providers import connect, profiles
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
_UNLIKE, _WRITTEN = 8, 16


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
    rows = _rows(config)
    asked = await previews.rollout_requests(config, prompts, profile, counter, rows)
    bare = config.prompts.reasoning == "none"
    rounds = [_first(requests, rows, bare=bare) for requests in _from_the_middle(asked)]
    options, within_s = engine_options(config.model), start_within_s(config.model)
    with TemporaryDirectory() as scratch:
        async with (
            embedded_server(Path(scratch), options, within_s) as url,
            connect(profile.at(url)) as connection,
        ):
            found = await _measured(connection.chat, rounds, counter)
    _keep(config, found)
    return found


def _rows(config: RunConfig) -> int:
    """Replies that a run has under way at once, as far as the server makes them together."""
    settings = settings_of(config)
    return min(
        config.requests.concurrency,
        HfSettings(checkpoint="").rows if settings is None else settings.rows,
    )


def _from_the_middle(rounds: Sequence[list[ChatRequest]]) -> list[list[ChatRequest]]:
    """The middle round first: its prompts are neither all alike nor all different."""
    middle = len(rounds) // 2
    order = sorted(range(len(rounds)), key=lambda t: abs(t - middle))
    return [rounds[t] for t in order]


def _first(requests: Sequence[ChatRequest], replies: int, *, bare: bool) -> list[ChatRequest]:
    """The first requests of a round, for about so many replies.

    `bare`: replies are answers alone. A trained model's are then alike up to a name and computed
    once; a base's are so at temperature 0.
    """
    upto = accumulate(request.n for request in requests)
    found = [one for one, sum_ in zip(requests, upto, strict=True) if sum_ - one.n < replies]
    if not bare:
        return found
    return [
        msgspec.structs.replace(
            one, sampling=msgspec.structs.replace(one.sampling, temperature=0.0)
        )
        for one in found
    ]


async def _measured(
    chat: ChatModel, rounds: Sequence[Sequence[ChatRequest]], counter: TokenCounter
) -> Calibration:
    await _burst(chat, rounds[0][:1], "warm", 1)  # loads the weights
    reading: list[float] = []
    steps: list[float] = []
    computing: list[float] = []
    began = time.perf_counter()
    while len(reading) < 2 or (len(reading) < BURSTS and time.perf_counter() - began < SECONDS):
        burst = len(reading)
        asked = rounds[burst % len(rounds)]
        read_s, _ = await _burst(chat, asked, f"{burst} read", 1)
        again_s, _ = await _burst(chat, asked, f"{burst} again", 1)
        both_s, written = await _burst(chat, asked, f"{burst} write", _WRITTEN)
        unlike = [_unlike(one, burst, i) for i, one in enumerate(asked[:_UNLIKE])]
        alone_s, _ = await _burst(chat, unlike, f"{burst} unlike", 1)
        replies = sum(request.n for request in asked)
        reading.append(_tokens(asked, counter) / read_s)
        computing.append(_tokens(unlike, counter) / alone_s)
        # What one token of the same prompts takes is no writing; noise leaves a tenth at least.
        steps.append(max(both_s - again_s, 0.1 * both_s) / max(1.0, written / replies - 1))
    return Calibration(
        reading=_middle(reading),
        rows=sum(request.n for request in rounds[0]),
        step_s=_middle(steps),
        error=max(map(_spread, (reading, steps, computing))),
        measured=str(datetime.now(UTC).date()),
        computing=_middle(computing),
    )


def _tokens(requests: Sequence[ChatRequest], counter: TokenCounter) -> int:
    return sum(counter.chat(request.messages) for request in requests)


def _unlike(request: ChatRequest, burst: int, row: int) -> ChatRequest:
    """One reply to the chat with a beginning of its own, for which no earlier one is read."""
    first, *rest = request.messages
    start = Message(first.role, f"{burst}.{row} {first.content}")
    return msgspec.structs.replace(request, messages=(start, *rest), n=1, stats=None)


async def _burst(
    chat: ChatModel, asked: Sequence[ChatRequest], what: str, most: int
) -> tuple[float, int]:
    """Seconds, and tokens written, of chats that are asked at once."""
    requests = [
        msgspec.structs.replace(
            one, key=f"{what}/{i}", sampling=msgspec.structs.replace(one.sampling, max_tokens=most)
        )
        for i, one in enumerate(asked)
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
    """The machine, the settings and the chats that a measurement holds for."""
    settings = settings_of(config)
    spec = "" if settings is None else settings.spec
    played = (config.prompts, config.rollouts, config.sampling)
    chats = [part.model_dump_json() for part in played]
    lines = (platform.node(), platform.machine(), str(os.cpu_count()), spec, *chats)
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
