"""The server's batches, as the official package and rmft-api's own adapter meet them."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from tests.local_server.serving import HELLO, Served, served, until

ENDPOINT: Any = "/v1/chat/completions"
FINAL = ("completed", "failed", "cancelled")


def line(name: str, **changes: Any) -> dict[str, Any]:
    body = {"model": "scripted-1", "messages": HELLO, "seed": 3, **changes.pop("body", {})}
    return {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body, **changes}


def content(lines: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def begun(client: openai.OpenAI, lines: Sequence[Any], **more: Any) -> str:
    file = client.files.create(file=("batch.jsonl", content(lines)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", **more
    ).id


def ended(client: openai.OpenAI, batch_id: str) -> Batch:
    def over() -> Batch | None:
        batch = client.batches.retrieve(batch_id)
        return batch if batch.status in FINAL else None

    return until(over)


def told(client: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    assert file_id is not None
    rows = client.files.content(file_id).text.splitlines()
    return {row["custom_id"]: row["response"] for row in map(json.loads, rows)}


def test_a_batch_answers_each_request_as_if_it_had_been_asked_alone(
    server: Served, client: openai.OpenAI
) -> None:
    lines = [line(f"train/1/{i}/0/0", body={"seed": i, "n": 2}) for i in range(5)]
    batch = ended(client, begun(client, lines, metadata={"rmft_key": "abc"}))
    assert (batch.status, batch.metadata) == ("completed", {"rmft_key": "abc"})
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 5, "completed": 5, "failed": 0}
    assert batch.error_file_id is None
    answers = told(client, batch.output_file_id)
    for one in lines:
        body = answers[one["custom_id"]]["body"]
        status, alone = server.chat(**one["body"])
        assert status == 200
        assert body["choices"] == alone["choices"]
        assert body["usage"] == alone["usage"]


def test_a_request_that_is_refused_stands_in_the_error_file_and_spoils_no_other(
    client: openai.OpenAI,
) -> None:
    lines = [line("good"), line("bad", body={"model": "nobody"})]
    batch = ended(client, begun(client, lines))
    assert batch.status == "completed"
    assert told(client, batch.output_file_id)["good"]["status_code"] == 200
    refused = told(client, batch.error_file_id)["bad"]
    assert refused["status_code"] == 404
    assert refused["body"]["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([line("a"), line("a")], "custom_id"),
        ([line("a"), line("b", url="/v1/embeddings")], "Line 2: Expected url"),
        ([line("a"), {"custom_id": "b"}], "Line 2: Missing required parameter"),
        ([], "1 to 50000 requests"),
    ],
)
def test_a_file_that_is_no_batch_fails_as_a_whole_and_says_why(
    client: openai.OpenAI, lines: list[Any], why: str
) -> None:
    batch = ended(client, begun(client, lines))
    assert batch.status == "failed"
    assert batch.errors is not None
    assert why in str((batch.errors.data or [])[0].message)


def test_every_line_at_fault_is_named_by_its_number_in_the_file(client: openai.OpenAI) -> None:
    good = content([line("a")])
    file = b"\xef\xbb\xbf" + good + b"\r\n\n{\n" + good + content([line("b", method="GET")])
    uploaded = client.files.create(file=("batch.jsonl", file), purpose="batch")
    begun_ = client.batches.create(
        input_file_id=uploaded.id, endpoint=ENDPOINT, completion_window="24h"
    )
    batch = ended(client, begun_.id)
    assert batch.errors is not None
    assert [(one.line, one.code) for one in batch.errors.data or []] == [
        (4, "invalid_json_line"),
        (5, "duplicate_custom_id"),
        (6, "invalid_value"),
    ]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n \r\n", b"\r\n"])
def test_a_byte_order_mark_and_empty_lines_are_no_requests(
    client: openai.OpenAI, end: bytes
) -> None:
    file = b"\xef\xbb\xbf" + content([line("a")]) + b"\n" + content([line("b")]) + end
    uploaded = client.files.create(file=("batch.jsonl", file), purpose="batch")
    batch = client.batches.create(
        input_file_id=uploaded.id, endpoint=ENDPOINT, completion_window="24h"
    )
    done = ended(client, batch.id)
    assert done.request_counts is not None
    assert (done.status, done.request_counts.completed) == ("completed", 2)


def test_batches_are_listed_newest_first_and_a_batch_passes_the_sdks_own_check(
    tmp_path: Path,
) -> None:
    with served(tmp_path) as server, server.client() as client:
        ids = [begun(client, [line(f"{i}")]) for i in range(3)]
        page = client.batches.list(limit=2)
        assert [one.id for one in page.data] == ids[:0:-1]
        assert [one.id for one in client.batches.list(limit=2)] == ids[::-1]
        raw = server.request("GET", f"/v1/batches/{ids[0]}")[1]
        Batch.model_validate_json(json.dumps(raw))
        with pytest.raises(openai.NotFoundError, match="batch_none"):
            client.batches.retrieve("batch_none")


def test_a_batch_needs_a_file_that_was_uploaded_as_one(client: openai.OpenAI) -> None:
    file = client.files.create(file=("x.jsonl", content([line("a")])), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h")
    batch = ended(client, begun(client, [line("a")]))
    with pytest.raises(openai.BadRequestError, match="cannot be cancelled"):
        client.batches.cancel(batch.id)


def test_a_batch_that_a_kill_interrupted_is_carried_out_by_the_next_server(tmp_path: Path) -> None:
    lines = [line(f"{i}", body={"seed": i}) for i in range(200)]
    with served(tmp_path) as server, server.client() as client:
        batch_id = begun(client, lines)
        time.sleep(0.01)
        server.kill()
    with served(tmp_path) as server, server.client() as client:
        batch = ended(client, batch_id)
        assert batch.status == "completed"
        assert len(told(client, batch.output_file_id)) == 200
