"""What a refusal allows: one table for every adapter.

`RULES` is read from the top, the first rule that holds decides. Codes come before texts where both
exist, because gateways keep codes and rewrite texts. docs/faults.md 2 says why each row is as it
is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from rmft_api.errors import FaultKind
from rmft_api.providers.refusals import Refusal


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
"""Whoever meets none of them (5xx, error objects in a 200) failed on the way: `faults.refused`."""
