"""aiohttp's server, whose own refusals are in OpenAI's shape, and whose replies all have an id.

What cannot be parsed as HTTP meets no route: aiohttp answers it itself, in plain text.
"""

import asyncio
import logging
import re
from secrets import token_hex

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from rmft_api.local_server.refusals import (
    RequestError,
    internal_error,
    unsupported_encoding,
)

REQUEST_ID = "x-request-id"
"""The header of every reply that names it, in the server's log, too."""

log = logging.getLogger(__name__)


def new_request_id() -> str:
    """As OpenAI's look."""
    return f"req_{token_hex(16)}"


class Runner(web.AppRunner):
    """An `AppRunner` over `_Server`."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server.request_handler, request_factory=server.request_factory)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What no route can answer. Closes the connection, as aiohttp's own does."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was started, so it cannot become an error")
        refusal = _refusal(status, exc, message)
        response = refusal.response()
        response.headers[REQUEST_ID] = new_request_id()
        response.force_close()
        if status >= 500:
            log.error("a request failed (%s)", response.headers[REQUEST_ID], exc_info=exc)
        return response


def _refusal(status: int, error: BaseException | None, message: str | None) -> RequestError:
    if status >= 500:
        return internal_error()
    if isinstance(error, ContentEncodingError):
        named = re.search(r"\((\w+)\)", error.message)
        return unsupported_encoding(named[1] if named else error.message)
    words = " ".join((message or "it is no HTTP").split())
    return RequestError(status, f"The request cannot be read: {words}.", code="bad_request")
