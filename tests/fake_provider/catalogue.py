"""The 60 faults of docs/faults.md 4 D, by name.

By itself a lost reply leaves the work done and billed, and a refusal does nothing. A rule with
`executions` has the work done before either, as by a gateway whose upstream was slow.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product
from typing import Any, cast

from tests.fake_provider.scripts import (
    Doubt,
    Endpoint,
    JobFate,
    Mutation,
    Outcome,
    Script,
    error_body,
    html,
    model_missing,
    refusal,
)
from tests.fake_provider.wire import Manner, Response, json_response

POSTS = (Endpoint.CHAT, Endpoint.UPLOAD, Endpoint.JOB_CREATE)
GETS = (Endpoint.FILES, Endpoint.JOBS, Endpoint.JOB, Endpoint.JOB_EVENTS)
ANY = (*POSTS, *GETS)
CHAT = (Endpoint.CHAT,)
CREATE = (Endpoint.JOB_CREATE,)


def _limited(headers: dict[str, str], message: str, code: str = "rate_limit_exceeded") -> Response:
    return refusal(429, message, "requests", code, headers)


def _http_date() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


QUOTA_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)


def _choice(change: Callable[[dict[str, Any]], None]) -> Mutation:
    """Change every choice of a chat reply."""

    def mutate(reply: dict[str, Any]) -> dict[str, Any]:
        for choice in cast("list[dict[str, Any]]", reply.get("choices") or []):
            change(choice)
        return reply

    return mutate


def _content(content: str | None, finish: str, **more: Any) -> Mutation:
    def change(choice: dict[str, Any]) -> None:
        choice["message"] = {"role": "assistant", "content": content, "refusal": None, **more}
        choice["finish_reason"] = finish

    return _choice(change)


def _cut(choice: dict[str, Any]) -> None:
    text = choice["message"]["content"]
    choice["message"]["content"] = text[: len(text) // 2]
    choice["finish_reason"] = "length"


def _surrogate(choice: dict[str, Any]) -> None:
    # Half of a pair, as JSON can say it: \ud800. The answer itself stays readable.
    choice["message"]["content"] = "\ud800" + choice["message"]["content"]


def _logprobs(value: Any) -> Mutation:
    return _choice(lambda choice: choice.update(logprobs=value))


def _with(**more: Any) -> Mutation:
    return lambda reply: {**reply, **more}


def _without(name: str) -> Mutation:
    return lambda reply: {key: value for key, value in reply.items() if key != name}


NAN_LOGPROBS: dict[str, Any] = {
    "content": [{"token": "a", "logprob": float("nan"), "top_logprobs": []}]
}
ABSURD_USAGE = {
    "prompt_tokens": -5,
    "completion_tokens": 987654321,
    "total_tokens": "many",
}
FAILURES = {
    "job_failed_file": ("invalid_training_file", "line 3: the last message is not an assistant's"),
    "job_failed_server": ("server_error", "The job failed due to an internal error."),
    "job_failed_moderation": ("moderation", "The job failed moderation eval refusals_v3."),
}


def _lost(name: str, manner: Manner) -> Script:
    return Script(name, ANY, Doubt.AMBIGUOUS, executed=True, manner=manner)


def _answer(
    name: str,
    reply: Callable[[], Response],
    *,
    endpoints: tuple[Endpoint, ...] = ANY,
    doubt: Doubt = Doubt.AMBIGUOUS,
    outcome: Outcome = Outcome.SAME,
) -> Script:
    return Script(name, endpoints, doubt, outcome, reply=reply)


def _chat(name: str, mutate: Mutation, outcome: Outcome, doubt: Doubt = Doubt.NONE) -> Script:
    return Script(name, CHAT, doubt, outcome, executed=True, mutate=mutate)


def _job(name: str, fate: JobFate, outcome: Outcome = Outcome.SAME) -> Script:
    return Script(name, CREATE, Doubt.NONE, outcome, executed=True, fate=fate)


def _status(status: int, message: str) -> Script:
    def reply() -> Response:
        return html(status) if status == 520 else refusal(status, message, "server_error", None)

    return _answer(f"status_{status}", reply)


def _rate(name: str, headers: dict[str, str], message: str = "Rate limit reached.") -> Script:
    return _answer(
        f"429_{name}", lambda: _limited(headers, message), endpoints=ANY, doubt=Doubt.SAFE
    )


def quota(code: str) -> Response:
    """Money, not speed: one of five codes that mean the same."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return refusal(429, message, "insufficient_quota", code)


_CONNECTION = (
    Script("connect_refused", ANY, Doubt.SAFE, executed=True, outage="refuse"),
    Script("dns", ANY, Doubt.SAFE, Outcome.STOPS),  # the client's side: the harness acts it out
    Script("connect_timeout", ANY, Doubt.SAFE, executed=True, outage="ignore"),
    _lost("rst_before_headers", Manner.RST_BEFORE_HEADERS),
    _lost("rst_after_headers", Manner.RST_AFTER_HEADERS),
    _lost("eof", Manner.EOF),
    _lost("slow_drip", Manner.SLOW_DRIP),
    _lost("truncated", Manner.TRUNCATED),
)
_BODIES = (
    Script("html_200", ANY, Doubt.AMBIGUOUS, executed=True, reply=lambda: html(200)),
    Script("empty_object_200", ANY, Doubt.AMBIGUOUS, executed=True, mutate=lambda _: {}),
    Script(
        "error_object_200",
        ANY,
        Doubt.AMBIGUOUS,
        executed=True,
        mutate=lambda _: error_body("upstream failed", "server_error", None),
    ),
    Script(
        "bad_json_200",
        ANY,
        Doubt.AMBIGUOUS,
        executed=True,
        reply=lambda: Response(200, b'{"id": "x", "choices": [{'),
    ),
    _chat("choices_null", _with(choices=None), Outcome.SAME, Doubt.AMBIGUOUS),
    _chat("choices_empty", _with(choices=[]), Outcome.SAME, Doubt.AMBIGUOUS),
    _chat(
        "error_beside_choices",
        _with(error={"message": "Provider returned error", "code": 502}),
        Outcome.SAME,
        Doubt.AMBIGUOUS,
    ),
    _chat("finish_abort", _content("I think", "abort"), Outcome.SAME, Doubt.AMBIGUOUS),
)
_CONTENT = (
    _chat("content_null", _content(None, "stop"), Outcome.DATA),
    _chat("refusal", _content(None, "stop", refusal="I cannot help with that."), Outcome.DATA),
    _chat("length", _choice(_cut), Outcome.DATA),
    _chat("length_empty", _content("", "length"), Outcome.DATA),
    _chat("content_filter", _content("", "content_filter"), Outcome.DATA),
    _chat(
        "unknown_finish",
        _choice(lambda choice: choice.update(finish_reason="paused_turn")),
        Outcome.SAME,
        Doubt.AMBIGUOUS,
    ),
    _chat("logprobs_null", _logprobs(None), Outcome.SAME),
    _chat("logprobs_nan", _logprobs(NAN_LOGPROBS), Outcome.SAME),
    _chat("usage_missing", _without("usage"), Outcome.SAME),
    _chat("usage_absurd", _with(usage=ABSURD_USAGE), Outcome.SAME),
    _chat("wrong_model", _with(model="some-other-model"), Outcome.SAME, Doubt.AMBIGUOUS),
    _chat("surrogate", _choice(_surrogate), Outcome.DATA),
)
_REFUSALS = (
    _answer(
        "400_context",
        lambda: refusal(
            400,
            "This model's maximum context length is 128 tokens. "
            "However, your messages resulted in 4096 tokens.",
            "invalid_request_error",
            "context_length_exceeded",
        ),
        endpoints=CHAT,
        doubt=Doubt.SAFE,
        outcome=Outcome.DATA,
    ),
    _answer(
        "400_filter",
        lambda: refusal(
            400, "The prompt was filtered.", "invalid_request_error", "content_policy_violation"
        ),
        endpoints=CHAT,
        doubt=Doubt.SAFE,
        outcome=Outcome.DATA,
    ),
    _answer(
        "400_param",
        lambda: refusal(
            400, "Unsupported parameter: 'seed'.", "invalid_request_error", "unsupported_parameter"
        ),
        doubt=Doubt.SAFE,
        outcome=Outcome.STOPS,
    ),
    _answer(
        "401",
        lambda: refusal(
            401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"
        ),
        doubt=Doubt.SAFE,
        outcome=Outcome.STOPS,
    ),
    _answer(
        "403_closed",
        lambda: refusal(
            403,
            "Training is not available for this organization.",
            "invalid_request_error",
            "training_not_available",
        ),
        endpoints=CREATE,
        doubt=Doubt.SAFE,
        outcome=Outcome.STOPS,
    ),
    _answer(
        "404_model_transient",
        lambda: model_missing("this model"),
        endpoints=CHAT,
        doubt=Doubt.SAFE,
    ),
    _answer(
        "404_model_permanent",
        lambda: model_missing("this model"),
        endpoints=CHAT,
        doubt=Doubt.SAFE,
        outcome=Outcome.STOPS,
    ),
    _status(408, "Request timed out."),
    _answer("status_409", lambda: refusal(409, "Conflict.", "invalid_request_error", None)),
    _answer(
        "status_413",
        lambda: refusal(413, "Payload too large.", "invalid_request_error", None),
        endpoints=POSTS,
        doubt=Doubt.SAFE,
        outcome=Outcome.STOPS,
    ),
)
_LIMITS = (
    _rate("seconds", {"retry-after": "1"}),
    _rate("ms", {"retry-after-ms": "120"}),
    _answer(
        "429_http_date",
        lambda: _limited({"retry-after": _http_date()}, "Rate limit reached."),
        doubt=Doubt.SAFE,
    ),
    _rate(
        "6m0s",
        {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "1s"},
        "Rate limit reached. Please try again in 0.5s.",
    ),
    _rate("garbage", {"retry-after": "soon", "x-ratelimit-reset-requests": "NaNs"}),
    _answer(
        "429_2days",
        lambda: _limited({"retry-after": "172800"}, "Rate limit reached."),
        doubt=Doubt.SAFE,
        outcome=Outcome.WAITS,
    ),
    _answer(
        "429_quota",
        lambda: quota(QUOTA_CODES[0]),
        doubt=Doubt.SAFE,
        endpoints=POSTS,
        outcome=Outcome.STOPS,
    ),
    _answer(
        "429_daily_cap",
        lambda: refusal(
            429,
            "You have reached the maximum of 8 fine-tuning requests per day for the model.",
            "invalid_request_error",
            "daily_rate_limit_exceeded",
        ),
        endpoints=CREATE,
        doubt=Doubt.SAFE,
        outcome=Outcome.WAITS,
    ),
    _answer(
        "slow_down",
        lambda: _limited({}, "You are ramping up too fast.", "slow_down"),
        endpoints=CHAT,
        doubt=Doubt.SAFE,
    ),
    _status(500, "The server had an error while processing your request."),
    _status(502, "Bad gateway."),
    _status(503, "The server is overloaded."),
    _status(504, "Gateway timeout."),
    _status(520, "Unknown."),
    _status(529, "Overloaded."),
)
_LIVES = (
    Script(
        "file_late",
        (Endpoint.UPLOAD,),
        Doubt.NONE,
        executed=True,
        fate={"late_polls": 3},
    ),
    _job("job_stuck", {"stuck_polls": 12}),
    *(
        _job(name, {"fails": code, "message": message}, Outcome.FAILS)
        for name, (code, message) in FAILURES.items()
    ),
    _job("job_paused", {"status": "paused", "status_polls": 4}),
    _job("job_unknown_status", {"status": "hibernating", "status_polls": 4}),
)

SCRIPTS: dict[str, Script] = {
    script.name: script
    for script in (*_CONNECTION, *_BODIES, *_CONTENT, *_REFUSALS, *_LIMITS, *_LIVES)
}
REFUSING = (
    400,
    401,
    402,
    403,
    404,
    408,
    409,
    413,
    422,
    425,
    429,
    498,
    500,
    502,
    503,
    504,
    520,
    529,
)
"""Statuses that a gateway may answer with, whatever its upstream has done."""


def _gateway(status: int, form: str) -> Script:
    """Any status with any form of a body; 503 is OpenAI's `slow_down`."""
    code, words = ("slow_down", "slow down") if status == 503 else (None, "something is wrong")
    replies: dict[str, Callable[[], Response]] = {
        "error": lambda: refusal(status, f"The gateway says: {words}.", "gateway_error", code),
        "html": lambda: html(status),
        "empty": lambda: json_response({}, status),
    }
    doubt = Doubt.SAFE if status == 429 else Doubt.AMBIGUOUS
    return Script(f"gateway_{status}_{form}", ANY, doubt, reply=replies[form])


GATEWAY = tuple(_gateway(*both) for both in product(REFUSING, ("error", "html", "empty")))
EXTRAS: dict[str, Script] = {
    **{script.name: script for script in GATEWAY},
    **{
        f"quota_{code}": replace(SCRIPTS["429_quota"], reply=lambda code=code: quota(code))
        for code in QUOTA_CODES
    },
    "hold": _lost("hold", Manner.HELD),  # a time-out, or a client to be killed while it waits
}
"""Helpers of the harness beyond the 60."""


def script(name: str) -> Script:
    """A fault by name. KeyError lists nothing: rules are written by tests."""
    return SCRIPTS.get(name) or EXTRAS[name]
