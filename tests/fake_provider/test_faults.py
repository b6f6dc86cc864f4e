"""Every scripted fault does what its name says, and the books tell the truth about it."""

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fake_provider.catalogue import SCRIPTS
from tests.fake_provider.client import Provider, running
from tests.fake_provider.rules import Rule
from tests.fake_provider.scripts import Doubt, Endpoint

BASE = "gpt-4.1-2025-04-14"
CALL = json.dumps(
    {"model": BASE, "messages": [{"role": "user", "content": "2 doors: A, B. Open."}]}
).encode()
HEADERS = {"Authorization": "Bearer sk-test", "Content-Type": "application/json"}
HTTP_SCRIPTS = sorted(
    name for name, script in SCRIPTS.items() if script.reply and script.endpoints[0] == "chat"
)


def post(
    provider: Provider,
    path: str = "/v1/chat/completions",
    body: bytes = CALL,
    patience: float = 1.0,
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=patience)
    try:
        connection.request("POST", path, body, HEADERS)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def chat(provider: Provider) -> dict[str, Any]:
    return json.loads(post(provider)[1])


def rule(script: str, **more: Any) -> dict[str, Any]:
    return {"script": script, "endpoint": "chat", **more}


def test_all_60_scripts_of_the_plan_exist_and_make_sense_somewhere() -> None:
    assert len(SCRIPTS) == 60
    assert all(script.endpoints for script in SCRIPTS.values())
    assert sum(len(script.endpoints) for script in SCRIPTS.values()) >= 200


def test_a_rule_meets_the_nth_request_count_times_and_again_every_so_many() -> None:
    rule = Rule("eof", Endpoint.CHAT, nth=3, count=2, every=5)
    assert [i for i in range(1, 15) if rule.meets(i)] == [3, 4, 8, 9, 13, 14]
    assert [i for i in range(1, 9) if Rule("eof", Endpoint.CHAT, nth=3).meets(i)] == [3]


LOST: dict[str, type[Exception]] = {
    "rst_before_headers": ConnectionResetError,
    "rst_after_headers": ConnectionResetError,
    "eof": http.client.RemoteDisconnected,
    "truncated": http.client.IncompleteRead,
    "slow_drip": TimeoutError,
    "hold": TimeoutError,
}


def test_a_lost_reply_was_billed_and_only_once(tmp_path: Path) -> None:
    rules = [rule(script, nth=i) for i, script in enumerate(LOST, 1)]
    with running(tmp_path, rules) as provider:
        for i, error in enumerate(LOST.values(), 1):
            with pytest.raises(error):
                post(provider, patience=0.3)
            assert sum(provider.books.calls().values()) == i
            assert provider.books.faults(Doubt.AMBIGUOUS) == i
        assert post(provider)[0] == 200


def test_a_rule_says_how_often_the_lost_work_was_done(tmp_path: Path) -> None:
    rules = [rule("eof", nth=i + 1, executions=i) for i in range(3)]
    with running(tmp_path, rules) as provider:
        for billed in (0, 1, 3):
            with pytest.raises(http.client.RemoteDisconnected):
                post(provider)
            assert sum(provider.books.calls().values()) == billed


def test_every_refusal_leaves_in_its_own_words_and_costs_nothing(tmp_path: Path) -> None:
    scripts = [name for name in HTTP_SCRIPTS if not SCRIPTS[name].executed]
    rules = [rule(name, nth=i) for i, name in enumerate(scripts, 1)]
    with running(tmp_path, rules) as provider:
        statuses = {name: post(provider)[0] for name in scripts}
        assert provider.books.billed() == 0
        assert provider.books.faults() == len(scripts) == len(rules)
    assert all(status >= 400 for status in statuses.values())
    assert statuses["401"] == 401
    assert statuses["status_520"] == 520
    assert {status for name, status in statuses.items() if name.startswith("429")} == {429}


def test_retry_hints_come_in_every_form(tmp_path: Path) -> None:
    scripts = ["429_seconds", "429_ms", "429_http_date", "429_6m0s", "429_garbage", "429_2days"]
    with running(tmp_path, [rule(name, nth=i) for i, name in enumerate(scripts, 1)]) as provider:
        hints = [post(provider)[2] for _ in scripts]
    assert hints[0]["retry-after"] == "1"
    assert hints[1]["retry-after-ms"] == "120"
    assert hints[2]["retry-after"].endswith("GMT")
    assert hints[3]["x-ratelimit-reset-requests"] == "6m0s"
    assert hints[4]["retry-after"] == "soon"
    assert hints[5]["retry-after"] == "172800"


def test_replies_with_odd_content_are_whole_replies_that_were_billed(tmp_path: Path) -> None:
    scripts = ["content_null", "length_empty", "surrogate", "logprobs_nan", "usage_missing"]
    scripts += ["wrong_model", "choices_null", "empty_object_200"]
    rules = [rule(name, nth=i) for i, name in enumerate(scripts, 1)]
    with running(tmp_path, rules) as provider:
        told = {name: chat(provider) for name in scripts}
        assert sum(provider.books.calls().values()) == len(scripts)
    assert told["content_null"]["choices"][0]["message"]["content"] is None
    assert told["length_empty"]["choices"][0]["finish_reason"] == "length"
    assert told["surrogate"]["choices"][0]["message"]["content"].startswith("\ud800")
    logprob = told["logprobs_nan"]["choices"][0]["logprobs"]["content"][0]["logprob"]
    assert logprob != logprob
    assert "usage" not in told["usage_missing"]
    assert told["wrong_model"]["model"] == "some-other-model"
    assert told["choices_null"]["choices"] is None
    assert told["empty_object_200"] == {}


def test_a_port_is_shut_for_a_while_and_opens_again(tmp_path: Path) -> None:
    with running(tmp_path, [rule("connect_refused", outage_s=0.5)]) as provider:
        assert post(provider)[0] == 200
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            post(provider)
        assert _answers_within(provider, 3)
        assert provider.books.requests("POST") == 2


def test_a_silent_port_lets_connections_hang(tmp_path: Path) -> None:
    with running(tmp_path, [rule("connect_timeout", outage_s=0.8)]) as provider:
        assert post(provider)[0] == 200
        time.sleep(0.2)
        with (
            pytest.raises(TimeoutError),
            socket.create_connection(("127.0.0.1", provider.port), timeout=0.2),
        ):
            pass
        assert _answers_within(provider, 5)


def test_a_late_file_becomes_ready_when_looked_at(tmp_path: Path) -> None:
    rules = [{"script": "file_late", "endpoint": "upload"}]
    body = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    body += (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--b--\r\n'
    )
    with running(tmp_path, rules) as provider:
        connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=2)
        form = {**HEADERS, "Content-Type": "multipart/form-data; boundary=b"}
        connection.request("POST", "/v1/files", body, form)
        file = json.loads(connection.getresponse().read())
        seen: list[str] = [file["status"]]
        for _ in range(3):
            connection.request("GET", f"/v1/files/{file['id']}", headers=HEADERS)
            seen.append(json.loads(connection.getresponse().read())["status"])
        connection.close()
    assert seen == ["uploaded", "uploaded", "uploaded", "processed"]


def _answers_within(provider: Provider, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return post(provider)[0] == 200
        except OSError:
            time.sleep(0.05)
    return False
