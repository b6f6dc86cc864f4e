"""The table that says what a failed request allows, row by row and for anything at all."""

import json
import ssl
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.providers import faults, refusals
from rmft_api.providers.error_rules import RULES
from rmft_api.providers.faults import Request

POST = Request("openai", "answer a chat", model="gpt-4.1-mini", key_name="OPENAI_API_KEY")
GET = Request("openai", "list jobs", repeatable=True)
NEW = Request("openai", "answer a chat", model="ft:x", tuned=True)
QUOTA_CODES = (
    "exceeded_quota",
    "insufficient_balance",
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
)
SAFE, AMBIGUOUS, NO_ANSWER, WAIT, STOP, REJECTED = FaultKind


def fault(
    status: int,
    message: str = "",
    code: str | None = None,
    kind: str | None = None,
    request: Request = POST,
    headers: dict[str, str] | None = None,
    param: str | None = None,
) -> ProviderFault:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return faults.refused(request, status, headers or {}, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("met", "kind"),
    [
        (fault(429, "Rate limit", "rate_limit_exceeded", "tokens"), SAFE),
        (fault(429, "You are ramping up", "slow_down"), SAFE),
        (fault(503, "The server is overloaded", "server_is_overloaded"), SAFE),
        (fault(429, "That model is still being loaded."), WAIT),
        (
            fault(429, "maximum of 8 fine-tuning requests per day", "daily_rate_limit_exceeded"),
            WAIT,
        ),
        (fault(429, "You reached the maximum of 8 requests per day for the model"), WAIT),
        (fault(429, "Check your plan and billing details."), STOP),
        (fault(402, "Payment required"), STOP),
        (fault(403, "Insufficient credits", "whatever"), STOP),
        (fault(401, "Incorrect API key", "invalid_api_key"), STOP),
        (fault(403, "Training is not available", "training_not_available"), STOP),
        (fault(400, "gpt-5 is not available for fine-tuning or does not exist"), STOP),
        (fault(403, "You have no access"), STOP),
        (fault(403, "The client does not have deployments/write", "AuthorizationFailed"), STOP),
        (fault(400, "This operation requires 100 new capacity", "InsufficientQuota"), STOP),
        (fault(404, "The model `x` does not exist", "model_not_found"), STOP),
        (fault(404, "The model `x` does not exist", "model_not_found", request=NEW), WAIT),
        (fault(404, "The model `ft:x` does not exist", request=NEW), WAIT),
        (fault(404, "The deployment ...", "DeploymentNotFound", request=NEW), WAIT),
        (fault(404, "no route"), STOP),
        (fault(404, "No such File object", request=NEW), WAIT),
        (fault(400, "Unsupported parameter: 'seed'.", "unsupported_parameter"), STOP),
        (fault(413, "Payload too large"), STOP),
        (fault(422, "n must be positive"), STOP),
        (fault(400, "The prompt was filtered", "content_filter"), REJECTED),
        (fault(400, "It was", "content_policy_violation"), REJECTED),
        (fault(400, "Your request was blocked by our safety system"), REJECTED),
        (fault(400, "maximum context length is 128 tokens"), REJECTED),
        (fault(400, "Too long", "context_length_exceeded"), REJECTED),
        (fault(400, "line 3 is bad", "invalid_training_file"), REJECTED),
        (fault(400, "has 9 examples, at least 10 are needed", param="training_file"), REJECTED),
        (fault(400, "File 'file-1' is not ready"), WAIT),
        (fault(400, "training_file must point to a completed file import", "invalidPayload"), WAIT),
        (fault(408, "Request timed out"), AMBIGUOUS),
        (fault(409, "Conflict"), AMBIGUOUS),
        (fault(500, "Server error", "server_error"), AMBIGUOUS),
        (fault(503, "busy"), AMBIGUOUS),
        (fault(503, "The model is overloaded. Please try again later.", "UNAVAILABLE"), SAFE),
        (fault(500, "Overloaded", kind="overloaded_error"), SAFE),
        (fault(498, "Flex tier capacity exceeded", kind="capacity_exceeded"), SAFE),
        (fault(498, "x"), SAFE),
        (fault(424, "Request failed during generation", kind="generation"), AMBIGUOUS),
        (fault(413, "Request too large on TPM: Limit 6", "rate_limit_exceeded", "tokens"), STOP),
        (
            fault(429, "Request too large for x on tokens per min (TPM): Limit 6", kind="tokens"),
            STOP,
        ),
        (fault(520, "x"), AMBIGUOUS),
        (fault(521, "x"), SAFE),
        (fault(522, "x"), AMBIGUOUS),
        (fault(523, "x"), SAFE),
        (fault(524, "x"), AMBIGUOUS),
        (fault(499, "Client closed request"), AMBIGUOUS),
        (fault(403, "Slow", "rateLimitExceeded"), SAFE),
        (fault(403, "Slow", headers={"retry-after": "20"}), WAIT),
        (fault(402, "Payment required", headers={"retry-after": "20"}), STOP),
        (fault(401, "Expired", headers={"retry-after": "20"}), STOP),
        (fault(429, "x", "rate_limit_exceeded", headers={"retry-after": "7200"}), WAIT),
        (fault(429, "free-models-per-day. Add 10 credits to unlock 1000 requests"), WAIT),
        (fault(429, "Check your plan and billing: 10 requests per minute"), SAFE),
        (fault(400, "Over", "400", "budget_exceeded"), STOP),
        (fault(429, "Your prepayment credits are depleted", "RESOURCE_EXHAUSTED"), STOP),
        (fault(529, "overloaded"), SAFE),
        (fault(500, "Server error", request=GET), SAFE),
        (fault(409, "Conflict", request=GET), SAFE),
        (fault(401, "Incorrect API key", request=GET), STOP),
        (fault(200, "upstream failed", "server_error"), AMBIGUOUS),
        (fault(302), STOP),
        (faults.lost(POST, TimeoutError()), AMBIGUOUS),
        (faults.lost(GET, TimeoutError()), SAFE),
        (faults.not_sent(POST, ConnectionRefusedError("no")), SAFE),
        (faults.malformed(POST, "no id"), AMBIGUOUS),
        (faults.malformed(GET, "no id"), SAFE),
        (faults.untrusted(POST, OSError("certificate")), STOP),
    ],
)
def test_every_row_of_the_table(met: ProviderFault, kind: FaultKind) -> None:
    assert met.kind is kind


@pytest.mark.parametrize(
    ("met", "advice"),
    [
        (fault(400, "Unsupported parameter: 'seed'.", param="seed"), "chat.seed = false"),
        (fault(422, "extra fields not permitted", param="body.seed"), "chat.seed = false"),
        (fault(400, "'n' must be 1", param="n"), "chat.n = 1"),
        (
            fault(400, "'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
            "chat.max_tokens_field",
        ),
        (fault(429, "Request too large: Limit 6, Requested 7"), "sampling.max_tokens"),
        (fault(503, "Maintenance", headers={"retry-after": "7200"}), "asks to wait 2 h"),
    ],
)
def test_a_refusal_names_the_setting_that_helps(met: ProviderFault, advice: str) -> None:
    assert advice in str(met)


@pytest.mark.parametrize("code", QUOTA_CODES)
@pytest.mark.parametrize("status", [400, 403, 429])
def test_money_is_never_retried_whichever_field_says_it(code: str, status: int) -> None:
    assert fault(status, "x", code=code, kind="requests").kind is STOP
    assert fault(status, "x", code="other", kind=code).kind is STOP


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>520</body></html>",
        b"",
        b"null",
        b"[]",
        b'{"error": null}',
        b'{"error": "text"}',
        b'{"detail": "text"}',
        b'[{"error": {"message": "x"}}]',
        b'{"error": {"message": ["a"], "code": {"b": 1}}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_an_error_of_any_form_is_classified_by_its_status(body: bytes) -> None:
    assert faults.refused(POST, 500, {}, body).kind is AMBIGUOUS
    assert faults.refused(POST, 429, {}, body).kind is SAFE
    assert faults.refused(POST, 401, {}, body).kind is STOP


@settings(deadline=None)
@given(st.integers(100, 599), st.binary(max_size=200), st.text(max_size=80))
def test_no_reply_breaks_the_table(status: int, body: bytes, message: str) -> None:
    for raw in (body, json.dumps({"error": {"message": message}}).encode()):
        met = faults.refused(POST, status, {"retry-after": message}, raw)
        line = str(met)
        line.encode()
        assert line.isprintable()
        assert len(line) <= 500


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "x is bad"}}', "x is bad"),
        (b'\xef\xbb\xbf{"error": "x is bad"}', "x is bad"),
        (b'"x is bad"', "x is bad"),
        (b"x is bad", "x is bad"),
        (b'{"detail": "x is bad"}', "x is bad"),
        (
            b'{"detail": [{"loc": ["body", "n"], "msg": "too small", "input": 0}]}',
            "body.n: too small",
        ),
        (b'{"errors": ["x is bad", "y too"]}', "x is bad: y too"),
        (
            b'{"message": "Invalid", "errors": [{"field": "n", "message": "low"}]}',
            "Invalid: n: low",
        ),
        (b'{"title": "Invalid", "errors": {"n": ["too small"]}}', "Invalid: n: too small"),
        (b'{"error": "Bad Request", "message": "x is bad"}', "x is bad"),
        (
            b'{"error": {"message": "Upstream", "metadata": {"raw": "x is bad"}}}',
            "Upstream: x is bad",
        ),
        (
            b'{"error": {"message": "Above", "metadata": {"raw": "{\\"error\\": \\"bad\\"}"}}}',
            "Above: bad",
        ),
        (
            b"<html><head><title>Bad &amp; Gateway</title></head><body><h1>no <b>x</b></h1>",
            "Bad & Gateway: no x",
        ),
    ],
)
def test_the_reason_is_told_whatever_shape_it_has(body: bytes, said: str) -> None:
    assert f"HTTP 400: {said}; " in str(faults.refused(POST, 400, {}, body))


def test_a_long_reason_does_not_push_the_advice_out_of_the_line() -> None:
    assert str(fault(402, "x" * 3000)).endswith("then `rmft-api resume RUN`")


def test_an_error_inside_a_reply_of_status_200_counts_by_its_own_status() -> None:
    met = fault(200, "Provider returned error", code="429")
    assert (met.kind, met.status, met.code) == (SAFE, 429, None)
    assert "HTTP 200 with error 429" in str(met)
    assert fault(200, "Pay", code="402").kind is STOP
    assert fault(200, "x", code="502").kind is AMBIGUOUS


def test_what_is_repeated_of_the_request_is_no_fact_about_the_error() -> None:
    echoed = {"detail": [{"loc": ["body"], "msg": "bad", "input": {"code": "insufficient_quota"}}]}
    assert "the profile says" in str(faults.refused(POST, 422, {}, json.dumps(echoed).encode()))


def test_a_quota_that_is_named_a_minute_is_not_money() -> None:
    for per, kind in (("Minute", SAFE), ("Day", WAIT)):
        quota = {
            "violations": [{"quotaId": f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier"}]
        }
        error = {"code": 429, "message": "check your plan and billing details", "details": [quota]}
        raw = json.dumps({"error": error}).encode()
        assert faults.refused(POST, 429, {}, raw).kind is kind


def test_a_message_says_who_what_and_what_to_do() -> None:
    line = str(fault(429, "Slow.", "rate_limit_exceeded", "tokens"))
    assert line == (
        "openai did not answer a chat with 'gpt-4.1-mini': "
        "HTTP 429 rate_limit_exceeded/tokens: Slow.; slowing down"
    )


def test_a_wrong_key_names_its_variable_and_never_shows_a_key() -> None:
    line = str(
        fault(401, "Incorrect API key provided: sk-proj-abcdef0123456789.", "invalid_api_key")
    )
    assert "OPENAI_API_KEY" in line
    assert "abcdef" not in line


def test_a_certificate_file_of_another_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    untrusted = ssl.SSLCertVerificationError("self-signed certificate in certificate chain")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/corp.pem")
    assert "try SSL_CERT_FILE=$REQUESTS_CA_BUNDLE" in str(faults.untrusted(POST, untrusted))
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/corp.pem")
    assert "REQUESTS_CA_BUNDLE" not in str(faults.untrusted(POST, untrusted))


def test_a_body_that_is_too_large_is_said_to_be_so_and_a_long_prompt_to_be_long() -> None:
    page = b"<html><center>413 Request Entity Too Large</center><hr>nginx</html>"
    large = faults.refused(Request("openai", "upload a file"), 413, {}, page)
    assert large.kind is STOP
    assert "client_max_body_size" in str(large)
    assert "selection.k" in str(large)
    long = fault(413, "This model's maximum context length is 8192 tokens")
    assert long.kind is REJECTED


def test_control_characters_of_a_provider_reach_no_terminal() -> None:
    line = str(fault(500, "\x1b[31mred\x1b[0m\nnext\u2028line\ud800"))
    assert line.isprintable()


def test_a_fault_carries_what_the_retry_owner_needs() -> None:
    met = fault(429, "again in 0.5s", "rate_limit_exceeded", headers={"retry-after": "2"})
    assert (met.status, met.code, met.retry_after_s) == (429, "rate_limit_exceeded", 2.0)


@pytest.mark.parametrize(
    ("met", "code"),
    [
        (
            fault(400, "This model's maximum context length is 128 tokens"),
            "context_length_exceeded",
        ),
        (fault(400, "Blocked by our safety system", "whatever"), "content_filter"),
        (fault(400, "x is not available for fine-tuning"), "training_not_available"),
        (fault(429, "x", None, "insufficient_quota"), "insufficient_quota"),
        (fault(500, "x"), None),
    ],
)
def test_what_a_gateway_says_only_in_words_has_the_usual_code(
    met: ProviderFault, code: str | None
) -> None:
    assert met.code == code


def test_the_deepest_cause_is_told() -> None:
    outer = TimeoutError("outer")
    outer.__cause__ = ConnectionResetError("peer went away")
    assert "ConnectionResetError: peer went away" in str(faults.lost(POST, outer))


@pytest.mark.parametrize(
    ("body", "is_error"),
    [
        (b'{"error": {"message": "x"}}', True),
        (b'{"error": "x"}', True),
        (b'{"error": null, "id": "x"}', False),
        (b'{"error": {}, "id": "x"}', False),
        (b"{}", False),
        (b"<html>", False),
    ],
)
def test_an_error_object_is_seen_whatever_its_status(body: bytes, is_error: bool) -> None:
    assert refusals.is_error(body) is is_error


def test_names_of_rules_are_unique() -> None:
    names: list[Any] = [rule.name for rule in RULES]
    assert len(names) == len(set(names))
