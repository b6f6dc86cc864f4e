"""What a refusal allows: one table for every adapter.

`RULES` is read from the top, the first rule that holds decides. Structure comes before text:
a wait that the reply states, then codes and types, then the status, and words last, because
gateways keep codes and rewrite texts, and because a limit on requests is often worded as one of
money ("check your plan and billing details. Please retry in 2.5s"). docs/faults.md 2 says why each
row is as it is.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from rmft_api.core.errors import FaultKind
from rmft_api.providers.refusals import LIMITS, Refusal
from rmft_api.requests.retries import RULES as RETRIES


@dataclass(frozen=True)
class ErrorRule:
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


def _asks_to_wait(least_s: float, most_s: float) -> Callable[[Refusal], bool]:
    """A limit was met, and the reply says for how long."""
    return lambda refusal: (
        _LIMIT(refusal) and refusal.wait_s is not None and least_s < refusal.wait_s <= most_s
    )


def _field(name: str) -> Callable[[Refusal], bool]:
    """A field of the request is refused."""
    return lambda refusal: refusal.status in (400, 422) and refusal.param in (name, f"body.{name}")


def _window(name: str) -> Callable[[Refusal], bool]:
    return lambda refusal: refusal.window == name


def _any(*tests: Callable[[Refusal], bool]) -> Callable[[Refusal], bool]:
    return lambda refusal: any(test(refusal) for test in tests)


_CAPACITY = _any(
    _named(
        "slow_down",
        "server_is_overloaded",
        "overloaded",
        "overloaded_error",
        "engine_overloaded",
        "engine_overloaded_error",
        "model_overloaded",
        "server_overloaded",
        "serveroverloaded",
        "capacity_exceeded",
        "model_capacity_exceeded",
    ),
    _status(498, 529),
    _says(r"overloaded|(at|over|out of) capacity|capacity exceeded|high demand", 503),
)
_LIMIT = _any(_status(429), _named(*LIMITS), _CAPACITY)
_ASKS = "it asks to wait {wait}"
_SHORT_S = 60.0
"""Up to here a wait is one of many; a longer one is waited for by the clock, not by attempts."""
PATIENCE_S = RETRIES[FaultKind.WAIT].within_s
"""No longer wait is waited for: the run stops at once, and can be resumed."""

_TOO_LARGE = _says(r"request (is )?too large|must be reduced in order to run")
_NO_MODEL = _named("model_not_found", "deploymentnotfound", "modelnotfound", "model_not_available")
_NO_MODEL_TEXT = _says(r"model.{0,200}(does not exist|not found)|no such model", 404)
_MONEY_CODES = (
    "insufficient_quota",
    "exceeded_quota",
    "exceeded_current_quota_error",
    "credit_balance_exhausted",
    "insufficient_balance",
    "insufficient_credits",
    "insufficient_funds",
    "payment_required",
    "budget_exceeded",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "arrearage",
    "accountoverdueerror",
)
_MONEY_WORDS = (
    r"check your (plan|billing)|payment (method|required|failed|declined)"
    r"|(insufficient|not enough|out of) (account )?(credit|balance|fund)|credit balance"
    r"|credits? (is|are|has been|have been) (depleted|exhausted|used up)"
    r"|balance is (too low|insufficient|negative|exhausted)"
    r"|(exceed|reach)\w* (your|the) (\w+ )?(hard|spend(ing)?|billing|credit) limit"
    r"|(hard|spend(ing)?|billing|credit) limit (has been |was |is )?(reached|exceeded|hit)"
)
_MONEY_ADVICE = "add credit or raise the spend limit, then `rmft-api resume RUN`"


def is_money(message: str) -> bool:
    """Whether an error without a status, such as a job's, is for lack of credit or by a limit."""
    said = re.findall(r"\w+", message.lower())
    return not set(said).isdisjoint(_MONEY_CODES) or bool(re.search(_MONEY_WORDS, message, re.I))


_AWS = (
    ErrorRule(
        "AWS credentials that have ended",
        _named("expiredtokenexception", "expiredtoken", "expired_token"),
        FaultKind.STOP,
        "{key} have ended: log in again (`aws sso login`) or set new ones",
    ),
    ErrorRule(
        "AWS credentials",
        _named(
            "unrecognizedclientexception",
            "invalidclienttokenid",
            "invalidaccesskeyid",
            "missingauthenticationtokenexception",
            "incompletesignatureexception",
        ),
        FaultKind.STOP,
        "check {key}",
    ),
    ErrorRule(
        "AWS signature",
        _named("invalidsignatureexception", "signaturedoesnotmatch", "requesttimetooskewed"),
        FaultKind.STOP,
        "check AWS_SECRET_ACCESS_KEY, and this machine's clock",
    ),
    ErrorRule(
        "role that may not be passed",
        _says(r"iam:PassRole"),
        FaultKind.STOP,
        "allow {key} iam:PassRole on the role in RMFT_BEDROCK_ROLE_ARN",
    ),
    ErrorRule(
        "role that cannot be used",
        _says(
            r"assume (the )?provided (iam )?role|role.{0,200}(cannot|could not) be assumed"
            r"|(iam|service) role\b.{0,200}(s3|bucket|permission)",
            400,
            403,
        ),
        FaultKind.STOP,
        "let bedrock.amazonaws.com assume the role in RMFT_BEDROCK_ROLE_ARN, and let that role "
        "read and write the bucket in RMFT_BEDROCK_BUCKET",
    ),
    ErrorRule(
        "model access",
        _says(r"(don.t|do not) have access to the model|model access is denied", 400, 403, 404),
        FaultKind.STOP,
        "request access to the model in this region, in Bedrock's console (Model access)",
    ),
    ErrorRule(
        "action that is not allowed",
        _says(r"not authorized to perform", 400, 403),
        FaultKind.STOP,
        "allow that action to {key}",
    ),
    ErrorRule(
        "AWS quota",
        _named("servicequotaexceededexception", "toomanytagsexception"),
        FaultKind.STOP,
        "the account's quota leaves no room: ask for more in Service Quotas, wait for what runs, "
        "or remove deployments (`rmft-api cleanup`)",
    ),
    ErrorRule(
        "model without throughput on demand",
        _says(r"on-demand throughput isn.t supported", 400),
        FaultKind.STOP,
        "set hosting.base_sku in a profile of yours to your geography, such as 'us'",
    ),
    ErrorRule(
        "model id that is unknown",
        _says(r"model identifier is invalid", 400),
        FaultKind.STOP,
        "the model is unknown in this region; see `rmft-api profiles`, and check AWS_REGION",
        "model_not_found",
    ),
    ErrorRule(
        "bucket in another region",
        _any(
            _named("permanentredirect", "authorizationheadermalformed", "illegallocation"),
            _says(r"the region '[^']*' is wrong"),
        ),
        FaultKind.STOP,
        "the bucket must be in AWS_REGION: set that to the bucket's region, or use another bucket",
    ),
    ErrorRule(
        "no such bucket",
        _named("nosuchbucket"),
        FaultKind.STOP,
        "check RMFT_BEDROCK_BUCKET",
    ),
)
"""What AWS refuses, and what to do about it."""

RULES = (
    ErrorRule("asked to wait", _asks_to_wait(0, _SHORT_S), FaultKind.SAFE, _ASKS),
    ErrorRule(
        "asked to wait long",
        _asks_to_wait(_SHORT_S, PATIENCE_S),
        FaultKind.WAIT,
        _ASKS,
    ),
    ErrorRule("money", _any(_named(*_MONEY_CODES), _status(402)), FaultKind.STOP, _MONEY_ADVICE),
    ErrorRule(
        "daily cap",
        _any(_named("daily_rate_limit_exceeded"), _window("day")),
        FaultKind.WAIT,
        "the provider's daily limit is reached; `rmft-api resume RUN` tomorrow",
    ),
    ErrorRule(
        "larger than the limit",
        lambda refusal: _LIMIT(refusal) and _TOO_LARGE(refusal),
        FaultKind.STOP,
        "one request is larger than the account's limit a minute: lower sampling.max_tokens, set "
        "prompts.history = 'summary', or have the limit raised",
        "request_too_large",
    ),
    ErrorRule("limit a minute", _window("minute"), FaultKind.SAFE, "slowing down"),
    ErrorRule(
        "money in words",
        _any(_says(_MONEY_WORDS, 400, 403, 429), _says(r"account .{0,80}is suspended", 403, 412)),
        FaultKind.STOP,
        _MONEY_ADVICE,
    ),
    ErrorRule(
        "training closed",
        _any(_named("training_not_available"), _says(r"not available for fine-?tuning", 400, 403)),
        FaultKind.STOP,
        "this organisation cannot train this model here; name another model.training_profile",
        "training_not_available",
    ),
    *_AWS,
    ErrorRule(
        "key",
        _any(_status(401), _named("invalid_api_key", "invalid_authentication")),
        FaultKind.STOP,
        "check {key}",
    ),
    ErrorRule(
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
    ErrorRule(
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
    ErrorRule(
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
    ErrorRule(
        "training data",
        _any(
            _named("invalid_training_file", "invalid_file_format", "invalid_file"),
            lambda refusal: refusal.param == "training_file" and refusal.status in (400, 422),
        ),
        FaultKind.REJECTED,
        "the training file cannot be used",
    ),
    ErrorRule(
        "model not loaded",
        _any(
            _named("deploymentnotready", "modelnotreadyexception", "deployment_scaling_up"),
            _says(r"model.{0,200}(being loaded|is loading|not ready)", 404, 409, 429, 503),
        ),
        FaultKind.WAIT,
        "the model is still being loaded",
    ),
    ErrorRule(
        "new model not found",
        lambda refusal: refusal.tuned and (_NO_MODEL(refusal) or _NO_MODEL_TEXT(refusal)),
        FaultKind.WAIT,
        "a new model can take minutes to appear; if it was deleted, train again",
    ),
    ErrorRule(
        "new thing not found",
        lambda refusal: refusal.tuned and refusal.status == 404,
        FaultKind.WAIT,
        "it was just created and is not known everywhere yet",
    ),
    ErrorRule(
        "model without an endpoint",
        _says(r"non-serverless model"),
        FaultKind.STOP,
        "it answers only on a dedicated endpoint: set model.base to a serverless model",
        "model_not_found",
    ),
    ErrorRule(
        "model not found",
        _any(_NO_MODEL, _NO_MODEL_TEXT),
        FaultKind.STOP,
        "the model is unknown there or closed to this key; see `rmft-api profiles`",
    ),
    ErrorRule(
        "one choice only",
        _any(_says(r"multiple candidates|candidate_?count", 400), _field("n")),
        FaultKind.STOP,
        "set chat.n = 1 in a profile of yours",
    ),
    ErrorRule(
        "no seed", _field("seed"), FaultKind.STOP, "set chat.seed = false in a profile of yours"
    ),
    ErrorRule(
        "length under another name",
        _says(
            r"max_tokens.{0,200}max_completion_tokens|max_completion_tokens.{0,200}max_tokens",
            400,
            422,
        ),
        FaultKind.STOP,
        "set chat.max_tokens_field in a profile of yours to the name that it takes",
    ),
    ErrorRule(
        "deployments are full",
        _any(
            _named("insufficientquota", "quotaexceeded", "deploymentquotaexceeded"),
            lambda refusal: refusal.status == 403 and "quota_exceeded" in refusal.names,
            _says(r"quota.{0,80}(GPU|accelerator)|(GPU|accelerator).{0,80}quota", 403, 429),
        ),
        FaultKind.STOP,
        "the account's quota is used up: lower hosting.capacity in a profile of yours, or "
        "remove deployments (`rmft-api cleanup`)",
    ),
    ErrorRule("asked for days", _asks_to_wait(PATIENCE_S, math.inf), FaultKind.WAIT, _ASKS),
    ErrorRule("no capacity", _CAPACITY, FaultKind.SAFE, "slowing down"),
    ErrorRule(
        "not reached",
        _status(521, 523, 525, 526),
        FaultKind.SAFE,
        "the gateway did not reach the provider",
    ),
    ErrorRule("rate limit", _LIMIT, FaultKind.SAFE, "slowing down"),
    ErrorRule(
        "doubtful", _status(408, 409, 424, 425, 499), FaultKind.AMBIGUOUS, "it may have been done"
    ),
    ErrorRule(
        "asked to come back later",
        lambda refusal: 402 < refusal.status < 500 and refusal.wait_s is not None,
        FaultKind.WAIT,
        _ASKS,
    ),
    ErrorRule(
        "not allowed",
        _status(403),
        FaultKind.STOP,
        "check the rights of {key} and of its project",
    ),
    ErrorRule(
        "body too large",
        _status(413),
        FaultKind.STOP,
        "the endpoint, or a proxy before it, takes no body of this size: raise its limit (nginx: "
        "client_max_body_size), or send less (a chat: prompts.history = 'summary'; a training "
        "file: a smaller selection.k or rollouts.scenarios)",
    ),
    ErrorRule(
        "redirected",
        lambda refusal: 300 <= refusal.status < 400,
        FaultKind.STOP,
        "the address has moved or a login page is in the way; check base_url",
    ),
    ErrorRule(
        "refused",
        lambda refusal: 400 <= refusal.status < 500,
        FaultKind.STOP,
        "the profile says what is sent: check its capabilities and base_url",
    ),
)
"""What matches none of them (5xx, error objects in a 200) failed on the way: `faults.refused`."""
