"""Tinker as its package (tinker 0.38.0) speaks it: sessions, training runs, saved states, chats.

The package itself walks the whole way against this fake in `test_tinker_sdk.py`. What a run has
learned is a hash of the batches in their order, so two ways to the same model can be compared.
"""

import json
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.providers.stub import (
    ROUTES,
    Handler,
    Json,
    Meets,
    Routes,
    StubProvider,
    replied,
)

KEY = "tml-0123456789abcdef"
BASE = "Qwen/Qwen3-8B"
_ROOT = "/services/tinker-prod"
PREFIX = f"{_ROOT}/oai/api/v1"
API = f"{_ROOT}/api/v1"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass
class Run:
    """One training run."""

    id: str
    base: str
    metadata: dict[str, str]
    weights: str
    gradients: list[str] = field(default_factory=list[str])
    next_seq: int = 1
    waiting: dict[int, tuple[str, Any]] = field(default_factory=dict[int, tuple[str, Any]])
    known: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    """By number: the id of the result, and the hash of the body."""
    saved: dict[str, str] = field(default_factory=dict[str, str])
    """Weights by path."""
    last: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class FakeTinker(StubProvider):
    """One account."""

    models: set[str] = field(default_factory=lambda: {BASE})
    offered: dict[str, tuple[bool, bool]] = field(
        default_factory=lambda: {BASE: (True, True), "openai/gpt-oss-20b": (True, True)}
    )
    """Bases: trainable, sampleable."""
    sessions: list[str] = field(default_factory=list[str])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    dead: set[str] = field(default_factory=set[str])
    """Sessions that ended: their runs take no requests."""
    results: dict[str, Json] = field(default_factory=dict[str, Json])
    trained: Counter[str] = field(default_factory=Counter[str])
    """How often each batch was trained on: by its job, what the job had learned, and its hash."""
    tokens: int = 0  # pyright: ignore[reportIncompatibleVariableOverride]
    """Billed training tokens."""
    pending_looks: int = 1
    """How often a result is asked for before it is there."""
    looks: Counter[str] = field(default_factory=Counter[str])
    fails: str = ""
    """Why the next batch fails; "user:" or "server:" first."""
    blocked: bool = False
    """The account's billing is."""
    ages: timedelta = timedelta(0)
    """How long ago every last request was."""
    weights: dict[str, str] = field(default_factory=dict[str, str])
    """Of all saved states, by path."""
    made: Counter[str] = field(default_factory=Counter[str])
    removed: Counter[str] = field(default_factory=Counter[str])
    deployments: list[str] = field(default_factory=list[str])

    @cached_property
    def folder(self) -> Path:
        """For the files of one user."""
        return Path(tempfile.mkdtemp(prefix="fake-tinker-"))

    @property
    def twice(self) -> dict[str, int]:
        """Batches that were trained on more than once."""
        return {batch: count for batch, count in self.trained.items() if count > 1}


def environ(fake: FakeTinker, folder: Path) -> dict[str, str]:
    """What a user would set."""
    return {
        "TINKER_API_KEY": KEY,
        "RMFT_TINKER_URL": fake.url,
        "RMFT_TINKER_FILES": str(folder / "files"),
        "RMFT_TINKER_TOKENIZER": str(tokenizer(folder / "tokenizer")),
    }


def tokenizer(folder: Path) -> Path:
    """A byte-level tokenizer with Qwen's turns, made here: no hub is asked."""
    if not (folder / "tokenizer.json").exists():
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        folder.mkdir(parents=True, exist_ok=True)
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {letter: place for place, letter in enumerate(letters)}
        made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
        made.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
        made.add_special_tokens(list(SPECIAL))  # pyright: ignore[reportUnknownMemberType]
        made.save(str(folder / "tokenizer.json"))
        config = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def detail(status: int, message: str) -> Meets:
    """An error as Tinker words it."""
    return Meets(status, {"detail": message})


def _with_key(handler: Handler) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        assert isinstance(stub, FakeTinker)
        given = request.headers.get("X-API-Key") or request.headers.get("Authorization")
        if given not in (KEY, f"Bearer {KEY}"):
            return replied(detail(401, "Invalid API key"))
        if stub.blocked:
            return replied(detail(402, "Billing is blocked; add a payment method"))
        return await handler(stub, request, body)

    return served


# --- the messages of a batch --------------------------------------------------------------------


def fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """A protobuf message's fields, by number."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        if key & 7 == 2:
            size, at = _varint(raw, at)
            yield key >> 3, raw[at : at + size]
            at += size
        else:
            assert key & 7 == 0, f"wire type {key & 7}"
            value, at = _varint(raw, at)
            yield key >> 3, value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _datum_tokens(raw: bytes) -> int:
    """Tokens of one example; its targets and weights must be as many."""
    lengths: dict[str, int] = {}
    for number, value in fields(raw):
        if number == 1:
            (chunk,) = fields(value)
            (text,) = fields(chunk[1])
            lengths["input"] = len(text[1]) // 4
        elif number == 2:
            entry = dict(fields(value))
            tensor = dict(fields(entry[2]))
            width = {1: 4, 2: 8}[tensor[3]]
            lengths[entry[1].decode()] = len(tensor[1]) // width
    assert set(lengths) == {"input", "target_tokens", "weights"}, lengths
    assert len(set(lengths.values())) == 1, lengths
    return lengths["input"]


# --- sessions and runs --------------------------------------------------------------------------


async def _session(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    asked = json.loads(body)
    assert asked["type"] == "create_session" and asked["sdk_version"], asked
    stub.sessions.append(f"{next(stub.numbers):08}-0a88-52a9-b2b7-bce7cb1e6fef")
    return web.json_response({"type": "create_session", "session_id": stub.sessions[-1]})


async def _heartbeat(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
    return web.json_response({"type": "session_heartbeat"})


async def _create_model(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    asked = json.loads(body)
    if asked["session_id"] not in stub.sessions:
        return replied(detail(403, "Invalid session_id"))
    if asked["base_model"] not in stub.offered:
        return replied(detail(404, f"Model {asked['base_model']} not found"))
    run = _begun(stub, asked, asked["base_model"], f"base/{asked['lora_config']['seed']}")
    return _promised(stub, {"type": "create_model", "model_id": run.id}, run.id)


async def _load(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    asked = json.loads(body)
    if asked["session_id"] not in stub.sessions:
        return replied(detail(403, "Invalid session_id"))
    if asked["path"] not in stub.weights:
        return replied(detail(404, f"Checkpoint {asked['path']} not found"))
    weights = stub.weights[asked["path"]]
    run = _begun(stub, asked, asked.get("base_model") or BASE, weights)
    if not asked["optimizer"]:
        run.weights = sha256(f"{weights} new optimizer".encode()).hexdigest()
    return _promised(stub, {"type": "load_weights", "model_id": run.id}, run.id)


def _begun(stub: FakeTinker, asked: Json, base: str, weights: str) -> Run:
    """A run; the same session and number are the same run."""
    id_ = f"{asked['session_id']}:train:{asked['model_seq_id']}"
    if id_ not in stub.runs:
        stub.runs[id_] = Run(id_, base, asked.get("user_metadata") or {}, weights)
    return stub.runs[id_]


def _promised(stub: FakeTinker, result: Json | None, run_id: str) -> web.Response:
    request_id = f"req-{next(stub.numbers):08}"
    if result is not None:
        stub.results[request_id] = result
    return web.json_response({"request_id": request_id, "model_id": run_id})


def _taken(stub: FakeTinker, run_id: str, seq: int, what: str, body: bytes) -> web.Response:
    """A request of a run: worked on in the order of numbers, and once for each number."""
    run = stub.runs.get(run_id)
    if run is None or run_id.partition(":")[0] in stub.dead:
        return replied(detail(403, "Invalid session_id"))
    run.last = datetime.now(UTC)
    mark = sha256(body).hexdigest()
    if seq in run.known:
        request_id, known = run.known[seq]
        if known != mark:
            return replied(detail(409, "Training request sequence number was reused"))
        return web.json_response({"request_id": request_id, "model_id": run_id})
    answer = _promised(stub, None, run_id)
    assert isinstance(answer.body, bytes)
    request_id = json.loads(answer.body)["request_id"]
    run.known[seq] = (request_id, mark)
    run.waiting[seq] = (what, body)
    if run.next_seq == 1 and "rmft_file" in run.metadata:
        start, file = run.metadata["rmft_start"], run.metadata["rmft_file"]
        stub.jobs.append({"start": start, "file": file})
    while run.next_seq in run.waiting:
        kind, raw = run.waiting.pop(run.next_seq)
        stub.results[run.known[run.next_seq][0]] = _done(stub, run, kind, raw)
        run.next_seq += 1
    return answer


def _done(stub: FakeTinker, run: Run, what: str, body: bytes) -> Json:
    """Work on one request."""
    if what == "forward_backward":
        return _trained(stub, run, body)
    asked = json.loads(body)
    if what == "optim_step":
        rate = asked["adam_params"]["learning_rate"]
        run.weights = sha256(f"{run.weights} {run.gradients} {rate:.12g}".encode()).hexdigest()
        run.gradients = []
        return {"type": "optim_step", "metrics": {"optim/rate": rate}}
    kind = "weights" if what == "save_weights" else "sampler_weights"
    path = f"tinker://{run.id}/{kind}/{asked['path']}"
    run.saved[path] = stub.weights[path] = run.weights
    if kind == "sampler_weights":
        stub.models.add(path)
    return {"type": what, "path": path}


def _trained(stub: FakeTinker, run: Run, body: bytes) -> Json:
    if stub.fails:
        category, _, why = stub.fails.partition(":")
        stub.fails = ""
        return {"error": why, "category": category}
    data = [value for number, value in fields(body) if number == 3]
    batch = sha256(b"".join(data)).hexdigest()
    run.gradients.append(batch)
    stub.trained[f"{run.metadata.get('rmft_key') or run.id}/{run.weights}/{batch}"] += 1
    stub.tokens += sum(map(_datum_tokens, data))
    outputs = [{"logprobs": {"data": [0.0], "dtype": "float32", "shape": [1]}} for _ in data]
    return {
        "loss_fn_output_type": "TorchLossReturn",
        "loss_fn_outputs": outputs,
        "metrics": {"loss:sum": 1.5},
    }


async def _forward(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    assert request.headers["Content-Type"] == "application/x-protobuf"
    told = dict(fields(body))
    assert told[4] == b"cross_entropy"
    return _taken(stub, told[1].decode(), told[2], "forward_backward", body)


def _numbered(what: str) -> Handler:
    async def served(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
        assert isinstance(stub, FakeTinker)
        asked = json.loads(body)
        kinds = {"save_weights": "weights", "save_weights_for_sampler": "sampler_weights"}
        run = stub.runs.get(asked["model_id"])
        path = f"tinker://{asked['model_id']}/{kinds.get(what)}/{asked.get('path')}"
        if run and path in run.saved:
            return replied(detail(409, f"Checkpoint '{asked['path']}' already exists"))
        return _taken(stub, asked["model_id"], asked["seq_id"], what, body)

    return served


async def _retrieve(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    request_id = json.loads(body)["request_id"]
    stub.looks[request_id] += 1
    if request_id not in stub.results or stub.looks[request_id] <= stub.pending_looks:
        told = {"type": "try_again", "request_id": request_id, "queue_state": "active"}
        return web.json_response(told, status=408)
    found = stub.results[request_id]
    if "loss_fn_outputs" in found and "x-protobuf" in request.headers.get("Accept", ""):
        return web.Response(body=_packed(found), content_type="application/x-protobuf")
    return web.json_response(found)


def _packed(found: Json) -> bytes:
    """A batch's result as the package reads it: its kind and its metrics."""
    kind = found["loss_fn_output_type"].encode()
    out = bytes([1 << 3 | 2, len(kind)]) + kind
    for name, value in found["metrics"].items():
        key = name.encode()
        entry = bytes([1 << 3 | 2, len(key)]) + key + bytes([2 << 3 | 1]) + struct.pack("<d", value)
        out += bytes([3 << 3 | 2, len(entry)]) + entry
    return out


async def _info(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    run = stub.runs[json.loads(body)["model_id"]]
    data = {"arch": "qwen3", "model_name": run.base, "tokenizer_id": run.base}
    told = {"type": "get_info", "model_data": data, "model_id": run.id, "is_lora": True}
    return web.json_response({**told, "lora_rank": 32, "model_name": run.base})


# --- looking ------------------------------------------------------------------------------------


def _shown(stub: FakeTinker, run: Run) -> Json:
    return {
        "training_run_id": run.id,
        "base_model": run.base,
        "model_owner": "me",
        "is_lora": True,
        "lora_rank": 32,
        "last_request_time": (run.last - stub.ages).isoformat(),
        "user_metadata": run.metadata,
    }


async def _runs(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    limit, offset = int(request.query["limit"]), int(request.query["offset"])
    shown = [_shown(stub, run) for run in list(stub.runs.values())[::-1]]
    limit = min(limit, stub.page)
    cursor = {"offset": offset, "limit": limit, "total_count": len(shown)}
    return web.json_response({"training_runs": shown[offset : offset + limit], "cursor": cursor})


async def _run(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    run = stub.runs.get(request.match_info["id"])
    if run is None:
        return replied(detail(404, f"Training run {request.match_info['id']} not found"))
    return web.json_response(_shown(stub, run))


async def _saved(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    run = stub.runs.get(request.match_info["id"])
    if run is None:
        return replied(detail(404, f"Training run {request.match_info['id']} not found"))
    kinds = {"weights": "training", "sampler_weights": "sampler"}
    checkpoints = [
        {
            "checkpoint_id": path.partition("://")[2].partition("/")[2],
            "checkpoint_type": kinds[path.split("/")[3]],
            "time": run.last.isoformat(),
            "tinker_path": path,
        }
        for path in run.saved
    ]
    return web.json_response({"checkpoints": checkpoints})


async def _capabilities(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTinker)
    supported = [
        {"model_name": name, "trainable": trainable, "sampleable": sampleable}
        for name, (trainable, sampleable) in stub.offered.items()
    ]
    return web.json_response({"supported_models": supported})


async def _empty(stub: StubProvider, _: web.Request, body: bytes) -> web.StreamResponse:
    """What only the package asks for: its flags, and its telemetry."""
    return web.json_response({"status": "accepted", "use_pyqwest_transport": False})


def _original(route: str) -> Handler:
    return next(handler for name, _, _, handler in ROUTES if name == route)


TINKER: Routes = tuple(
    (name, method, path, _with_key(handler))
    for name, method, path, handler in (
        ("chat", "POST", f"{PREFIX}/chat/completions", _original("chat")),
        ("session", "POST", f"{API}/create_session", _session),
        ("heartbeat", "POST", f"{API}/session_heartbeat", _heartbeat),
        ("create", "POST", f"{API}/create_model", _create_model),
        ("load", "POST", f"{API}/load_weights", _load),
        ("forward", "POST", f"{API}/forward_backward", _forward),
        ("optim", "POST", f"{API}/optim_step", _numbered("optim_step")),
        ("save", "POST", f"{API}/save_weights", _numbered("save_weights")),
        (
            "sampler",
            "POST",
            f"{API}/save_weights_for_sampler",
            _numbered("save_weights_for_sampler"),
        ),
        ("retrieve", "POST", f"{API}/retrieve_future", _retrieve),
        ("info", "POST", f"{API}/get_info", _info),
        ("runs", "GET", f"{API}/training_runs", _runs),
        ("run", "GET", f"{API}/training_runs/{{id}}", _run),
        ("saved", "GET", f"{API}/training_runs/{{id}}/checkpoints", _saved),
        ("capabilities", "GET", f"{API}/get_server_capabilities", _capabilities),
        ("flags", "POST", f"{API}/client/config", _empty),
        ("flags", "POST", f"{API}/client/dynamic_config", _empty),
        ("flags", "POST", f"{API}/sessions/{{id}}/finish", _empty),
        ("telemetry", "POST", f"{API}/telemetry", _empty),
    )
)
