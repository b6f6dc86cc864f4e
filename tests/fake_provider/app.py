"""A request's way: written down, struck by a rule or not, limited, done, answered."""

import asyncio
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from tests.fake_provider.batches import Batches
from tests.fake_provider.chat import Chat
from tests.fake_provider.counting import Counting
from tests.fake_provider.files import Files
from tests.fake_provider.jobs import Jobs
from tests.fake_provider.limits import Limits
from tests.fake_provider.rules import Rules, Strike
from tests.fake_provider.scripts import Endpoint, mutated, refusal
from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Model, Store, digest
from tests.fake_provider.wire import Request, Response, json_response

ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "chat/completions"): Endpoint.CHAT,
    ("GET", "models"): Endpoint.MODELS,
    ("GET", "models/*"): Endpoint.MODEL,
    ("POST", "files"): Endpoint.UPLOAD,
    ("GET", "files"): Endpoint.FILES,
    ("GET", "files/*"): Endpoint.FILE,
    ("GET", "files/*/content"): Endpoint.FILE_CONTENT,
    ("DELETE", "files/*"): Endpoint.FILE_DELETE,
    ("POST", "batches"): Endpoint.BATCH_CREATE,
    ("GET", "batches"): Endpoint.BATCHES,
    ("GET", "batches/*"): Endpoint.BATCH,
    ("POST", "batches/*/cancel"): Endpoint.BATCH_CANCEL,
    ("POST", "fine_tuning/jobs"): Endpoint.JOB_CREATE,
    ("GET", "fine_tuning/jobs"): Endpoint.JOBS,
    ("GET", "fine_tuning/jobs/*"): Endpoint.JOB,
    ("POST", "fine_tuning/jobs/*/cancel"): Endpoint.JOB_CANCEL,
    ("GET", "fine_tuning/jobs/*/events"): Endpoint.JOB_EVENTS,
    ("GET", "fine_tuning/jobs/*/checkpoints"): Endpoint.JOB_CHECKPOINTS,
}


def route(method: str, path: str) -> tuple[Endpoint, str] | None:
    """The endpoint and the id in the path, None where nothing is served."""
    parts = path.removeprefix("/v1/").strip("/").split("/")
    for i in range(len(parts)):
        shape = "/".join((*parts[:i], "*", *parts[i + 1 :]))
        if found := ROUTES.get((method, shape)):
            return found, parts[i]
    found = ROUTES.get((method, "/".join(parts)))
    return (found, "") if found else None


@dataclass
class App:
    """The whole provider behind one `handle`."""

    store: Store
    settings: Settings
    rules: Rules
    limits: Limits = field(init=False)
    outages: "asyncio.Queue[tuple[str, float]]" = field(
        default_factory=asyncio.Queue[tuple[str, float]]
    )
    """(refuse | ignore, seconds): what the port is to do next."""

    def __post_init__(self) -> None:
        self.counting = Counting(self.settings.unit, self.settings.cache_from)
        self.chat = Chat(self.store, self.settings, self.counting)
        self.files = Files(self.store, self.settings)
        self.batches = Batches(self.store, self.settings, self.chat)
        self.jobs = Jobs(self.store, self.settings, self.counting)
        self.limits = Limits(self.settings.requests_per_minute, self.settings.tokens_per_minute)
        for i, name in enumerate(self.settings.base_models):
            self.store.add_model(Model(name, digest("base", name), 0, float(i)))

    async def handle(self, request: Request) -> Response:
        """One request from arrival to the reply that is to leave."""
        found = route(request.method, request.path)
        if found is None:
            return refusal(404, f"Unknown path {request.path}", "invalid_request_error", None)
        endpoint, id = found
        body = _body(request, endpoint)
        key = sha256(request.headers.get("authorization", "").encode()).hexdigest()[:12]
        hash = self.chat.call_hash(body) if endpoint is Endpoint.CHAT else ""
        number = self.store.arrived(request.method, request.path, endpoint, hash, key)
        response = await self._reply(request, endpoint, id, body, number, key)
        self.store.answered(number, response.status)
        return response

    async def _reply(
        self,
        request: Request,
        endpoint: Endpoint,
        id: str,
        body: dict[str, Any],
        number: int,
        key: str,
    ) -> Response:
        if refused := self._refused(request, endpoint, body):
            return refused
        strike = self.rules.strike(endpoint, str(body.get("model", "")))
        if strike:
            script, times = strike.script, strike.executions
            self.store.faulted(number, endpoint, script.name, script.doubt, times)
        response = json_response({})
        for _ in range(strike.executions if strike else 1):
            fate = strike.script.fate if strike else {}
            response = self._execute(request, endpoint, id, number, key, fate)
        await asyncio.sleep(self.settings.latency_s + (strike.rule.delay_s if strike else 0))
        if strike:
            return self._struck(strike, response)
        return replace(response, headers={**response.headers, **self.limits.headers()})

    def _refused(
        self, request: Request, endpoint: Endpoint, body: dict[str, Any]
    ) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or self.settings.api_key not in (None, key):
            message = "Incorrect API key provided."
            return refusal(401, message, "invalid_request_error", "invalid_api_key")
        if endpoint is not Endpoint.CHAT:
            return None
        most = int(body.get("max_completion_tokens") or body.get("max_tokens") or 0)
        wanted = self.counting.chat(body.get("messages") or []) + most * int(body.get("n") or 1)
        return self.limits.refuse(wanted)

    def _struck(self, strike: Strike, response: Response) -> Response:
        script = strike.script
        if script.outage:
            self.outages.put_nowait((script.outage, strike.rule.outage_s))
        if script.reply:
            response = script.reply()
        if script.mutate and response.status == 200:
            response = mutated(response, script.mutate)
        return replace(response, manner=script.manner)

    def _execute(
        self,
        request: Request,
        endpoint: Endpoint,
        id: str,
        number: int,
        key: str,
        fate: dict[str, Any],
    ) -> Response:
        match endpoint:
            case Endpoint.CHAT:
                return self.chat.complete(request, number, key)
            case Endpoint.MODELS:
                return self.chat.models()
            case Endpoint.MODEL:
                return self.chat.model(id)
            case Endpoint.UPLOAD:
                return self.files.upload(request, number, key, fate)
            case Endpoint.JOB_CREATE:
                return self.jobs.create(request, number, key, fate)
            case Endpoint.BATCH_CREATE:
                return self.batches.create(request, number, key)
            case Endpoint.BATCH:
                return self.batches.get(id, number)
            case _:
                return self._look(request, endpoint, id)

    def _look(self, request: Request, endpoint: Endpoint, id: str) -> Response:
        match endpoint:
            case Endpoint.FILES:
                return self.files.list(request)
            case Endpoint.FILE:
                return self.files.get(id)
            case Endpoint.FILE_CONTENT:
                return self.files.content(id)
            case Endpoint.FILE_DELETE:
                return self.files.delete(id)
            case Endpoint.JOBS:
                return self.jobs.list(request)
            case Endpoint.BATCHES:
                return self.batches.list(request)
            case Endpoint.BATCH_CANCEL:
                return self.batches.cancel(id)
            case Endpoint.JOB:
                return self.jobs.get(id)
            case Endpoint.JOB_CANCEL:
                return self.jobs.cancel(id)
            case Endpoint.JOB_EVENTS:
                return self.jobs.events(request, id)
            case _:
                return self.jobs.checkpoints(request, id)


def _body(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    if endpoint not in {Endpoint.CHAT, Endpoint.JOB_CREATE, Endpoint.BATCH_CREATE}:
        return {}
    try:
        return request.json()
    except ValueError:
        return {}
