"""A provider on loopback that speaks the OpenAI wire as its specification words it.

Written from the documented shapes (the published examples), never from our own
client. `plan(route, ...)` says what the next requests of a route meet instead of the truth.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Json = dict[str, Any]
Manner = Literal["whole", "reset", "hang", "drip", "truncated", "after"]


@dataclass(frozen=True)
class Meets:
    """What a request meets: a reply of any form, or none."""

    status: int = 200
    body: bytes | Json | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    manner: Manner = "whole"
    """after: the work is done, then the connection is reset."""
    done: bool = False
    """The work is done, then this is answered, as by a gateway whose upstream was slow."""


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    route: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, str]

    @property
    def json(self) -> Json:
        return json.loads(self.body)


def error(
    status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error"
) -> Meets:
    """An error as OpenAI words it."""
    return Meets(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


@dataclass
class StubProvider:
    """State, plans and what was seen."""

    url: str = ""
    models: set[str] = field(default_factory=lambda: {"gpt-4.1-mini", "gpt-4o-mini"})
    alias: dict[str, str] = field(default_factory=dict[str, str])
    seen: list[Seen] = field(default_factory=list[Seen])
    plans: dict[str, list[Meets]] = field(default_factory=dict[str, list[Meets]])
    files: list[Json] = field(default_factory=list[Json])
    tokens: dict[str, Json] = field(default_factory=dict[str, Json])
    """Idempotency keys and the jobs that they made."""
    jobs: list[Json] = field(default_factory=list[Json])
    logs: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    page: int = 100
    """Most entries of one page, whatever limit is asked for."""
    filters_metadata: bool = True
    file_status: str = "processed"
    """Of new files; it is "processed" once they were asked for."""
    polls_to_end: int = 2
    """How often a job is asked for before it ends."""
    end: Json = field(default_factory=lambda: {"status": "succeeded"})
    """What becomes of jobs."""
    ends: dict[str, str] = field(default_factory=dict[str, str])
    """The shutdown dates that the list of models tells."""
    limits: Json | None = None
    """What may be trained, where that is told."""
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """What was uploaded, by file id."""
    talk: Callable[[Json, int], str] = lambda asked, index: f"button {index}"
    """What a choice says."""
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def plan(self, route: str, *meets: Meets) -> None:
        """What the next requests of `route` meet."""
        self.plans.setdefault(route, []).extend(meets)

    async def reached(self, route: str, count: int) -> None:
        """Wait until so many requests of a route have arrived."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.asked(route)) >= count)

    def asked(self, route: str) -> list[Seen]:
        """The requests of one route so far."""
        return [seen for seen in self.seen if seen.route == route]


Handler = Callable[[StubProvider, web.Request, bytes], Awaitable[web.StreamResponse]]


async def _chat(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    asked = json.loads(body)
    if asked["model"] not in stub.models:
        return _no_model(asked["model"])
    n = asked.get("n", 1)
    return web.json_response(
        {
            "id": f"chatcmpl-{next(stub.numbers)}",
            "object": "chat.completion",
            "created": 1741570283,
            "model": stub.alias.get(asked["model"], asked["model"]),
            "choices": [
                {
                    "index": index,
                    "message": {
                        "role": "assistant",
                        "content": stub.talk(asked, index),
                        "refusal": None,
                        "annotations": [],
                    },
                    "logprobs": None,
                    "finish_reason": "stop",
                }
                for index in range(n)
            ],
            "usage": {
                "prompt_tokens": 19,
                "completion_tokens": 2 * n,
                "total_tokens": 19 + 2 * n,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_44709d6fcb",
        }
    )


def _no_model(model: str) -> web.Response:
    return replied(
        error(
            404,
            f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )
    )


async def _upload(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    boundary = re.search(r"boundary=([^;]+)", request.headers["content-type"])
    assert boundary
    parts = body.split(b"--" + boundary[1].encode())
    content = next(part for part in parts if b'name="file"' in part)
    head, data = content.split(b"\r\n\r\n", 1)
    name = re.search(rb'filename="([^"]+)"', head)
    assert name
    assert any(b"fine-tune" in part for part in parts if b'name="purpose"' in part)
    raw = data.removesuffix(b"\r\n")
    file: Json = {
        "id": f"file-{next(stub.numbers):04}",
        "object": "file",
        "bytes": len(raw),
        "created_at": 1741570283,
        "filename": name[1].decode(),
        "purpose": "fine-tune",
        "status": stub.file_status,
        "expires_at": None,
    }
    stub.files.append(file)
    stub.contents[file["id"]] = raw
    return web.json_response(file)


async def _list_files(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    newest_first = request.query.get("order", "desc") == "desc"
    return _page(stub, request, stub.files[::-1] if newest_first else stub.files)


async def _file(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    shown = _one(stub.files, request.match_info["id"], "file")
    stub.files = [{**file, "status": "processed"} for file in stub.files]
    return shown


async def _create(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    asked = json.loads(body)
    token = request.headers.get("Idempotency-Key")
    if token in stub.tokens:
        return web.json_response(_shown(stub.tokens[token]))
    if not any(file["id"] == asked["training_file"] for file in stub.files):
        missing = f"invalid training_file: {asked['training_file']}"
        return replied(error(400, missing, code="invalid_training_file"))
    number = next(stub.numbers)
    job: Json = {
        "object": "fine_tuning.job",
        "id": f"ftjob-{number:04}",
        "model": asked["model"],
        "created_at": 1721764800 + number,
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-123",
        "result_files": [],
        "status": "validating_files",
        "validation_file": None,
        "training_file": asked["training_file"],
        "trained_tokens": None,
        "error": {},
        "seed": asked.get("seed", 42),
        "estimated_finish": None,
        "integrations": [],
        "method": asked["method"],
        "metadata": asked.get("metadata"),
        "user_provided_suffix": asked.get("suffix"),
        "polls": 0,
    }
    stub.jobs.append(job)
    if token:
        stub.tokens[token] = job
    stub.logs[job["id"]] = []
    _log(stub, job, "Created fine-tuning job")
    return web.json_response(_shown(job))


def _log(stub: StubProvider, job: Json, message: str, **more: Any) -> None:
    number = next(stub.numbers)
    event = {
        "object": "fine_tuning.job.event",
        "id": f"ftevent-{number:04}",
        "created_at": 1721764800 + number,
        "level": "info",
        "message": message,
        "data": None,
        "type": "message",
        **more,
    }
    stub.logs[job["id"]].append(event)


def _shown(job: Json) -> Json:
    return {name: value for name, value in job.items() if name != "polls"}


def advance(stub: StubProvider, job: Json) -> None:
    """Let a job go on by one step."""
    job["polls"] += 1
    if job["polls"] < stub.polls_to_end or job["finished_at"]:
        job["status"] = job["status"] if job["finished_at"] else "running"
        return
    data = {"step": 10, "train_loss": 0.5, "total_steps": 10, "note": "text"}
    _log(stub, job, "Step 10/10: training loss=0.50", type="metrics", data=data)
    job["finished_at"] = 1721767000
    if stub.end.get("status") == "succeeded":
        model = f"ft:{job['model']}:org::{job['id'][-4:]}"
        stub.models.add(model)
        job.update({"fine_tuned_model": model, "trained_tokens": 5768})
    job.update(stub.end)
    _log(stub, job, "The job has successfully completed")


async def _list_jobs(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    wanted = {
        found[1]: value
        for name, value in request.query.items()
        if (found := re.fullmatch(r"metadata\[(.+)\]", name))
    }
    jobs = [
        _shown(job)
        for job in stub.jobs
        if not stub.filters_metadata or wanted.items() <= (job["metadata"] or {}).items()
    ]
    return _page(stub, request, jobs[::-1])


async def _job(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    for job in stub.jobs:
        if job["id"] == request.match_info["id"]:
            advance(stub, job)
            return web.json_response(_shown(job))
    return _one([], request.match_info["id"], "fine-tuning job")


async def _cancel(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    for job in stub.jobs:
        if job["id"] == request.match_info["id"] and not job["finished_at"]:
            job.update({"status": "cancelled", "finished_at": 1721767000})
    return _one([_shown(job) for job in stub.jobs], request.match_info["id"], "fine-tuning job")


async def _events(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    return _page(stub, request, stub.logs[request.match_info["id"]][::-1])


async def _checkpoints(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    job = next(job for job in stub.jobs if job["id"] == request.match_info["id"])
    saved = [
        {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt_{step}",
            "created_at": 1721764867,
            "fine_tuned_model_checkpoint": f"ft:{job['model']}:org::x:ckpt-step-{step}",
            "metrics": {"full_valid_loss": 0.134},
            "fine_tuning_job_id": job["id"],
            "step_number": step,
        }
        for step in (2000, 1000)
        if job["finished_at"]
    ]
    return _page(stub, request, saved)


async def _model(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    model = request.match_info["id"]
    if model not in stub.models:
        return _no_model(model)
    return web.json_response(
        {"id": model, "object": "model", "created": 1686935002, "owned_by": "openai"}
    )


async def _list_models(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    data = [
        {
            "id": model,
            "object": "model",
            "created": 1686935002,
            "owned_by": "openai",
            **({"shutdown_date": end} if (end := stub.ends.get(model)) else {}),
        }
        for model in sorted(stub.models)
    ]
    return web.json_response({"object": "list", "data": data})


async def _limits(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    if stub.limits is None:
        return replied(error(404, "Unknown request URL"))
    return web.json_response(stub.limits)


def _one(entries: list[Json], id_: str, what: str) -> web.Response:
    for entry in entries:
        if entry["id"] == id_:
            return web.json_response(entry)
    return replied(error(404, f"Could not find {what}: {id_}"))


def _page(stub: StubProvider, request: web.Request, entries: list[Json]) -> web.Response:
    limit = min(stub.page, int(request.query.get("limit", 20)))
    ids = [entry["id"] for entry in entries]
    after = request.query.get("after")
    start = ids.index(after) + 1 if after in ids else 0
    part = entries[start : start + limit]
    return web.json_response(
        {"object": "list", "data": part, "has_more": start + limit < len(entries)}
    )


def replied(meets: Meets) -> web.Response:
    body = meets.body
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    return web.Response(
        status=meets.status, body=raw, headers={"content-type": kind, **meets.headers}
    )


def _route(stub: StubProvider, name: str, handler: Handler) -> Any:
    async def serve(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        stub.seen.append(Seen(name, headers, body, dict(request.query)))
        async with stub.news:
            stub.news.notify_all()
        plans = stub.plans.get(name)
        if not plans:
            return await handler(stub, request, body)
        return await _act(plans.pop(0), lambda: handler(stub, request, body), request)

    return serve


async def _act(
    meets: Meets, truth: Callable[[], Awaitable[web.StreamResponse]], request: web.Request
) -> web.StreamResponse:
    if meets.done:
        await truth()
    if meets.manner == "whole":
        return replied(meets)
    if meets.manner == "hang":
        await asyncio.sleep(30)
    if meets.manner == "drip":
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        for _ in range(600):
            await response.write(b" ")
            await asyncio.sleep(0.05)
    if meets.manner == "after":
        await truth()
    if meets.manner == "truncated":
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(b'{"id": "x", ')
    assert request.transport
    request.transport.abort()
    return web.Response()


Routes = tuple[tuple[str, str, str, Handler], ...]
ROUTES: Routes = (
    ("chat", "POST", "/v1/chat/completions", _chat),
    ("upload", "POST", "/v1/files", _upload),
    ("files", "GET", "/v1/files", _list_files),
    ("file", "GET", "/v1/files/{id}", _file),
    ("create", "POST", "/v1/fine_tuning/jobs", _create),
    ("jobs", "GET", "/v1/fine_tuning/jobs", _list_jobs),
    ("job", "GET", "/v1/fine_tuning/jobs/{id}", _job),
    ("cancel", "POST", "/v1/fine_tuning/jobs/{id}/cancel", _cancel),
    ("events", "GET", "/v1/fine_tuning/jobs/{id}/events", _events),
    ("checkpoints", "GET", "/v1/fine_tuning/jobs/{id}/checkpoints", _checkpoints),
    ("models", "GET", "/v1/models", _list_models),
    ("model", "GET", "/v1/models/{id}", _model),
    ("limits", "GET", "/v1/fine_tuning/model_limits", _limits),
)


class Serving:
    """`async with Serving() as stub`: the stub on a free port of loopback."""

    def __init__(
        self, stub: StubProvider | None = None, routes: Routes = ROUTES, prefix: str = "/v1"
    ) -> None:
        self.stub = stub or StubProvider()
        self._prefix = prefix
        app = web.Application(client_max_size=2**26)
        for name, method, path, handler in routes:
            app.router.add_route(method, path, _route(self.stub, name, handler))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> StubProvider:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.stub.url = f"http://{host}:{port}{self._prefix}"
        return self.stub

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()
