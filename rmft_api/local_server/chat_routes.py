"""`/v1/chat/completions`."""

import time
from secrets import token_hex

from aiohttp import web

from rmft_api.local_server import chat_answer
from rmft_api.local_server.batching import Batcher
from rmft_api.local_server.chat_request import ChatRequest, read_chat, too_long, unreadable
from rmft_api.local_server.engine import (
    Completion,
    ContextLengthError,
    EngineError,
    ExampleError,
)
from rmft_api.local_server.models import Catalogue, ModelPool
from rmft_api.local_server.refusals import unable

_JSON = {"Content-Type": "application/json"}
_EVENTS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


class ChatRoutes:
    """Handler over models and the batcher."""

    def __init__(self, catalogue: Catalogue, pool: ModelPool, batcher: Batcher) -> None:
        self._catalogue = catalogue
        self._pool = pool
        self._batcher = batcher

    async def answer(self, body: bytes) -> bytes:
        """The body of a completion, for the body of a request. Raises Refusal."""
        asked = read_chat(body)
        completions = await self._sample(asked)
        name, created = f"chatcmpl-{token_hex(12)}", int(time.time())
        return chat_answer.body(name, created, asked.model, completions)

    async def create(self, request: web.Request) -> web.Response:
        """POST /v1/chat/completions."""
        asked = read_chat(await request.read())
        completions = await self._sample(asked)
        name, created = f"chatcmpl-{token_hex(12)}", int(time.time())
        if asked.stream:
            events = chat_answer.events(
                name, created, asked.model, completions, asked.includes_usage
            )
            return web.Response(body=b"".join(events), headers=_EVENTS)
        body = chat_answer.body(name, created, asked.model, completions)
        return web.Response(body=body, headers=_JSON)

    async def _sample(self, asked: ChatRequest) -> list[Completion]:
        served = self._catalogue.find(asked.model)
        prompts = asked.prompts()
        try:
            model = await self._pool.get(served)
            return await self._batcher.complete(model, prompts)
        except ContextLengthError as error:
            raise too_long(str(error)) from error
        except ExampleError as error:
            raise unreadable(str(error)) from error
        except EngineError as error:
            raise unable(str(error), error.code, error.param) from error
