"""What every route has in common: ids, encodings, refusals in OpenAI's words, no stray nulls."""

import contextlib
import gzip
import http.client
import json
import socket
import zlib
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.local_server.jsonl import rows
from tests.local_server.serving import HELLO, Served, dataset, finished, train, upload

CHAT = "/v1/chat/completions"
BODY = json.dumps({"model": "scripted-1", "messages": HELLO, "seed": 1}).encode()


def reply(
    server: Served, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, str, bytes]:
    """Status, request id and body."""
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response.status, response.getheader("x-request-id", ""), response.read()


@pytest.mark.parametrize("path", [CHAT, "/v1/fine_tuning/jobs", "/v1/batches", "/v1/files"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_encoded_as_it_says_is_a_mistake_of_the_client(
    server: Served, path: str, encoding: str
) -> None:
    kind = "multipart/form-data; boundary=x" if path == "/v1/files" else "application/json"
    status, _, body = reply(
        server, "POST", path, b"\xff\xfegarbage", Content_Encoding=encoding, Content_Type=kind
    )
    assert status == 400
    assert json.loads(body)["error"]["code"] == "invalid_body_encoding"


def test_a_body_that_breaks_off_is_a_mistake_of_the_client(server: Served) -> None:
    cut = gzip.compress(BODY)[:-12]
    assert reply(server, "POST", CHAT, cut, Content_Encoding="gzip")[0] == 400


@pytest.mark.parametrize("encoding", ["br", "zstd", "rot13", "gzip, gzip", "x-gzip"])
def test_an_encoding_that_is_not_known_gets_415_and_says_which_are(
    server: Served, encoding: str
) -> None:
    status, _, body = reply(server, "POST", CHAT, BODY, Content_Encoding=encoding)
    assert status in (200, 400, 415) if encoding in ("br", "zstd") else status == 415
    assert status != 415 or "'gzip'" in json.loads(body)["error"]["message"]


def test_an_encoded_body_is_read(server: Served) -> None:
    plain = json.loads(reply(server, "POST", CHAT, BODY)[2])["choices"]
    for encoding, packed in (
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("identity", BODY),
    ):
        status, _, body = reply(server, "POST", CHAT, packed, Content_Encoding=encoding)
        assert (status, json.loads(body)["choices"]) == (200, plain)


def test_every_reply_has_an_id_of_its_own(server: Served) -> None:
    asked: list[tuple[str, str, bytes | None, dict[str, str]]] = [
        ("GET", "/health", None, {}),
        ("GET", "/v1/models", None, {}),
        ("GET", "/v1/models/none", None, {}),
        ("GET", "/v1/files/none/content", None, {}),
        ("GET", "/v1/batches", None, {}),
        ("GET", "/nothing", None, {}),
        ("PUT", CHAT, None, {}),
        ("POST", CHAT, BODY, {}),
        ("POST", CHAT, BODY[:-1] + b', "stream": true}', {}),
        ("POST", CHAT, b"{", {}),
        ("POST", CHAT, b" " * (8 * 2**20 + 1), {}),
        ("POST", CHAT, b"garbage", {"Content-Encoding": "gzip"}),
        ("POST", CHAT, b"garbage", {"Content-Encoding": "zstd"}),
        ("GET", "/v1/models", None, {"Expect": "tea"}),
    ]
    ids = [reply(server, method, path, body, **more)[1] for method, path, body, more in asked]
    assert all(name.startswith("req_") for name in ids)
    assert len(set(ids)) == len(ids)


def test_what_is_no_http_is_refused_in_the_same_shape(server: Served) -> None:
    host, port = urlsplit(server.base_url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /v1/files HTTP/1.1\r\nContent-Length: many\r\n\r\n")
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert b"x-request-id: req_" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_the_package_tells_the_id(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="scripted-1", messages=HELLO)
    assert str(answer._request_id).startswith("req_")  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="scripted-1", input="Hello")
    assert str(caught.value.request_id).startswith("req_")
    assert "/v1/chat/completions" in caught.value.message


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/r/cancel", "/v1/embeddings"])
def test_a_route_of_openais_that_is_not_here_names_the_one_that_is(
    server: Served, path: str
) -> None:
    status, body = server.request("POST", path, b"{}")
    assert (status, body["error"]["code"]) == (404, "unknown_url")
    assert "POST /v1/chat/completions" in body["error"]["message"]


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/v1/chat/completions", "/models"])
def test_a_wrong_base_url_is_told(server: Served, path: str) -> None:
    status, body = server.request("POST", path, b"{}")
    assert status == 404
    assert "base_url must end with '/v1'" in body["error"]["message"]


def test_a_chat_that_is_too_long_is_told_in_openais_words(client: openai.OpenAI) -> None:
    long: Any = [{"role": "user", "content": "word " * 200_000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="scripted-1", messages=long)
    assert caught.value.code == "context_length_exceeded"
    assert "This model's maximum context length is" in caught.value.message
    assert "tokens. However, your messages resulted in 200000 tokens." in caught.value.message


MAY_BE_NULL = {
    "chat.completion": {"logprobs", "refusal"},
    "chat.completion.chunk": {"logprobs", "finish_reason", "usage"},
    "fine_tuning.job": {
        "error",
        "estimated_finish",
        "fine_tuned_model",
        "finished_at",
        "metadata",
        "param",
        "trained_tokens",
        "validation_file",
    },
    "batch": {"metadata", "line", "param"},
}
"""Fields that OpenAI's published schema lets be null; all others are there or left out."""


def nulls(value: Any, kind: str = "", field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        kind = str(fields.get("object", kind)).replace("list", kind)
        for name, inner in fields.items():
            yield from nulls(inner, kind, name)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from nulls(inner, kind, field)
    elif value is None:
        yield kind, field


def test_nothing_is_null_that_may_not_be(server: Served, client: openai.OpenAI) -> None:
    done = train(client)
    assert finished(client, done).status == "succeeded"
    failed = train(client, training_file=upload(client, b"x\n" + dataset()))
    assert finished(client, failed).status == "failed"
    batch = client.batches.create(
        input_file_id=client.files.create(file=("b.jsonl", b"x\n"), purpose="batch").id,
        endpoint=CHAT,
        completion_window="24h",
    )
    paths = ["models", "files", "files?purpose=vision", "batches", f"batches/{batch.id}"]
    paths += ["fine_tuning/jobs", "fine_tuning/jobs?metadata[x]=none"]
    for job in (done, failed):
        paths += [f"fine_tuning/jobs/{job}{more}" for more in ("", "/events", "/checkpoints")]
    told = [server.request("GET", f"/v1/{path}")[1] for path in paths]
    told += [server.chat(logprobs=asked)[1] for asked in (True, False)]
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps({"model": "scripted-1", "messages": HELLO, **stream}).encode()
    events = reply(server, "POST", CHAT, body)[2].decode().split("\n\n")
    told += [json.loads(event[6:]) for event in events if event.startswith("data: {")]
    found = {pair for one in told for pair in nulls(one)}
    assert not {pair for pair in found if pair[1] not in MAY_BE_NULL.get(pair[0], ())}
    assert ("fine_tuning.job", "fine_tuned_model") in found


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([b"", b" ", b"\t", b"{}", b'["x"]']))))
def test_rows_keep_the_numbers_of_their_lines(lines: list[tuple[bool, bytes]]) -> None:
    file = [(b"\xef\xbb\xbf" if mark else b"") + text for mark, text in lines]
    written = [line + end for line, end in zip(file, [b"\n", b"\r\n"] * len(file), strict=False)]
    expected = [(n, text) for n, (_, text) in enumerate(lines, 1) if text.strip()]
    assert list(rows(written)) == expected


def test_a_file_in_utf_16_says_so() -> None:
    with pytest.raises(UnicodeError, match="UTF-16"):
        list(rows(["{}".encode("utf-16")]))
