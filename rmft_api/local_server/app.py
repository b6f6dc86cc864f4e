"""The HTTP application: which route does what, who may call it, and what a mistake looks like."""

import hmac
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from rmft_api.local_server.batch_routes import BatchRoutes
from rmft_api.local_server.chat_routes import ChatRoutes
from rmft_api.local_server.file_routes import FileRoutes
from rmft_api.local_server.http_server import REQUEST_ID, new_request_id
from rmft_api.local_server.job_routes import JobRoutes
from rmft_api.local_server.model_routes import ModelRoutes
from rmft_api.local_server.refusals import (
    RequestError,
    disk_full,
    internal_error,
    no_such_route,
    too_large,
    unreadable_body,
    unsupported_encoding,
)
from rmft_api.local_server.storage import is_full

LARGEST_BODY = 8 * 2**20
"""Bytes of a request that is not a file at most."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


def application(
    chat: ChatRoutes,
    files: FileRoutes,
    batches: BatchRoutes,
    jobs: JobRoutes,
    models: ModelRoutes,
    api_key: str | None,
) -> web.Application:
    """The routes of the OpenAI wire, and `/health`, which needs no key."""
    routes: list[tuple[str, str, Handler]] = [
        ("POST", "/v1/chat/completions", chat.create),
        ("GET", "/v1/models", models.list),
        ("GET", "/v1/models/{id:.+}", models.get),
        ("DELETE", "/v1/models/{id:.+}", models.delete),
        ("POST", "/v1/files", files.upload),
        ("GET", "/v1/files", files.list),
        ("GET", "/v1/files/{id}", files.get),
        ("DELETE", "/v1/files/{id}", files.delete),
        ("GET", "/v1/files/{id}/content", files.content),
        ("POST", "/v1/batches", batches.create),
        ("GET", "/v1/batches", batches.list),
        ("GET", "/v1/batches/{id}", batches.get),
        ("POST", "/v1/batches/{id}/cancel", batches.cancel),
        ("POST", "/v1/fine_tuning/jobs", jobs.create),
        ("GET", "/v1/fine_tuning/jobs", jobs.list),
        ("GET", "/v1/fine_tuning/jobs/{id}", jobs.get),
        ("POST", "/v1/fine_tuning/jobs/{id}/cancel", jobs.cancel),
        ("POST", "/v1/fine_tuning/jobs/{id}/pause", jobs.pause),
        ("POST", "/v1/fine_tuning/jobs/{id}/resume", jobs.resume),
        ("GET", "/v1/fine_tuning/jobs/{id}/events", jobs.events),
        ("GET", "/v1/fine_tuning/jobs/{id}/checkpoints", jobs.checkpoints),
        ("*", "/{path:.*}", _unknown),
    ]
    app = web.Application(client_max_size=LARGEST_BODY)
    app.on_response_prepare.append(_name)
    app.router.add_get("/health", _health)
    for method, path, handler in routes:
        app.router.add_route(method, path, _guarded(handler, api_key))
    return app


def _guarded(handler: Handler, api_key: str | None) -> Handler:
    """Check the key; turn a refusal into its answer, and a bug into a 500 and a traceback."""

    async def guard(request: web.Request) -> web.StreamResponse:
        try:
            _check_encoding(request)
            if api_key is not None:
                _check_key(request, api_key)
            return await handler(request)
        except RequestError as refusal:
            return refusal.response()
        except web.HTTPRequestEntityTooLarge:
            return too_large(LARGEST_BODY).response()
        except web.RequestPayloadError as error:
            request.content.feed_eof()  # what is left of it is as little to be read
            return unreadable_body(_reason(error)).response()
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            if is_full(error):
                log.warning("%s %s: %s", request.method, request.path, error)
                return disk_full().response()
            response = internal_error().response()
            response.headers[REQUEST_ID] = name = new_request_id()
            log.exception("%s %s failed (%s)", request.method, request.path, name)
            return response

    return guard


async def _name(request: web.Request, response: web.StreamResponse) -> None:
    """Every reply, a stream's too, can be named in a report."""
    response.headers.setdefault(REQUEST_ID, new_request_id())


_ENCODINGS = ("", "identity", "gzip", "deflate", "br", "zstd")
"""What aiohttp undoes: it refuses by itself those of them whose package is not installed."""


def _check_encoding(request: web.Request) -> None:
    encoding = request.headers.get("Content-Encoding", "")
    if encoding.strip().lower() not in _ENCODINGS:
        raise unsupported_encoding(encoding)


def _reason(error: web.RequestPayloadError) -> str:
    """The last line of aiohttp's message, e.g. `Can not decode content-encoding: gzip`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "it is broken off"


def _check_key(request: web.Request, api_key: str) -> None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        message = "You didn't provide an API key: send 'Authorization: Bearer YOUR_KEY'."
        raise RequestError(401, message, code="invalid_api_key")
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), api_key.encode()):
        raise RequestError(401, "Incorrect API key provided.", code="invalid_api_key")


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _unknown(request: web.Request) -> web.Response:
    matches = request.app.router.routes()
    for route in matches:
        known = route.resource
        if known is None or route.method in ("*", request.method):
            continue
        if known.get_info().get("path") == request.path:
            message = f"Not allowed to {request.method} on {request.path}."
            raise RequestError(405, message, code="method_not_supported")
    raise no_such_route(request.method, request.path)
