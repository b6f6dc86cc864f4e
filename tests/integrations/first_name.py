"""A server of the OpenAI wire that always chooses the first action that it was told of."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from aiohttp import web


def _chosen(body: dict[str, Any], names: list[str]) -> str:
    """The name that stands first in the chat."""
    told = "\n".join(str(message["content"]) for message in body["messages"])
    known = [name for name in names if name in told]
    return min(known, key=told.index) if known else ""


def _reply(body: dict[str, Any], names: list[str]) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"<Answer>{_chosen(body, names)}</Answer>"}
    return {
        "id": "chat",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


@contextmanager
def serving(names: list[str]) -> Generator[str]:
    """The server's base URL while the block lasts; it runs in a thread of its own."""
    loop, ready, url = asyncio.new_event_loop(), threading.Event(), list[str]()

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(_reply(await request.json(), names))

    async def begin() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        ready.set()
        return runner

    def work() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(begin())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait(30)
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
