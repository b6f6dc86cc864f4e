"""What a failed request allows: one table for every adapter of the OpenAI wire.

`RULES` is read from the top, the first rule that holds decides. Codes come before texts where both
exist, because gateways keep codes and rewrite texts. docs/faults.md 2 says why each row is as it
is.

A reply that did arrive whole and still cannot be trusted (`malformed`) counts as perhaps billed.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from rmft_api.durations import retry_after
from rmft_api.errors import FaultKind, ProviderFault


@dataclass(frozen=True)
class Request:
    """What was asked of whom, as far as a fault must know it."""

    provider: str
    action: str
    """E.g. `answer a chat`; ends the sentence "openai did not ..."."""
    model: str = ""
    tuned: bool = False
    """What is asked about is of our own making: it may take minutes to appear everywhere."""
    repeatable: bool = False
    """Asking again changes nothing (GET): no doubt is worth keeping."""
    key_name: str = "the key"


@dataclass(frozen=True)
class Refusal:
    """An error reply, read leniently."""

    status: int
    code: str = ""
    kind: str = ""
    message: str = ""
    param: str = ""
    tuned: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Code and type in lower case; which of the two carries the meaning differs."""
        return frozenset((self.code.lower(), self.kind.lower())) - {""}


@dataclass(frozen=True)
class Rule:
    """One row: whom it meets, what that allows, and what the user can do."""

    name: str
    holds: Callable[[Refusal], bool]
    kind: FaultKind
    advice: str
    code: str = ""
    """What the fault is called, whatever the gateway calls it; empty: as the gateway does."""


def _named(*names: str) -> Callable[[Refusal], bool]:
    return lambda refusal: not refusal.names.isdisjoint(names)


def _says(pattern: str, *statuses: int) -> Callable[[Refusal], bool]:
    words = re.compile(pattern, re.IGNORECASE)
    return lambda refusal: (
        (not statuses or refusal.status in statuses) and words.search(refusal.message) is not None
    )


def _status(*statuses: int) -> Callable[[Refusal], bool]:
    return lambda refusal: refusal.status in statuses


def _any(*tests: Callable[[Refusal], bool]) -> Callable[[Refusal], bool]:
    return lambda refusal: any(test(refusal) for test in tests)


_NO_MODEL = _named("model_not_found", "deploymentnotfound", "modelnotfound")
_NO_MODEL_TEXT = _says(r"model.{0,200}(does not exist|not found)|no such model", 404)

RULES = (
    Rule(
        "money",
        _any(
            _named(
                "insufficient_quota",
                "credit_balance_exhausted",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
                "billing_hard_limit_reached",
                "billing_not_active",
            ),
            _status(402),
            _says(
                r"check your plan and billing|insufficient (credit|balance|funds)|credit balance",
                400,
                403,
                429,
            ),
        ),
        FaultKind.STOP,
        "add credit or raise the spend limit, then `rmft-api resume RUN`",
    ),
    Rule(
        "daily cap",
        _any(_named("daily_rate_limit_exceeded"), _says(r"maximum of \d+ .*per day", 429)),
        FaultKind.WAIT,
        "the provider's daily limit is reached; `rmft-api resume RUN` tomorrow",
    ),
    Rule(
        "training closed",
        _any(_named("training_not_available"), _says(r"not available for fine-?tuning", 400, 403)),
        FaultKind.STOP,
        "this organisation cannot train this model here; name another model.training_profile",
        "training_not_available",
    ),
    Rule(
        "key",
        _any(_status(401), _named("invalid_api_key", "invalid_authentication")),
        FaultKind.STOP,
        "check {key}",
    ),
    Rule(
        "content",
        _any(
            _named(
                "content_filter",
                "content_policy_violation",
                "invalid_prompt",
                "cyber_policy",
                "responsibleaipolicyviolation",
            ),
            _says(r"content management policy|safety system|\bblocked\b|usage polic", 400),
        ),
        FaultKind.REJECTED,
        "the provider's content policy refuses this prompt",
        "content_filter",
    ),
    Rule(
        "too long",
        _any(
            _named("context_length_exceeded", "string_above_max_length"),
            _says(
                r"maximum context length|context (length|window)|prompt is too long"
                r"|input token count",
                400,
                413,
                422,
            ),
        ),
        FaultKind.REJECTED,
        "shorten the prompt: prompts.history = 'summary', or a smaller T",
        "context_length_exceeded",
    ),
    Rule(
        "file not ready",
        _says(
            r"file.{0,200}(not ready|still being processed|processing)|completed file import",
            400,
            404,
            409,
            422,
            425,
        ),
        FaultKind.WAIT,
        "the file is still being processed",
    ),
    Rule(
        "training data",
        _any(
            _named("invalid_training_file", "invalid_file_format", "invalid_file"),
            lambda refusal: refusal.param == "training_file" and refusal.status in (400, 422),
        ),
        FaultKind.REJECTED,
        "the training file cannot be used",
    ),
    Rule(
        "model not loaded",
        _any(
            _named("deploymentnotready"),
            _says(r"model.{0,200}(being loaded|is loading|not ready)", 404, 409, 429, 503),
        ),
        FaultKind.WAIT,
        "the model is still being loaded",
    ),
    Rule(
        "new model not found",
        lambda refusal: refusal.tuned and (_NO_MODEL(refusal) or _NO_MODEL_TEXT(refusal)),
        FaultKind.WAIT,
        "a new model can take minutes to appear; if it was deleted, train again",
    ),
    Rule(
        "new thing not found",
        lambda refusal: refusal.tuned and refusal.status == 404,
        FaultKind.WAIT,
        "it was made a moment ago and is not known everywhere yet",
    ),
    Rule(
        "model not found",
        _any(_NO_MODEL, _NO_MODEL_TEXT),
        FaultKind.STOP,
        "the model is unknown there or closed to this key; see `rmft-api models`",
    ),
    Rule(
        "one choice only",
        _says(r"multiple candidates|candidate_?count", 400),
        FaultKind.STOP,
        "set chat.n = 1 in a profile of yours",
    ),
    Rule(
        "deployments are full",
        _named("insufficientquota", "quotaexceeded", "deploymentquotaexceeded"),
        FaultKind.STOP,
        "the subscription's quota leaves no room: lower hosting.capacity in a profile of yours, or "
        "remove deployments (`rmft-api sweep`)",
    ),
    Rule(
        "ramped too fast",
        _named("slow_down", "server_is_overloaded"),
        FaultKind.SAFE,
        "slowing down",
    ),
    Rule("rate limit", _status(429), FaultKind.SAFE, "slowing down"),
    Rule(
        "not allowed",
        _status(403),
        FaultKind.STOP,
        "check the rights of {key} and of its project",
    ),
    Rule("doubtful", _status(408, 409, 425), FaultKind.AMBIGUOUS, "it may have been done"),
    Rule(
        "redirected",
        lambda refusal: 300 <= refusal.status < 400,
        FaultKind.STOP,
        "the address has moved or a login page is in the way; check base_url",
    ),
    Rule(
        "refused",
        lambda refusal: 400 <= refusal.status < 500,
        FaultKind.STOP,
        "the profile says what is sent: check its capabilities and base_url",
    ),
)
"""Whoever meets none of them (5xx, and error objects in a 200) failed on the way: see `refused`."""


def refused(
    request: Request,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
) -> ProviderFault:
    """The fault of an error reply. `headers` have lower-case names."""
    refusal = read(status, body, tuned=request.tuned)
    rule = next((rule for rule in RULES if rule.holds(refusal)), None)
    kind = rule.kind if rule else FaultKind.AMBIGUOUS
    advice = rule.advice if rule else "the provider fails on its side"
    wait = retry_after(headers, refusal.message, time.time() if now is None else now)
    where = "/".join(filter(None, (refusal.code, refusal.kind)))
    said = f": {refusal.message}" if refusal.message else ""
    return ProviderFault(
        _line(f"{_subject(request)}: HTTP {status} {where}{said}; {_fill(advice, request)}"),
        _without_doubt(kind, request),
        status=status,
        code=(rule.code if rule else "") or refusal.code or refusal.kind or None,
        retry_after_s=wait,
    )


def not_sent(request: Request, error: BaseException) -> ProviderFault:
    """The fault of a request that never left this machine."""
    why = f"no connection ({_what(error)})"
    return ProviderFault(
        _line(f"{_subject(request)}: {why}; check network and base_url"), FaultKind.SAFE
    )


def untrusted(request: Request, error: BaseException) -> ProviderFault:
    """The fault of a server that could not prove who it is: nothing was sent to it."""
    why = (
        f"its certificate is not trusted ({_what(error)}); check base_url and this machine's clock"
    )
    return ProviderFault(_line(f"{_subject(request)}: {why}"), FaultKind.STOP)


def lost(request: Request, error: BaseException) -> ProviderFault:
    """The fault of a request that went out and whose reply did not come in whole."""
    why = f"the reply was lost ({_what(error)}); it may have been done"
    return ProviderFault(
        _line(f"{_subject(request)}: {why}"), _without_doubt(FaultKind.AMBIGUOUS, request)
    )


def malformed(request: Request, why: str, body: bytes = b"", status: int = 200) -> ProviderFault:
    """The fault of a reply that came in whole and cannot be trusted."""
    seen = f": {body[:120].decode('utf-8', 'replace')!r}" if body else ""
    return ProviderFault(
        _line(f"{_subject(request)}: the reply cannot be trusted, {why}{seen}"),
        _without_doubt(FaultKind.AMBIGUOUS, request),
        status=status,
        code="malformed_reply",
    )


def read(status: int, body: bytes, *, tuned: bool = False) -> Refusal:
    """An error reply in OpenAI's shape, in one of its variants, or in none."""
    error = _error_object(body)
    return Refusal(
        status,
        code=_text(error.get("code")),
        kind=_text(error.get("type") or error.get("status")),
        message=_text(error.get("message") or error.get("detail")),
        param=_text(error.get("param")),
        tuned=tuned,
    )


def is_error(body: bytes) -> bool:
    """Whether a reply with status 200 is an error after all."""
    return b'"error"' in body and bool(_error_object(body))


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        parsed: Any = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    if isinstance(parsed, list) and parsed:
        parsed = cast("list[Any]", parsed)[0]
    if not isinstance(parsed, dict):
        return {}
    outer = cast("dict[str, Any]", parsed)
    inner = outer.get("error", outer)
    if isinstance(inner, dict):
        return cast("dict[str, Any]", inner)
    return {**outer, "message": inner} if isinstance(inner, str) else {}


def _text(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _without_doubt(kind: FaultKind, request: Request) -> FaultKind:
    return FaultKind.SAFE if kind is FaultKind.AMBIGUOUS and request.repeatable else kind


def _subject(request: Request) -> str:
    model = f" with {request.model!r}" if request.model else ""
    return f"{request.provider} did not {request.action}{model}"


def _fill(advice: str, request: Request) -> str:
    return advice.replace("{key}", request.key_name)


def _what(error: BaseException) -> str:
    """The deepest cause that says anything, by its kind and words."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    words = str(cause) or str(error)
    return f"{type(cause).__name__}: {words}" if words else type(cause).__name__


_KEYS = re.compile(r"\b(sk|sess|gsk|key)-[A-Za-z0-9_*.-]{6,}|Bearer\s+\S+")


def _line(text: str) -> str:
    """One line for a terminal: nothing that steers it, nothing like a key, no novel."""
    known = _KEYS.sub("***", text)
    plain = "".join(letter if letter.isprintable() else " " for letter in known)
    line = " ".join(plain.split())
    return line if len(line) <= 500 else line[:499] + "…"
