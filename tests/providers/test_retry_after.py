"""How long a refusal asks to stay away, and that nothing else it says changes that."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.durations import LONGEST_S
from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.providers import faults
from rmft_api.providers.error_rules import PATIENCE_S
from rmft_api.providers.faults import Request
from rmft_api.requests.retries import Retries
from tests.virtual import VirtualTime

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = NOON.timestamp()
POST = Request("openai", "answer a chat")


def fault(body: Any, status: int = 429, headers: dict[str, str] | None = None) -> ProviderFault:
    return faults.refused(POST, status, headers or {}, json.dumps(body).encode(), now=NOW)


def wait(body: Any = None, status: int = 429, /, **headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fault(body, status, named).retry_after_s


def test_the_longest_wait_that_is_asked_for_counts() -> None:
    assert wait(retry_after="1") == 1.0
    assert wait(retry_after_ms="120") == pytest.approx(0.12)
    assert wait(x_ms_retry_after_ms="1500") == 1.5
    assert wait(retry_after="2", retry_after_ms="1500") == 2.0
    assert wait(retry_after="36000") == 36_000.0
    assert wait(retry_after="99999999999") == LONGEST_S
    assert wait({"error": {"message": "Try again in 9s"}}, retry_after="2") == 9.0


def test_what_asks_for_no_time_asks_for_nothing() -> None:
    assert [wait(retry_after=text) for text in ("0", "-1", "NaN", "soon", "")] == [None] * 5


def test_a_date_counts_from_the_servers_own_clock() -> None:
    at = format_datetime(NOON + timedelta(seconds=30), usegmt=True)
    assert wait(retry_after=at) == pytest.approx(30)
    skewed = format_datetime(NOON - timedelta(seconds=60), usegmt=True)
    assert wait(retry_after=at, date=skewed) == pytest.approx(90)
    assert wait(retry_after=skewed) is None


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"details": [{"@type": "type.x/google.rpc.RetryInfo", "retryDelay": "7s"}]}},
        {"error": {"details": [{"retryDelay": {"seconds": 6, "nanos": 999_999_999}}]}},
        {"error": {"message": "slow", "retry_after": 7}},
        {"detail": {"retry_after_seconds": 7.0}},
        {"retryAfterMs": 7000},
        {"error": {"code": 429, "metadata": {"headers": {"Retry-After": "7"}}}},
        {"error": {"metadata": {"raw": '{"error": {"message": "please retry in 7s"}}'}}},
        {"error": {"type": "usage_limit_reached", "resets_in_seconds": 7}},
        [{"error": "Wait 7 seconds"}],
        {"detail": [{"loc": ["body"], "msg": "try again in 7 s"}]},
        "Please retry in 7 seconds",
    ],
)
def test_a_wait_is_found_wherever_the_body_states_it(body: Any) -> None:
    assert wait(body) == pytest.approx(7.0, abs=0.002)


def test_when_a_limit_is_full_again_counts_only_where_no_wait_is_stated() -> None:
    used_up = {"x_ratelimit_reset_requests": "6m0s", "x_ratelimit_remaining_requests": "0"}
    assert wait(**used_up) == 360.0
    assert wait(**used_up, retry_after="2") == 2.0
    assert wait({}, 503, **used_up) is None


def test_a_limit_that_is_not_used_up_is_no_reason_to_wait() -> None:
    assert (
        wait(
            x_ratelimit_reset_requests="2m59.56s",
            x_ratelimit_remaining_requests="14370",
            x_ratelimit_reset_tokens="12s",
            x_ratelimit_remaining_tokens="0",
        )
        == 12.0
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-reset": f"{NOW + 40:.0f}"},
        {"X-RateLimit-Reset": f"{1000 * (NOW + 40):.0f}", "X-RateLimit-Remaining": "0"},
        {"anthropic-ratelimit-tokens-reset": "2026-11-22T12:00:40Z"},
        {"ratelimit-reset": "40", "ratelimit-remaining": "0"},
        {"ratelimit": '"default";r=0;t=40'},
    ],
)
def test_a_reset_is_read_in_every_form_also_from_a_gateways_body(headers: dict[str, str]) -> None:
    lower = {name.lower(): value for name, value in headers.items()}
    assert fault({}, 429, lower).retry_after_s == pytest.approx(40)
    inside = {"error": {"message": "Provider error", "code": 429, "metadata": {"headers": headers}}}
    for status in (200, 429):
        met = fault(inside, status)
        assert (met.kind, met.status) == (FaultKind.SAFE, 429)
        assert met.retry_after_s == pytest.approx(40)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "date"]), st.text()))
def test_no_header_breaks_the_wait(headers: dict[str, str]) -> None:
    met = fault({"retry_after": headers}, 429, headers).retry_after_s
    assert met is None or 0 < met <= LONGEST_S


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "detail", "code", "retry_after", "headers", "loc", "msg"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.integers(200, 599), JSON)
def test_no_body_breaks_the_reader(status: int, body: Any) -> None:
    line = str(faults.refused(POST, status, {}, json.dumps(body).encode(), now=NOW))
    assert line.isprintable()


WORDS = st.sampled_from(
    [
        "You exceeded your current quota, please check your plan and billing details.",
        "Insufficient credits. Add 10 credits to unlock more requests per day.",
        "You reached the maximum of 8 requests per day.",
        "The model is being loaded: it is not ready.",
        "Your request was blocked by our safety system.",
        "This model's maximum context length is 128 tokens.",
        "model x does not exist",
        "Invalid API key.",
        "",
    ]
)
CODES = st.sampled_from(
    [
        None,
        429,
        "insufficient_quota",
        "invalid_api_key",
        "model_not_found",
        "content_filter",
        "context_length_exceeded",
        "daily_rate_limit_exceeded",
        "InsufficientQuota",
        "RESOURCE_EXHAUSTED",
        "training_not_available",
    ]
)


def _shapes(message: str, code: object, more: dict[str, Any]) -> list[Any]:
    error = {"message": message, "code": code, "type": code, **more}
    return [
        {"error": error},
        [{"error": error}],
        error,
        {"error": message, **more},
        {"detail": [{"loc": ["body"], "msg": message, "type": code, **more}]},
        {"errors": [error]},
        {"error": {"message": "upstream", "metadata": {"raw": json.dumps({"error": error})}}},
    ]


def _where(wait_s: int) -> list[tuple[dict[str, str], str, dict[str, Any]]]:
    """Ways to state a wait: in headers, in words, or in fields of the error."""
    h, m, s = wait_s // 3600, wait_s % 3600 // 60, wait_s % 60
    return [
        ({"retry-after": str(wait_s)}, "", {}),
        ({"retry-after": format_datetime(NOON + timedelta(seconds=wait_s), usegmt=True)}, "", {}),
        ({"retry-after-ms": str(1000 * wait_s)}, "", {}),
        ({"x-ratelimit-reset": f"{1000 * (NOW + wait_s):.0f}"}, "", {}),
        ({}, f" Please try again in {h}h{m}m{s}s.", {}),
        ({}, f" Please retry after {wait_s} seconds", {}),
        ({}, "", {"details": [{"retryDelay": f"{wait_s}s"}]}),
        ({}, "", {"metadata": {"headers": {"X-RateLimit-Reset": f"{NOW + wait_s:.0f}"}}}),
    ]


@settings(deadline=None, max_examples=300)
@given(st.integers(1, int(PATIENCE_S) - 400), WORDS, CODES, st.integers(0, 6), st.integers(0, 7))
async def test_any_429_that_states_a_wait_is_waited_for_whatever_else_it_says(
    wait_s: int, message: str, code: object, shape: int, place: int
) -> None:
    headers, words, more = _where(wait_s)[place]
    met = fault(_shapes(message + words, code, more)[shape], 429, headers)
    time = VirtualTime()
    retries = Retries(clock=time.clock, sleep=time.sleep, jitter=lambda: 0.5)
    refusals = iter([met])

    async def ask() -> str:
        for refusal in refusals:
            raise refusal
        return "answer"

    began = time.clock()
    assert await retries.send(ask, "a chat") == "answer"
    assert wait_s - 1 <= time.clock() - began <= wait_s + 15


def test_a_wait_beyond_all_patience_does_not_hide_that_it_is_about_money() -> None:
    body = {"error": {"message": "x", "code": "insufficient_quota"}}
    assert fault(body, 429, {"retry-after": "999999"}).kind is FaultKind.STOP
    assert fault({}, 429, {"retry-after": "999999"}).kind is FaultKind.WAIT
