"""Requests that are refused, in OpenAI's shape: `{"error": {message, type, param, code}}`.

`decode` reads a JSON body into a typed record and words every mistake as OpenAI does.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

T = TypeVar("T")

INVALID = "invalid_request_error"


class RequestError(Exception):
    """A request that gets an error as its answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = INVALID,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind

    def error(self) -> dict[str, str | None]:
        """The error object of the wire."""
        return {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }

    def response(self) -> web.Response:
        """The HTTP answer."""
        body = msgspec.json.encode({"error": self.error()})
        return web.Response(status=self.status, body=body, content_type="application/json")


def invalid(message: str, param: str | None, code: str | None = "invalid_value") -> RequestError:
    """A field whose value cannot be followed: 400."""
    return RequestError(400, message, param=param, code=code)


def unsupported(param: str) -> RequestError:
    """A field that OpenAI knows and the models here cannot follow: 400."""
    message = f"Unsupported parameter: '{param}' is not supported with this model."
    return RequestError(400, message, param=param, code="unsupported_parameter")


def no_such_model(model: str) -> RequestError:
    """404, in OpenAI's words for both "absent" and "not yours"."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return RequestError(404, message, code="model_not_found")


def unreadable_body(reason: str) -> RequestError:
    """A body that is not encoded as its headers say: 400."""
    words = " ".join(reason.split())
    message = f"The body of the request cannot be read: {words}."
    return RequestError(400, message, code="invalid_body_encoding")


def unsupported_encoding(encoding: str) -> RequestError:
    """A `Content-Encoding` that cannot be undone here: 415."""
    words = " ".join(encoding.split())
    message = (
        f"Unsupported Content-Encoding: {words!r}; send the body as it is, or with 'gzip' or "
        "'deflate'."
    )
    return RequestError(415, message, code="unsupported_content_encoding")


def no_such_route(method: str, path: str) -> RequestError:
    """404, in OpenAI's words, and where else to go."""
    message = f"Invalid URL ({method} {path})"
    return RequestError(404, f"{message}{_hint(path)}", code="unknown_url")


_ELSEWHERE = (
    *("responses", "completions", "embeddings", "moderations", "images", "audio", "realtime"),
    *("assistants", "threads", "conversations", "vector_stores", "uploads", "evals", "videos"),
)
"""Routes that OpenAI has and this server does not."""


def _hint(path: str) -> str:
    first, _, rest = path.strip("/").partition("/")
    if first != "v1" or rest.startswith("v1/"):
        return ": base_url must end with '/v1', once; chats go to POST /v1/chat/completions"
    if rest.partition("/")[0] in _ELSEWHERE:
        return (
            f": this server has no /v1/{rest.partition('/')[0]}. Send chats to POST "
            "/v1/chat/completions (with the openai package: client.chat.completions.create)"
        )
    return ": this server has /v1/chat/completions, models, files, batches and fine_tuning/jobs"


def too_large(limit: int) -> RequestError:
    """413."""
    message = f"The request is larger than {limit} bytes, the most that this route takes."
    return RequestError(413, message, code="request_too_large")


def internal_error() -> RequestError:
    """500: ours, and in the server's log."""
    message = "The server had an error while processing your request; its log says more."
    return RequestError(500, message, code="internal_error", kind="server_error")


def disk_full() -> RequestError:
    """507: nothing can be kept."""
    message = "The server's disk is full, so nothing was kept; make room and send it again."
    return RequestError(507, message, code="disk_full", kind="server_error")


def unable(message: str, code: str, param: str | None) -> RequestError:
    """What the model cannot do, here and now: 400 where another model may, else 503."""
    if param == "model":
        return RequestError(400, message, param=param, code=code)
    return RequestError(503, message, param=param, code=code, kind="server_error")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a JSON body. Raises Refusal that names the field at fault."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _worded(str(error)) from error
    except (ValueError, RecursionError) as error:
        message = f"We could not parse the JSON body of your request: {error}."
        raise RequestError(400, message) from error


def _worded(complaint: str) -> RequestError:
    what, _, where = complaint.partition(" - at `$")
    place = where.rstrip("`").removeprefix(".").replace("[...]", "")  # [...]: any key
    for pattern, worded in _WORDINGS:
        match = pattern.fullmatch(what)
        if match is not None:
            return worded(place, *match.groups())
    return invalid(f"Invalid '{place}': {what}.", place or None)


def _missing(place: str, name: str) -> RequestError:
    param = f"{place}.{name}" if place else name
    return invalid(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def _unknown(place: str, name: str) -> RequestError:
    param = f"{place}.{name}" if place else name
    return invalid(f"Unknown parameter: '{param}'.", param, "unknown_parameter")


def _of_another_type(place: str, wanted: str, got: str) -> RequestError:
    if not place:
        return invalid(f"The body must be a JSON {wanted}, got a JSON {got}.", None, "invalid_type")
    message = f"Invalid type for '{place}': expected {wanted}, but got {got} instead."
    return invalid(message, place, "invalid_type")


def _out_of_range(place: str, kind: str, sign: str, bound: str) -> RequestError:
    noun = "integer" if kind == "int" else "decimal"
    side = "above_max" if sign == "<=" else "below_min"
    message = f"Invalid '{place}': expected a value {sign} {bound}."
    return invalid(message, place, f"{noun}_{side}_value")


def _of_another_length(place: str, kind: str, sign: str, bound: str) -> RequestError:
    noun = "string" if kind == "str" else kind
    side = "above_max" if sign == "<=" else "below_min"
    message = f"Invalid '{place}': expected {noun} of length {sign} {bound}."
    return invalid(message, place, f"{noun}_{side}_length")


_WORDINGS: tuple[tuple[re.Pattern[str], Callable[..., RequestError]], ...] = (
    (re.compile(r"Object missing required field `(.+)`"), _missing),
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), _unknown),
    (re.compile(r"Expected `(.+)`, got `(.+)`"), _of_another_type),
    (re.compile(r"Expected `(int|float)` (<=|>=) (\S+)"), _out_of_range),
    (re.compile(r"Expected `(\w+)` of length (<=|>=) (\d+)"), _of_another_length),
)
