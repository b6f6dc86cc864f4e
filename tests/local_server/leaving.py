"""Clients that close their connection before their answer has come."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rmft_api.local_server.engine import Prompt, SampledText
from rmft_api.local_server.server import Settings, running
from rmft_api.local_server.tiny import random_numbers

LONG = 400
"""Tokens that are asked for."""
SEED = 5
"""With it, models of random weights give them all."""
TOKEN_S = 0.003
"""A token takes at least so long, so that there is time to leave."""


class Watch:
    """Sees what a model samples; `begun` and `ended` are set when it does."""

    def __init__(self, patch: pytest.MonkeyPatch, model: type[Any]) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self.lengths: list[int] = []
        complete, uniforms = model.complete, random_numbers.uniforms

        def watched(self_: Any, prompts: Sequence[Prompt]) -> list[SampledText]:
            self.begun.set()
            found: list[SampledText] = complete(self_, prompts)
            self.lengths += [one.completion_tokens for one in found]
            self.ended.set()
            return found

        def slow(*address: Any) -> Any:
            time.sleep(TOKEN_S)
            return uniforms(*address)

        patch.setattr(model, "complete", watched)
        patch.setattr(random_numbers, "uniforms", slow)

    async def tokens(self, state: Path, engine: str, model: str, **more: object) -> int:
        """Sampled for a client that asks `more` and leaves as soon as its answer is begun."""
        async with running(Settings(state, port=0, engine_names=(engine,))) as url:
            async with _asking(url, {"model": model, **more}) as reader:
                if more.get("stream"):
                    await reader.readuntil(b'"delta":{"content"')
                else:
                    await asyncio.to_thread(self.begun.wait, 60)
            await asyncio.to_thread(self.ended.wait, 60)
        (length,) = self.lengths
        return length


@contextlib.asynccontextmanager
async def _asking(url: str, fields: dict[str, object]) -> AsyncGenerator[asyncio.StreamReader]:
    """A connection that a chat was sent over, closed after the block."""
    chat = [{"role": "user", "content": "Which button?"}]
    body = json.dumps({"messages": chat, "seed": SEED, "max_tokens": LONG, **fields}).encode()
    server = urlsplit(url)
    head = f"POST {server.path}/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    try:
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()
