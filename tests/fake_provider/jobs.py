"""/v1/fine_tuning/jobs: create, list, get, cancel, events, checkpoints.

A kept job is `{"id", "ticks", "fate", "key_hash", "billed", "job"}`; `job` is what the wire shows.
A job moves on when it is looked at, or with the clock; both count ticks.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.fake_provider.chat import bad, up
from tests.fake_provider.counting import Counting
from tests.fake_provider.files import page
from tests.fake_provider.scripts import model_missing, refusal
from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Charge, File, Model, Store, digest
from tests.fake_provider.wire import Request, Response, json_response

FINAL = {"succeeded", "failed", "cancelled"}
KNOWN = {
    "model",
    "training_file",
    "validation_file",
    "suffix",
    "seed",
    "metadata",
    "integrations",
    "method",
    "hyperparameters",
}


@dataclass(frozen=True)
class Jobs:
    """Fine-tuning jobs, whose models are as good as their generation."""

    store: Store
    settings: Settings
    counting: Counting

    def create(
        self, request: Request, number: int, key_hash: str, fate: dict[str, Any]
    ) -> Response:
        """POST /v1/fine_tuning/jobs."""
        try:
            body = request.json()
        except ValueError:
            return bad("We could not parse the JSON body of your request.")
        if mistake := self._mistake(body):
            return mistake
        kept = {"ticks": 0, "fate": fate, "key_hash": key_hash, "billed": False}
        kept["job"] = _new_job(body)
        id = self.store.add_job(kept)
        kept["job"]["id"] = id
        self.store.save_job(kept)
        self.store.charge(number, key_hash, Charge("job", id, _order_hash(body)))
        return json_response(kept["job"])

    def _mistake(self, body: dict[str, Any]) -> Response | None:
        if unknown := sorted(body.keys() - KNOWN):
            return bad(f"Unrecognized request argument supplied: {unknown[0]}")
        if self.store.model(str(body.get("model"))) is None:
            return model_missing(str(body.get("model")))
        file = self.store.file(str(body.get("training_file")))
        if file is None:
            return bad(f"invalid training_file: {body.get('training_file')}", "training_file")
        if file.late_polls:
            self.store.delay_file(file.id, file.late_polls - 1)
            message = f"File '{file.id}' is still being processed and is not ready to be used."
            return bad(message, "training_file")
        return _bad_method(body) or _bad_extras(body)

    def list(self, request: Request) -> Response:
        """GET /v1/fine_tuning/jobs, newest first, `metadata[k]=v` kept where all match."""
        query = dict(request.query)
        wanted = {k[9:-1]: v for k, v in query.items() if k.startswith("metadata[")}
        seen = time.time() - self.settings.list_lag_s
        jobs = [kept["job"] for wall, kept in self.store.jobs() if wall <= seen]
        jobs = [job for job in jobs if wanted.items() <= (job["metadata"] or {}).items()]
        return page(jobs[::-1], query, 20)

    def get(self, id: str) -> Response:
        """GET /v1/fine_tuning/jobs/{id}."""
        kept = self._look(id)
        return json_response(kept["job"]) if kept else _no_job(id)

    def cancel(self, id: str) -> Response:
        """POST /v1/fine_tuning/jobs/{id}/cancel; what was trained so far is billed."""
        kept = self.store.job(id)
        if kept is None:
            return _no_job(id)
        job = kept["job"]
        if job["status"] in FINAL:
            return bad(f"Job {id} has already completed and cannot be cancelled.")
        if job["status"] == "running":
            self._bill(kept, share=0.5)
        job["status"], job["finished_at"] = "cancelled", int(time.time())
        self.store.save_job(kept)
        return json_response(job)

    def events(self, request: Request, id: str) -> Response:
        """GET .../events, newest first."""
        kept = self.store.job(id)
        if kept is None:
            return _no_job(id)
        return page(_events(kept)[::-1], dict(request.query), 20)

    def checkpoints(self, request: Request, id: str) -> Response:
        """GET .../checkpoints, newest first."""
        kept = self.store.job(id)
        if kept is None:
            return _no_job(id)
        return page(_checkpoints(kept["job"])[::-1], dict(request.query), 10)

    # A job's life

    def _look(self, id: str) -> dict[str, Any] | None:
        kept = self.store.job(id)
        if kept is None or kept["job"]["status"] in FINAL:
            return kept
        tick_s = self.settings.tick_s
        elapsed = time.time() - kept["job"]["created_at"]
        kept["ticks"] = int(elapsed / tick_s) if tick_s else kept["ticks"] + 1
        self._advance(kept)
        self.store.save_job(kept)
        return kept

    def _advance(self, kept: dict[str, Any]) -> None:
        file = self.store.file(kept["job"]["training_file"])
        kind = kept["job"]["method"]["type"]
        mistake = file_mistake(file, self.settings.least_examples, kind)
        status = self._status(kept)
        if mistake and status != "validating_files":
            self._fail(kept, "invalid_training_file", mistake)
        elif status == "succeeded" and "fails" in kept["fate"]:
            if kept["fate"]["fails"] == "moderation":
                self._bill(kept)
            self._fail(kept, kept["fate"]["fails"], kept["fate"]["message"])
        elif status == "succeeded":
            self._succeed(kept)
        else:
            kept["job"]["status"] = status

    def _status(self, kept: dict[str, Any]) -> str:
        fate, settings = kept["fate"], self.settings
        life = [("validating_files", settings.validating_ticks)]
        life += [("queued", settings.queued_ticks + int(fate.get("stuck_polls", 0)))]
        life += [(fate.get("status", "running"), int(fate.get("status_polls", 0)))]
        life += [("running", settings.running_ticks)]
        left = kept["ticks"]
        for status, ticks in life:
            if left < ticks:
                return status
            left -= ticks
        return "succeeded"

    def _succeed(self, kept: dict[str, Any]) -> None:
        job = kept["job"]
        parent = self.store.model(job["model"])
        assert parent is not None
        self._bill(kept)
        lineage = digest(parent.lineage, self._content_hash(job), job["seed"], job["method"])
        root = job["model"].split(":")[1] if job["model"].startswith("ft:") else job["model"]
        id = f"ft:{root}:fake-org:{job['user_provided_suffix'] or ''}:{lineage[:8]}"
        self.store.add_model(Model(id, lineage, parent.generation + 1, time.time()))
        job["status"], job["fine_tuned_model"] = "succeeded", id
        job["finished_at"] = int(time.time())

    def _content_hash(self, job: dict[str, Any]) -> str:
        file = self.store.file(job["training_file"])
        return digest(file.content.hex() if file else None)

    def _fail(self, kept: dict[str, Any], code: str, message: str) -> None:
        job = kept["job"]
        job["status"], job["finished_at"] = "failed", int(time.time())
        job["error"] = {"code": code, "message": message, "param": "training_file"}

    def _bill(self, kept: dict[str, Any], share: float = 1.0) -> None:
        job = kept["job"]
        file = self.store.file(job["training_file"])
        trained = int(share * self._tokens(file, job["hyperparameters"]["n_epochs"]))
        job["trained_tokens"] = trained
        if not kept["billed"]:
            kept["billed"] = True
            cost = up(trained * self.settings.prices.train)
            charge = Charge("training", job["id"], "", trained, 0, cost)
            self.store.charge(None, kept["key_hash"], charge)

    def _tokens(self, file: File | None, epochs: Any) -> int:
        """What a job trains on: tokens of all examples x epochs."""
        if file is None:
            return 0
        lines = file.content.decode().removesuffix("\n").split("\n")
        chats = [chat for line in lines for chat in _chats(json.loads(line))]
        each = sum(self.counting.chat(chat) for chat in chats)
        return each * (epochs if isinstance(epochs, int) else 3)


def file_mistake(file: File | None, least: int, kind: str = "supervised") -> str | None:
    """What is wrong with a training file, by the rules that providers publish."""
    if file is None:
        return "the training file was deleted"
    lines = file.content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    if len(lines) < least:
        return f"training file has {len(lines)} example(s), but must have at least {least}"
    for number, line in enumerate(lines, 1):
        if mistake := _pair_mistake(line) if kind == "dpo" else _line_mistake(line):
            return f"line {number}: {mistake}"
    return None


def _pair_mistake(line: str) -> str | None:
    """A line of preferences: an input, and one assistant message each way."""
    try:
        pair = json.loads(line)
        asked = pair["input"]["messages"]
        outputs = [pair["preferred_output"], pair["non_preferred_output"]]
    except (ValueError, KeyError, TypeError):
        return "not an input with a preferred_output and a non_preferred_output"
    if pair.keys() - {"input", "preferred_output", "non_preferred_output"}:
        return "unknown key"
    if not asked or asked[-1]["role"] not in {"user", "system", "tool"}:
        return "the input must end before the assistant speaks"
    if any(message.keys() != {"role", "content"} for message in asked):
        return "input messages have a role and a content"
    for output in outputs:
        if [message["role"] for message in output] != ["assistant"]:
            return "an output is exactly one assistant message"
        if not str(output[0]["content"]).strip():
            return "an output is empty"
    return None


def _line_mistake(line: str) -> str | None:
    try:
        messages = json.loads(line)["messages"]
        roles = [message["role"] for message in messages]
        texts = [message["content"] for message in messages]
    except (ValueError, KeyError, TypeError):
        return "not a chat of messages with role and content"
    if any(role not in {"system", "user", "assistant"} for role in roles):
        return "unknown role"
    if not roles or roles[-1] != "assistant" or not str(texts[-1]).strip():
        return "the last message must be a non-empty assistant's"
    return None


def _chats(line: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The chats of a line: one to imitate, or the two of a pair."""
    if "input" not in line:
        return [line["messages"]]
    asked = line["input"]["messages"]
    return [asked + line[f"{kind}_output"] for kind in ("preferred", "non_preferred")]


def _bad_method(body: dict[str, Any]) -> Response | None:
    """A method has a known type, and numbers that fit it."""
    method: dict[str, Any] = body.get("method") or {"type": "supervised"}
    if method.get("type") not in ("supervised", "dpo"):
        return bad(f"Invalid value: {method.get('type')!r}.", "method.type")
    numbers = {"n_epochs", "batch_size", "learning_rate_multiplier"}
    numbers |= {"beta"} if method["type"] == "dpo" else set()
    chosen: dict[str, Any] = method.get(method["type"]) or {}
    given: dict[str, Any] = chosen.get("hyperparameters") or {}
    if unknown := sorted(given.keys() - numbers):
        return bad(f"Unknown parameter: {unknown[0]!r}.", f"method.{method['type']}")
    return None


def _bad_extras(body: dict[str, Any]) -> Response | None:
    metadata: dict[str, Any] = body.get("metadata") or {}
    if len(metadata) > 16 or any(len(k) > 64 or len(str(v)) > 512 for k, v in metadata.items()):
        return bad("metadata: at most 16 pairs of 64 and 512 characters.", "metadata")
    if len(body.get("suffix") or "") > 64:
        return bad("suffix: at most 64 characters.", "suffix")
    return None


def _new_job(body: dict[str, Any]) -> dict[str, Any]:
    method: dict[str, Any] = body.get("method") or {
        "type": "supervised",
        "supervised": {"hyperparameters": body.get("hyperparameters") or {}},
    }
    chosen: dict[str, Any] = method.get(method["type"]) or {}
    given: dict[str, Any] = chosen.get("hyperparameters") or {}
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    return {
        "object": "fine_tuning.job",
        "created_at": int(time.time()),
        "finished_at": None,
        "estimated_finish": None,
        "model": body["model"],
        "fine_tuned_model": None,
        "organization_id": "fake-org",
        "status": "validating_files",
        "trained_tokens": None,
        "training_file": body["training_file"],
        "validation_file": body.get("validation_file"),
        "result_files": [],
        "seed": body.get("seed") or 0,
        "hyperparameters": {**auto, **given},
        "method": method,
        "metadata": body.get("metadata") or {},
        "integrations": [],
        "user_provided_suffix": body.get("suffix"),
        "error": None,
    }


def _order_hash(body: dict[str, Any]) -> str:
    metadata: dict[str, Any] = body.get("metadata") or {}
    key = metadata.get("rmft_key")
    return str(key) if key else digest(body)


def _events(kept: dict[str, Any]) -> list[dict[str, Any]]:
    job = kept["job"]
    said: list[tuple[str, str, str, Any]] = []
    said.append(("info", f"Created fine-tuning job: {job['id']}", "message", None))
    for step in range(1, kept["ticks"] + 1):
        data = {"step": step, "train_loss": round(1 / step, 4)}
        said.append(("info", f"Step {step}: training loss={data['train_loss']}", "metrics", data))
    if job["status"] == "failed":
        said.append(("error", job["error"]["message"], "message", None))
    if job["status"] == "succeeded":
        said.append(("info", "The job has successfully completed", "message", None))
    return [
        {
            "object": "fine_tuning.job.event",
            "id": f"ftevent-{job['id'][6:14]}-{i}",
            "created_at": job["created_at"] + i,
            "level": level,
            "message": message,
            "type": kind,
            "data": data,
        }
        for i, (level, message, kind, data) in enumerate(said)
    ]


def _checkpoints(job: dict[str, Any]) -> list[dict[str, Any]]:
    if job["status"] != "succeeded":
        return []
    return [
        {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt-{job['id'][6:14]}-1",
            "created_at": job["finished_at"],
            "fine_tuned_model_checkpoint": job["fine_tuned_model"],
            "fine_tuning_job_id": job["id"],
            "metrics": {"step": 1, "train_loss": 1.0},
            "step_number": 1,
        }
    ]


def _no_job(id: str) -> Response:
    message = f"Could not find fine tune: {id}"
    return refusal(404, message, "invalid_request_error", "fine_tune_not_found")
