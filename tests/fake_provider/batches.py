"""/v1/batches: create, get, list, cancel. A batch moves on when it is looked at.

A kept batch is `{"id", "ticks", "fate", "key_hash", "batch"}`; `batch` is what the wire shows.
Fates come from the settings, in the order of creation: "expire" and "cancel" carry out every second
request and end so, "error" answers every third with a 500, "fail" refuses the file.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.fake_provider.chat import Chat, bad
from tests.fake_provider.files import page
from tests.fake_provider.scripts import refusal
from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Charge, Store
from tests.fake_provider.wire import Request, Response, json_response

FINAL = {"completed", "failed", "expired", "cancelled"}
ENDS = {"": "completed", "error": "completed", "expire": "expired", "cancel": "cancelled"}
ENDPOINT = "/v1/chat/completions"
KNOWN = {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
Entry = dict[str, Any]


@dataclass(frozen=True)
class Batches:
    """Chats by the file, at a share of their price."""

    store: Store
    settings: Settings
    chat: Chat

    def create(self, request: Request, number: int, key_hash: str) -> Response:
        """POST /v1/batches."""
        try:
            body = request.json()
        except ValueError:
            return bad("We could not parse the JSON body of your request.")
        if mistake := self._mistake(body):
            return mistake
        fates = self.settings.batch_fates
        made = len(self.store.batches())
        fate = fates[made] if made < len(fates) else ""
        kept: Entry = {"ticks": 0, "fate": fate, "key_hash": key_hash, "batch": _new(body)}
        id = self.store.add_batch(kept)
        kept["batch"]["id"] = id
        self.store.save_batch(kept)
        metadata: Entry = body.get("metadata") or {}
        key = str(metadata.get("rmft_key", id))
        self.store.charge(number, key_hash, Charge("batch", id, key))
        return json_response(kept["batch"])

    def list(self, request: Request) -> Response:
        """GET /v1/batches, newest first."""
        seen = time.time() - self.settings.list_lag_s
        batches = [kept["batch"] for wall, kept in self.store.batches() if wall <= seen]
        return page(batches[::-1], dict(request.query), 20)

    def get(self, id: str, number: int) -> Response:
        """GET /v1/batches/{id}."""
        kept = self.store.batch(id)
        if kept is None:
            return _no_batch(id)
        if kept["batch"]["status"] not in FINAL:
            kept["ticks"] += 1
            self._advance(kept, number)
            self.store.save_batch(kept)
        return json_response(kept["batch"])

    def cancel(self, id: str) -> Response:
        """POST /v1/batches/{id}/cancel."""
        kept = self.store.batch(id)
        if kept is None:
            return _no_batch(id)
        if kept["batch"]["status"] in FINAL:
            return bad(f"Batch {id} has already ended and cannot be cancelled.")
        kept["batch"]["status"] = "cancelled"
        self.store.save_batch(kept)
        return json_response(kept["batch"])

    def _mistake(self, body: Entry) -> Response | None:
        if unknown := sorted(body.keys() - KNOWN):
            return bad(f"Unrecognized request argument supplied: {unknown[0]}")
        file = self.store.file(str(body.get("input_file_id")))
        if file is None or file.purpose != "batch":
            return bad(f"Invalid input_file_id: {body.get('input_file_id')}", "input_file_id")
        if body.get("endpoint") != ENDPOINT:
            return bad(f"Invalid endpoint: {body.get('endpoint')}", "endpoint")
        if body.get("completion_window") != "24h":
            return bad("Invalid 'completion_window': it must be '24h'.", "completion_window")
        return None

    def _advance(self, kept: Entry, number: int) -> None:
        batch, each = kept["batch"], self.settings.batch_ticks
        states = ("validating", "in_progress", "finalizing")
        at = kept["ticks"] // max(each, 1)
        lines = self._lines(batch)
        why = "the file was refused" if kept["fate"] == "fail" else _mistake_of(lines)
        if at >= 1 and why:
            problem = {"code": "invalid_request", "message": why, "line": 1, "param": None}
            batch["errors"] = {"object": "list", "data": [problem]}
            batch["status"] = "failed"
        elif at < len(states):
            batch["status"] = states[at]
        else:
            self._carry_out(kept, lines, number)

    def _lines(self, batch: Entry) -> "list[Entry]":
        file = self.store.file(batch["input_file_id"])
        assert file is not None
        return [json.loads(line) for line in file.content.decode().splitlines()]

    def _carry_out(self, kept: Entry, lines: "list[Entry]", number: int) -> None:
        batch, fate = kept["batch"], kept["fate"]
        out: list[Entry] = []
        errors: list[Entry] = []
        for place, line in enumerate(lines):
            if fate in ("expire", "cancel") and place % 2:
                why = {"code": "batch_expired", "message": "This request could not be executed."}
                errors.append(_result(line, place, None, why))
            elif fate == "error" and place % 3 == 2:
                body = {"error": {"message": "The server had an error.", "type": "server_error"}}
                errors.append(_result(line, place, (500, body), None))
            else:
                share = self.settings.batch_share
                answer = self.chat.respond(line["body"], number, kept["key_hash"], share)
                told = (answer.status, json.loads(answer.body))
                (out if answer.status == 200 else errors).append(_result(line, place, told, None))
        counts = {"total": len(lines), "completed": len(out), "failed": len(errors)}
        batch["request_counts"] = counts
        batch["output_file_id"] = self._keep(out[::-1], "output")
        batch["error_file_id"] = self._keep(errors, "error")
        batch["status"] = ENDS[fate]

    def _keep(self, lines: "list[Entry]", what: str) -> str | None:
        """Write a file of results; there is none where nothing stands in it."""
        if not lines:
            return None
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return self.store.add_file(f"batch_{what}.jsonl", "batch_output", content).id


def _mistake_of(lines: list[Entry]) -> str:
    """What is wrong with a batch's lines, by the rules that are published."""
    names = [line.get("custom_id") for line in lines]
    if not lines:
        return "the file is empty"
    if len(set(names)) != len(names) or None in names:
        return "each request needs a custom_id of its own"
    if len({str(line["body"].get("model")) for line in lines}) > 1:
        return "a batch is of one model"
    if any((line.get("method"), line.get("url")) != ("POST", ENDPOINT) for line in lines):
        return "a request's method and url must be those of the batch"
    return ""


def _result(line: Entry, place: int, told: tuple[int, Entry] | None, why: Entry | None) -> Entry:
    response = None
    if told is not None:
        status, body = told
        response = {"status_code": status, "request_id": f"req-{place}", "body": body}
    id, name = f"batch_req_{place}", line["custom_id"]
    return {"id": id, "custom_id": name, "response": response, "error": why}


def _new(body: Entry) -> Entry:
    now = int(time.time())
    return {
        "object": "batch",
        "endpoint": ENDPOINT,
        "errors": None,
        "input_file_id": body["input_file_id"],
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "expires_at": now + 24 * 3600,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.get("metadata"),
    }


def _no_batch(id: str) -> Response:
    message = f"No batch found with id '{id}'."
    return refusal(404, message, "invalid_request_error", None)
