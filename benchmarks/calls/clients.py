"""Other clients, each by its own defaults: `python clients.py NAME` reads a `Load` from stdin.

Run by the interpreter that has their packages, so it imports nothing of ours but `meter`.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from itertools import count
from typing import Any

from meter import Load, at_once, take, tell

MODEL = "gpt-4o-mini"
Call = Callable[[], Awaitable[None]]


async def raw(load: Load) -> Call:
    """The bare POST: aiohttp, orjson, and nothing else."""
    import aiohttp
    import orjson

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    body = {"model": MODEL, "messages": load.chat, "temperature": 1.0, "max_tokens": 200}

    async def call() -> None:
        async with session.post(f"{load.url}/chat/completions", data=orjson.dumps(body)) as reply:
            orjson.loads(await reply.read())["choices"][0]["message"]["content"]

    return call


async def openai(load: Load) -> Call:
    """The SDK's `create()`."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=load.url, api_key="none")
    messages: Any = load.chat

    async def call() -> None:
        await client.chat.completions.create(model=MODEL, messages=messages)

    return call


async def litellm(load: Load) -> Call:
    """`acompletion`."""
    import litellm as package

    async def call() -> None:
        await package.acompletion(f"openai/{MODEL}", load.chat, api_base=load.url, api_key="none")

    return call


async def dspy(load: Load) -> Call:
    """`LM.acall`, without its cache: the same request would be answered from it."""
    import dspy as package

    model = package.LM(f"openai/{MODEL}", api_base=load.url, api_key="none", cache=False)

    async def call() -> None:
        await model.acall(messages=load.chat)

    return call


async def inspect(load: Load) -> Call:
    """`Model.generate` of inspect-ai."""
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser}
    messages: Any = [kinds[m["role"]](content=m["content"]) for m in load.chat]
    config = GenerateConfig(max_connections=load.concurrency)
    model = get_model(f"openai/{MODEL}", base_url=load.url, api_key="none", config=config)

    async def call() -> None:
        await model.generate(messages)

    return call


async def curator(load: Load) -> Call:
    """A `curator.LLM` on lists of prompts: it brings its own loop, and takes no two alike."""
    os.environ |= {"OPENAI_API_KEY": "none", "TELEMETRY_ENABLED": "0", "CURATOR_VIEWER": "0"}
    os.environ["CURATOR_CACHE_DIR"] = tempfile.mkdtemp()
    from bespokelabs import curator as package

    limits = {"max_requests_per_minute": 10**8, "max_tokens_per_minute": 10**11}
    model = package.LLM(
        model_name=MODEL,
        backend="openai",
        backend_params={
            "base_url": load.url,
            "max_concurrent_requests": load.concurrency,
            **limits,
        },
    )
    numbers = count()

    async def call() -> None:
        some = [[*load.chat, {"role": "user", "content": str(next(numbers))}] for _ in range(ALL)]
        await asyncio.to_thread(model, some)

    return call


CLIENTS = {one.__name__: one for one in (raw, openai, litellm, dspy, inspect, curator)}
PACKAGES = {"raw": "aiohttp", "inspect": "inspect-ai", "curator": "bespokelabs-curator"}
ALL = 200
"""Prompts in one call of a client that takes lists."""


async def main(name: str, load: Load) -> None:
    """Warm up, then the timed calls."""
    call = await CLIENTS[name](load)
    each, width = (ALL, 1) if name == "curator" else (1, load.concurrency)
    await at_once(-(-load.warm // each), width, call)
    calls = -(-load.calls // each)
    tell(await take(calls * each, lambda: at_once(calls, width, call), lag=load.lag))
    sys.stdout.flush()
    os._exit(0)  # some packages leave threads and open sessions behind


if __name__ == "__main__":
    if sys.argv[2:] == ["--version"]:
        print(version(PACKAGES.get(sys.argv[1], sys.argv[1])))
    else:
        asked = Load(**json.load(sys.stdin))
        if sys.argv[1] in ("raw",):
            import uvloop

            uvloop.run(main(sys.argv[1], asked))
        else:
            asyncio.run(main(sys.argv[1], asked))
