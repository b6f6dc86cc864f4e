"""`/v1/chat/completions`."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from typing import NamedTuple

from aiohttp import web

from rmft_api.local_server import chat_answer
from rmft_api.local_server.batching import Batcher
from rmft_api.local_server.chat_answer import Stream
from rmft_api.local_server.chat_request import (
    ChatRequest,
    read_chat,
    too_long,
    unreadable,
)
from rmft_api.local_server.engine import (
    AnswerToken,
    ContextLengthError,
    EngineError,
    ExampleError,
    Listener,
    Prompt,
    SampledText,
    never,
)
from rmft_api.local_server.models import Catalogue, ModelPool
from rmft_api.local_server.refusals import RequestError, internal_error, unable

_JSON = {"Content-Type": "application/json"}
_EVENTS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}

log = logging.getLogger(__name__)


class _Event(NamedTuple):
    choice: int
    place: int
    piece: AnswerToken


class ChatRoutes:
    """Handler over models and the batcher."""

    def __init__(self, catalogue: Catalogue, pool: ModelPool, batcher: Batcher) -> None:
        self._catalogue = catalogue
        self._pool = pool
        self._batcher = batcher

    async def answer(self, body: bytes) -> bytes:
        """The body of a completion, for the body of a request. Raises Refusal."""
        return await self._whole(read_chat(body), never)

    async def _whole(self, asked: ChatRequest, has_left: Callable[[], bool]) -> bytes:
        completions = await self._sample(asked, asked.prompts(), has_left)
        name, created = f"chatcmpl-{token_hex(12)}", int(time.time())
        return chat_answer.body(
            name, created, asked.model, completions, offers_tools=asked.offers_tools
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        asked = read_chat(await request.read())
        if asked.stream:
            return await self._stream(request, asked)
        return web.Response(body=await self._whole(asked, _leaving(request)), headers=_JSON)

    async def _stream(self, request: web.Request, asked: ChatRequest) -> web.StreamResponse:
        """Send every piece when it is sampled. What fails before the first is a plain refusal."""
        growing: asyncio.Queue[_Event | None] = asyncio.Queue()
        prompts = _listened_to(asked.prompts(), growing)
        name, created = f"chatcmpl-{token_hex(12)}", int(time.time())
        stream = Stream(
            name,
            created,
            asked.model,
            len(prompts),
            asked.includes_usage,
            offers_tools=asked.offers_tools,
        )
        sampling = asyncio.create_task(self._sample(asked, prompts, _leaving(request)))
        sampling.add_done_callback(lambda _: growing.put_nowait(None))
        response = web.StreamResponse(headers=_EVENTS)
        try:
            shown = await growing.get()
            if shown is None:
                await sampling
            await response.prepare(request)
            await response.write(stream.opening())
            while shown is not None:
                await response.write(stream.piece(*shown))
                shown = await growing.get()
            await response.write(await _rest(stream, sampling))
        except ConnectionError:
            log.debug("a client left before its stream ended")
        finally:
            sampling.cancel()
        return response

    async def _sample(
        self, asked: ChatRequest, prompts: Sequence[Prompt], has_left: Callable[[], bool]
    ) -> list[SampledText]:
        served = self._catalogue.find(asked.model)
        try:
            model = await self._pool.get(served)
            return await self._batcher.complete(model, prompts, has_left)
        except ContextLengthError as error:
            raise too_long(str(error)) from error
        except ExampleError as error:
            raise unreadable(str(error)) from error
        except EngineError as error:
            raise unable(str(error), error.code, error.param) from error


def _leaving(request: web.Request) -> Callable[[], bool]:
    """Whether the client has closed its connection; asked from the sampling thread, too."""
    return lambda: request.transport is None


def _listened_to(prompts: Sequence[Prompt], growing: asyncio.Queue[_Event | None]) -> list[Prompt]:
    """The prompts with listeners that put each piece into the queue, from any thread."""
    loop = asyncio.get_running_loop()

    def listener(choice: int) -> Listener:
        return lambda place, piece: _put(loop, growing, _Event(choice, place, piece))

    return [replace(prompt, listener=listener(n)) for n, prompt in enumerate(prompts)]


def _put(
    loop: asyncio.AbstractEventLoop, growing: asyncio.Queue[_Event | None], shown: _Event
) -> None:
    with suppress(RuntimeError):  # the server has ended meanwhile
        loop.call_soon_threadsafe(growing.put_nowait, shown)


async def _rest(stream: Stream, sampling: asyncio.Task[list[SampledText]]) -> bytes:
    """The end of a stream, or what went wrong on the way."""
    try:
        return stream.rest(await sampling)
    except RequestError as refusal:
        return chat_answer.failure(refusal.error())
    except Exception:
        log.exception("a stream failed")
        return chat_answer.failure(internal_error().error())
