"""Azure OpenAI as its pages tell it: what differs from OpenAI, and deployments by ARM.

Pages: learn.microsoft.com, Azure OpenAI fine-tuning (REST), "Deploy a fine-tuned model",
REST reference of Microsoft.CognitiveServices deployments.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from tests.providers.stub import (
    ROUTES,
    Handler,
    Json,
    Meets,
    Routes,
    StubProvider,
    error,
    replied,
)

ACCOUNT = "/subscriptions/0000/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/lab"
KEY = "azure-key-0123456789abcdef"
TOKEN = "entra-token-0123456789abcdef"
BOM = b"\xef\xbb\xbf"
BASES = {("gpt-4.1-mini", "2025-04-14"), ("gpt-4o-mini", "2024-07-18")}
SKUS = {"Standard", "GlobalStandard", "DeveloperTier"}


@dataclass
class FakeAzure(StubProvider):
    """A resource with files, jobs and deployments."""

    models: set[str] = field(
        default_factory=lambda: {"gpt-4.1-mini-2025-04-14", "gpt-4o-mini-2024-07-18"}
    )
    filters_metadata: bool = False
    file_status: str = "pending"
    deployments: dict[str, Json] = field(default_factory=dict[str, Json])
    creating_polls: int = 1
    """How often a deployment is asked for before ARM says Succeeded."""
    cold_chats: int = 1
    """Chats that a deployment refuses after ARM has said Succeeded."""
    provisioning: str = "Succeeded"
    """What becomes of new deployments."""
    made: Counter[str] = field(default_factory=Counter[str])
    """How often each name was created anew: what is billed."""
    removed: Counter[str] = field(default_factory=Counter[str])
    resting: dict[str, int] = field(default_factory=dict[str, int])
    """Requests for which a name that was just removed is not free yet."""
    rest: int = 0


def _arm_error(status: int, code: str, message: str) -> web.Response:
    return replied(Meets(status, {"error": {"code": code, "message": message}}))


def _with_key(handler: Handler) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers.get("api-key") != KEY or "Authorization" in request.headers:
            return replied(
                error(
                    401,
                    "Access denied due to invalid subscription key or wrong API endpoint.",
                    code="401",
                )
            )
        return await handler(stub, request, body)

    return served


def _with_token(handler: Handler) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _arm_error(
                401,
                "InvalidAuthenticationToken",
                "The access token is invalid or has expired.",
            )
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", request.query.get("api-version", "")):
            return _arm_error(
                400, "MissingApiVersionParameter", "The api-version query parameter is required."
            )
        return await handler(stub, request, body)

    return served


async def _chat(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeAzure)
    asked = json.loads(body)
    found = stub.deployments.get(asked["model"])
    if found is None or found["properties"]["provisioningState"] != "Succeeded":
        return replied(
            error(
                404,
                "The API deployment for this resource does not exist. If you created the "
                "deployment within the last 5 minutes, please wait a moment and try again.",
                code="DeploymentNotFound",
            )
        )
    if found["cold"] > 0:
        found["cold"] -= 1
        return replied(
            error(
                409,
                "The deployment is not ready to serve requests yet.",
                code="DeploymentNotReady",
            )
        )
    told = found["properties"]["model"]
    stub.alias = {asked["model"]: f"{told['name']}"}
    stub.models.add(asked["model"])
    return await _original("chat")(stub, request, body)


async def _create(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    asked = json.loads(body)
    refusal = _mistake(stub, asked)
    if refusal:
        return replied(refusal)
    return await _original("create")(stub, request, body)


def _mistake(stub: StubProvider, asked: Json) -> Meets | None:
    file = next((f for f in stub.files if f["id"] == asked["training_file"]), None)
    if "metadata" in asked:
        return error(400, "Unknown parameter: 'metadata'.", code="unknown_parameter")
    if asked.get("trainingType") not in ("Standard", "globalStandard", "developerTier"):
        return error(400, "trainingType is not valid.", code="invalidPayload")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,40}", asked.get("suffix", "")):
        return error(400, "The suffix is not valid.", code="invalidPayload")
    if asked["model"] not in stub.models:
        return error(400, f"The model {asked['model']} cannot be fine-tuned.", code="invalidModel")
    if file is None:
        return None
    if file["status"] != "processed":
        return error(400, "The training file has not completed file import.", code="fileNotReady")
    if not stub.contents[file["id"]].startswith(BOM):
        return error(400, "The file must be UTF-8 with BOM.", code="invalid_training_file")
    return None


async def _job(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    """OpenAI's job, whose model is named as Azure names it."""
    shown = await _original("job")(stub, request, body)
    for job in stub.jobs:
        tuned = job["fine_tuned_model"]
        if tuned and tuned.startswith("ft:"):
            stub.models.discard(tuned)
            root = job["model"].split(".ft-")[0]
            name = f"{root}.ft-{job['id'].removeprefix('ftjob-'):0>8}"
            job["fine_tuned_model"] = name
            stub.models.add(name)
    if shown.status != 200:
        return shown
    job = next(j for j in stub.jobs if j["id"] == request.match_info["id"])
    return web.json_response({k: v for k, v in job.items() if k not in ("polls", "metadata")})


async def _put(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeAzure)
    name, asked = request.match_info["name"], json.loads(body)
    model = asked["properties"]["model"]
    if refusal := _not_deployable(stub, name, asked, model):
        return refusal
    if name in stub.deployments:
        return web.json_response(_shown(stub.deployments[name]))
    stub.made[name] += 1
    stub.deployments[name] = {
        "id": f"{ACCOUNT}/deployments/{name}",
        "name": name,
        "type": "Microsoft.CognitiveServices/accounts/deployments",
        "sku": asked["sku"],
        "tags": asked.get("tags"),
        "systemData": {"createdAt": "2026-11-22T12:00:00.000Z"},
        "properties": {
            "model": model,
            "provisioningState": "Creating" if stub.creating_polls else stub.provisioning,
        },
        "cold": stub.cold_chats,
        "polls": stub.creating_polls,
    }
    return web.json_response(_shown(stub.deployments[name]), status=201)


def _not_deployable(stub: FakeAzure, name: str, asked: Json, model: Json) -> web.Response | None:
    if not re.fullmatch(r"[A-Za-z0-9._-]{2,64}", name):
        return _arm_error(400, "InvalidResourceName", "The deployment's name is not valid.")
    if asked["sku"]["name"] not in SKUS or model.get("format") != "OpenAI":
        return _arm_error(400, "InvalidResourceProperties", "The sku or format is not supported.")
    if stub.resting.get(name, 0) > 0:
        stub.resting[name] -= 1
        return _arm_error(409, "RequestConflict", "Another operation is in progress.")
    tuned = model["name"] in stub.models and model.get("version") == "1"
    if not tuned and (model["name"], model.get("version")) not in BASES:
        return _arm_error(
            400, "DeploymentModelNotSupported", f"The model {model['name']} is not supported."
        )
    return None


def _shown(deployment: Json) -> Json:
    return {key: value for key, value in deployment.items() if key not in ("cold", "polls")}


async def _get(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeAzure)
    found = stub.deployments.get(request.match_info["name"])
    if found is None:
        return _arm_error(404, "ResourceNotFound", "The deployment was not found.")
    found["polls"] -= 1
    if found["polls"] <= 0:
        found["properties"]["provisioningState"] = stub.provisioning
    return web.json_response(_shown(found))


async def _list(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    """Two to a page, each with the link to the next."""
    assert isinstance(stub, FakeAzure)
    skip = int(request.query.get("$skip", 0))
    all_ = list(stub.deployments.values())
    body: Json = {"value": [_shown(one) for one in all_[skip : skip + 2]]}
    if skip + 2 < len(all_):
        origin = f"http://{request.host}{request.path}"
        version = request.query["api-version"]
        body["nextLink"] = f"{origin}?api-version={version}&$skip={skip + 2}"
    return web.json_response(body)


async def _delete(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeAzure)
    name = request.match_info["name"]
    if stub.deployments.pop(name, None) is None:
        return web.Response(status=204)
    stub.removed[name] += 1
    stub.resting[name] = stub.rest
    return web.Response(status=202)


def _original(route: str) -> Handler:
    return next(handler for name, _, _, handler in ROUTES if name == route)


_OWN: dict[str, Handler] = {"chat": _chat, "create": _create, "job": _job}
_ARM = f"{ACCOUNT}/deployments"
AZURE: Routes = (
    *(
        (name, method, f"/openai{path}", _with_key(_OWN.get(name, handler)))
        for name, method, path, handler in ROUTES
    ),
    ("deploy", "PUT", _ARM + "/{name}", _with_token(_put)),
    ("deployment", "GET", _ARM + "/{name}", _with_token(_get)),
    ("deployments", "GET", _ARM, _with_token(_list)),
    ("remove", "DELETE", _ARM + "/{name}", _with_token(_delete)),
)
PREFIX = "/openai/v1"


def environ(stub: FakeAzure) -> dict[str, str]:
    """What a user would set."""
    return {
        "AZURE_OPENAI_BASE_URL": stub.url,
        "AZURE_OPENAI_API_KEY": KEY,
        "AZURE_OPENAI_RESOURCE_ID": ACCOUNT,
        "AZURE_MANAGEMENT_URL": stub.url.removesuffix(PREFIX),
        "AZURE_MANAGEMENT_TOKEN": TOKEN,
    }
