"""What a fault is: where it makes sense, what it does, and what it may have cost.

A `Script` is data (`catalogue.py` lists all); `app.py` and the routes act it out.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tests.fake_provider.wire import Manner, Response, json_response


class Endpoint(StrEnum):
    """The routes, as rules name them."""

    CHAT = "chat"
    UPLOAD = "upload"
    FILES = "files"
    FILE = "file"
    FILE_CONTENT = "file_content"
    FILE_DELETE = "file_delete"
    JOB_CREATE = "job_create"
    JOBS = "jobs"
    JOB = "job"
    JOB_CANCEL = "job_cancel"
    JOB_EVENTS = "job_events"
    JOB_CHECKPOINTS = "job_checkpoints"
    BATCH_CREATE = "batch_create"
    BATCHES = "batches"
    BATCH = "batch"
    BATCH_CANCEL = "batch_cancel"
    MODELS = "models"
    MODEL = "model"


class Doubt(StrEnum):
    """What a client may conclude from the fault alone."""

    SAFE = "safe"
    """Certainly nothing was started."""
    AMBIGUOUS = "ambiguous"
    """Perhaps done and billed."""
    NONE = "none"
    """A valid reply, with unwelcome content."""


class Outcome(StrEnum):
    """What a right client makes of it, once and then left alone."""

    SAME = "same"
    """It goes on, and ends as if nothing had happened."""
    STOPS = "stops"
    """It ends with an exit code of its own; resumed, it ends as if nothing had happened."""
    WAITS = "waits"
    """It goes on later by itself, or ends resumable: both are right."""
    DATA = "data"
    """The content is the model's own: it counts, so the figures may differ."""
    FAILS = "fails"
    """The job is lost for good: it stops and says so, also when resumed."""


JobFate = dict[str, Any]
Mutation = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Script:
    """One fault."""

    name: str
    endpoints: tuple[Endpoint, ...]
    doubt: Doubt
    outcome: Outcome = Outcome.SAME
    executed: bool = False
    """Whether the work is done and billed, unless a rule says otherwise."""
    manner: Manner = Manner.WHOLE
    reply: Callable[[], Response] | None = None
    """Sent in the route's place."""
    mutate: Mutation | None = None
    """What becomes of the route's own reply."""
    fate: JobFate = field(default_factory=dict[str, Any])
    """What becomes of the job or file that this request made."""
    outage: str = ""
    """refuse or ignore: what becomes of the port once this request is answered."""


def error_body(message: str, kind: str, code: str | None, param: str | None = None) -> Any:
    """OpenAI's one shape of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal(
    status: int,
    message: str,
    kind: str,
    code: str | None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An error reply in OpenAI's shape."""
    return json_response(error_body(message, kind, code), status, headers)


def html(status: int) -> Response:
    """What a proxy in the way says."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Response(status, page.encode(), {"content-type": "text/html"})


def model_missing(model: str) -> Response:
    """One text for a model that is not there yet, is gone, or is not yours."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return refusal(404, message, "invalid_request_error", "model_not_found")


def mutated(response: Response, change: Mutation) -> Response:
    """The route's reply as the fault leaves it; lone surrogates survive as JSON escapes."""
    value = change(json.loads(response.body))
    return replace(response, body=json.dumps(value).encode())
