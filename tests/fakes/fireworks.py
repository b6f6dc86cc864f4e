"""Fireworks AI as its package (fireworks-ai 1.2.30) and its pages tell it.

Every reply is a model of the package in `test_fireworks_sdk.py`. Pages: docs.fireworks.ai,
fine-tuning/fine-tuning-models (datasets), fine-tuning/deploying-loras, api-reference.
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

KEY = "fw-key-0123456789abcdef"
ACCOUNT = "accounts/lab"
BASE = "accounts/fireworks/models/llama-v3p1-8b-instruct"
_JOB = {
    "dataset",
    "baseModel",
    "warmStartFrom",
    "outputModel",
    "displayName",
    "epochs",
    "learningRate",
    "loraRank",
    "batchSize",
    "batchSizeSamples",
    "earlyStop",
    "evaluationDataset",
    "jinjaTemplate",
    "maxContextLength",
}
_PREFERENCES = {"dataset", "displayName", "lossConfig", "trainingConfig"}
_TRAINING = ("baseModel", "warmStartFrom", "outputModel", "epochs", "learningRate")
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NOW = "2026-11-28T12:{:02}:{:02}Z"


@dataclass
class FakeFireworks(StubProvider):
    """One account."""

    models: set[str] = field(default_factory=lambda: {BASE})
    """What answers by the token."""
    datasets: dict[str, Json] = field(default_factory=dict[str, Json])
    tuned: dict[str, Json] = field(default_factory=dict[str, Json])
    """Fine-tunes by name."""
    stays: dict[str, Json] = field(default_factory=dict[str, Json])
    """Deployments by id, those whose name is held back as well."""
    made: Counter[str] = field(default_factory=Counter[str])
    removed: Counter[str] = field(default_factory=Counter[str])
    creating_looks: int = 1
    becomes: str = "READY"
    gpus: tuple[str, int] = ("NVIDIA_H100_80GB", 1)
    """What a deployment takes."""
    quota: int = 100
    suspended: str = "UNSUSPENDED"
    about_base: Json = field(default_factory=dict[str, Json])
    """What is told of the base."""
    tells_base: bool = True
    """A job that continues tells its base model."""
    refuses: str = ""
    """What is wrong with every file."""
    end_state: str = "COMPLETED"

    @property
    def deployments(self) -> list[str]:
        """What stands, and is billed."""
        return [name for name, one in self.stays.items() if one["state"] != "DELETED"]


def refusal(status: int, code: int, message: str) -> Meets:
    """An error of the gateway, as gRPC tells it."""
    return Meets(status, {"code": code, "message": message, "details": []})


def missing(what: str) -> Meets:
    """Something that is not there."""
    return refusal(404, 5, f"{what} not found")


def taken(what: str) -> Meets:
    """A name that is in use."""
    return refusal(409, 6, f"{what} already exists")


def _with_key(handler: Handler) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return replied(error(401, "The API key you provided is invalid.", code="UNAUTHORIZED"))
        return await handler(stub, request, body)

    return served


def _now(stub: StubProvider) -> str:
    number = next(stub.numbers)
    return _NOW.format(number // 60 % 60, number % 60)


# --- chats --------------------------------------------------------------------------------------


async def _chat(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    target = json.loads(body)["model"]
    if target in stub.models:
        return await _original("chat")(stub, request, body)
    model, _, deployment = target.partition("#")
    stay = stub.stays.get(deployment.rpartition("/")[2])
    if stay is None or stay["baseModel"] != model or stay["state"] == "DELETED":
        said = "Model not found, inaccessible, and/or not deployed"
        return replied(error(404, said, code="NOT_FOUND"))
    if stay["state"] != "READY":
        said = "The deployment is currently scaled to zero and is scaling up."
        return replied(error(503, said, code="DEPLOYMENT_SCALING_UP"))
    stub.models.add(target)
    answered = await _original("chat")(stub, request, body)
    stub.models.discard(target)
    return answered


# --- datasets -----------------------------------------------------------------------------------


async def _make_dataset(
    stub: StubProvider, request: web.Request, body: bytes
) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    asked = json.loads(body)
    id_, told = asked["datasetId"], asked["dataset"]
    if not _ID.fullmatch(id_):
        return replied(refusal(400, 3, f"invalid dataset id {id_!r}"))
    if len(told.get("displayName", "")) >= 64:
        return replied(refusal(400, 3, "display_name must be fewer than 64 characters"))
    if id_ in stub.datasets:
        return replied(taken(f"dataset {id_}"))
    stub.datasets[id_] = {
        "name": f"{ACCOUNT}/datasets/{id_}",
        "displayName": told.get("displayName", ""),
        "exampleCount": told["exampleCount"],
        "format": told.get("format", "CHAT"),
        "state": "UPLOADING",
        "createTime": _now(stub),
        "userUploaded": {},
    }
    return web.json_response(stub.datasets[id_])


async def _upload(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    found = _dataset_of(stub, request)
    if found is None:
        return replied(missing("dataset"))
    boundary = re.search(r"boundary=([^;]+)", request.headers["content-type"])
    assert boundary
    parts = body.split(b"--" + boundary[1].encode())
    part = next(part for part in parts if b'name="file"' in part)
    head, data = part.split(b"\r\n\r\n", 1)
    filename = re.search(rb'filename="([^"]+)"', head)
    assert filename
    content = data.removesuffix(b"\r\n")
    mistake = stub.refuses or _mistake(content)
    if mistake:
        return replied(refusal(400, 3, mistake))
    stub.contents[found["name"]] = content
    found["state"] = "READY"
    return web.json_response(
        {
            "id": found["name"].rpartition("/")[2],
            "object": "file",
            "bytes": len(content),
            "created_at": 1764331200,
            "filename": filename[1].decode(),
            "purpose": "fine-tune",
        }
    )


def _mistake(content: bytes) -> str:
    lines = content.splitlines()
    if len(lines) < 3:
        return "dataset must have at least 3 examples"
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        if "messages" not in row and not {"input", "preferred_output"} <= row.keys():
            return f"invalid example on line {number}: no messages"
    return ""


def _dataset_of(stub: FakeFireworks, request: web.Request) -> Json | None:
    return stub.datasets.get(request.match_info["id"])


async def _dataset(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    found = _dataset_of(stub, request)
    return web.json_response(found) if found else replied(missing("dataset"))


# --- jobs ---------------------------------------------------------------------------------------


async def _create(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    asked, pairs = json.loads(body), request.path.endswith("/dpoJobs")
    id_ = request.query.get("dpoJobId" if pairs else "supervisedFineTuningJobId", "")
    loss: Json = {}
    if pairs:
        if refused := _pairs_mistake(asked):
            return replied(refused)
        loss = asked.pop("lossConfig")
        asked |= asked.pop("trainingConfig")
    if refused := _job_mistake(stub, asked, id_):
        return replied(refused)
    start = asked.get("warmStartFrom", "")
    base = stub.tuned[start]["base"] if start else asked["baseModel"]
    output = asked.get("outputModel", id_)
    at = _now(stub)
    job: Json = {
        "name": f"{request.path.removeprefix('/v1/')}/{id_}",
        "displayName": asked.get("displayName", ""),
        "state": "JOB_STATE_CREATING",
        "dataset": asked["dataset"],
        "baseModel": base if stub.tells_base or not start else "",
        "warmStartFrom": start,
        "outputModel": f"{ACCOUNT}/models/{output}",
        "epochs": asked.get("epochs", 1),
        "learningRate": asked.get("learningRate", 1e-4),
        "createTime": at,
        "updateTime": at,
        "createdBy": "me@lab.example",
        "estimatedCost": {"currencyCode": "USD", "units": "1", "nanos": 250000000},
        "jobProgress": {"percent": 0, "epoch": 0},
        "polls": 0,
        "base": base,
    }
    if pairs:
        job |= {"lossConfig": loss, "trainingConfig": {name: job[name] for name in _TRAINING}}
    stub.jobs.append(job)
    return web.json_response(_shown(job))


def _pairs_mistake(asked: Json) -> Meets | None:
    if unknown := sorted(asked.keys() - _PREFERENCES):
        return refusal(400, 3, f"unknown field {unknown[0]!r}")
    beta = asked["lossConfig"].get("dpo", {}).get("beta", 0.1)
    if asked["lossConfig"]["method"] != "DPO" or not 0 < beta < 0.5:
        return refusal(400, 3, f"invalid loss config: beta {beta}")
    return None


def _job_mistake(stub: FakeFireworks, asked: Json, id_: str) -> Meets | None:
    if unknown := sorted(asked.keys() - _JOB):
        return refusal(400, 3, f"unknown field {unknown[0]!r}")
    if not _ID.fullmatch(id_) or not _ID.fullmatch(asked.get("outputModel", "a")):
        return refusal(400, 3, f"invalid id {id_!r}")
    if id_ in [job["name"].rpartition("/")[2] for job in stub.jobs]:
        return taken(f"supervised fine-tuning job {id_}")
    if ("baseModel" in asked) == ("warmStartFrom" in asked):
        return refusal(400, 3, "only one of base_model or warm_start_from must be specified")
    ready = [one["name"] for one in stub.datasets.values() if one["state"] == "READY"]
    if asked["dataset"] not in ready:
        return missing(f"dataset {asked['dataset']}")
    if asked.get("baseModel", BASE) != BASE:
        return refusal(400, 3, f"model {asked['baseModel']} is not tunable")
    if "warmStartFrom" in asked and asked["warmStartFrom"] not in stub.tuned:
        return missing(f"model {asked['warmStartFrom']}")
    return None


def _shown(job: Json) -> Json:
    """A job by DPO tells what it trains only in its training config, and no progress."""
    hidden = {"polls", "base"}
    if "trainingConfig" in job:
        hidden |= {*_TRAINING, "jobProgress", "estimatedCost", "updateTime"}
    return {name: value for name, value in job.items() if name not in hidden}


def _advance(stub: FakeFireworks, job: Json) -> None:
    state = job["state"].removeprefix("JOB_STATE_")
    if state in ("COMPLETED", "FAILED", "CANCELLED", "EARLY_STOPPED"):
        return
    job["polls"] += 1
    job["updateTime"] = _now(stub)
    done = job["polls"] >= stub.polls_to_end
    job["state"] = f"JOB_STATE_{stub.end_state if done else 'RUNNING'}"
    job["jobProgress"] = {"percent": 100 if done else 50, "epoch": 0}
    if done and stub.end_state in ("COMPLETED", "EARLY_STOPPED"):
        stub.tuned[job["outputModel"]] = {"base": job["base"], "job": job["name"]}
    if done and stub.end_state == "FAILED":
        said = str(stub.end.get("message", "out of memory"))
        job["status"] = {"code": "INVALID_ARGUMENT", "message": said}


def _job_of(stub: StubProvider, request: web.Request) -> Json | None:
    id_ = request.match_info["id"]
    return next((job for job in stub.jobs if job["name"].rpartition("/")[2] == id_), None)


async def _job(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    job = _job_of(stub, request)
    if job is None:
        return replied(missing("supervised fine-tuning job"))
    _advance(stub, job)
    return web.json_response(_shown(job))


async def _jobs(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    kind = request.match_info["kind"]
    shown = [_shown(job) for job in stub.jobs if f"/{kind}/" in job["name"]]
    return web.json_response({kind: shown, "totalSize": len(shown)})


async def _cancel(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    job = _job_of(stub, request)
    if job is None:
        return replied(missing("supervised fine-tuning job"))
    if job["state"] != "JOB_STATE_COMPLETED":
        job["state"] = "JOB_STATE_CANCELLED"
    return web.json_response({})


# --- models and the account ---------------------------------------------------------------------


async def _account(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    if f"accounts/{request.match_info['account']}" != ACCOUNT:
        return replied(refusal(403, 7, "permission denied on the account"))
    told = {"name": ACCOUNT, "email": "me@lab.example", "state": "READY"}
    return web.json_response({**told, "suspendState": stub.suspended})


async def _model(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    name = f"accounts/{request.match_info['account']}/models/{request.match_info['id']}"
    if name == BASE:
        told = {"tunable": True, "supportsServerless": True, "supportsLora": True}
        about = {"name": name, "kind": "HF_BASE_MODEL", "state": "READY", **told}
        return web.json_response({**about, **stub.about_base})
    if name not in stub.tuned:
        return replied(missing(f"model {name}"))
    peft = {"baseModel": stub.tuned[name]["base"], "r": 8, "targetModules": ["q_proj"]}
    told = {"name": name, "kind": "HF_PEFT_ADDON", "state": "READY", "peftDetails": peft}
    return web.json_response({**told, "fineTuningJob": stub.tuned[name]["job"]})


# --- deployments --------------------------------------------------------------------------------


async def _deploy(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    asked, id_ = json.loads(body), request.query.get("deploymentId", "")
    if not _ID.fullmatch(id_):
        return replied(refusal(400, 3, f"invalid deployment id {id_!r}"))
    if id_ in stub.stays:
        return replied(taken(f"deployment {id_}"))
    if asked["baseModel"] not in stub.tuned:
        return replied(missing(f"model {asked['baseModel']}"))
    stay: Json = {
        "name": f"{ACCOUNT}/deployments/{id_}",
        "baseModel": asked["baseModel"],
        "state": "CREATING",
        "deploymentShape": "accounts/fireworks/deploymentShapes/s/versions/1",
        "displayName": asked.get("displayName", ""),
        "description": asked.get("description", ""),
        "minReplicaCount": asked["minReplicaCount"],
        "maxReplicaCount": asked["maxReplicaCount"],
        "autoscalingPolicy": asked["autoscalingPolicy"],
        "acceleratorType": stub.gpus[0],
        "acceleratorCount": stub.gpus[1],
        "createTime": _now(stub),
        "looks": 0,
    }
    if request.query.get("validateOnly") == "true":
        return web.json_response(_shown_stay(stay))
    if len(stub.deployments) >= stub.quota:
        said = "quota exceeded for NVIDIA H100 80GB GPUs: limit 0"
        return replied(refusal(429, 8, said))
    stub.stays[id_] = stay
    stub.made[id_] += 1
    return web.json_response(_shown_stay(stay))


def _shown_stay(stay: Json) -> Json:
    return {name: value for name, value in stay.items() if name != "looks"}


async def _deployment(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeFireworks)
    stay = stub.stays.get(request.match_info["id"])
    if stay is None:
        return replied(missing("deployment"))
    stay["looks"] += 1
    if stay["state"] == "CREATING" and stay["looks"] > stub.creating_looks:
        stay["state"] = stub.becomes
        if stub.becomes == "FAILED":
            stay["status"] = {"code": "RESOURCE_EXHAUSTED", "message": "no capacity in the region"}
    return web.json_response(_shown_stay(stay))


async def _list(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    """Two to a page."""
    assert isinstance(stub, FakeFireworks)
    start = int(request.query.get("pageToken") or 0)
    all_ = [_shown_stay(one) for one in stub.stays.values() if one["state"] != "DELETED"]
    more = str(start + 2) if start + 2 < len(all_) else ""
    body: Json = {"deployments": all_[start : start + 2], "totalSize": len(all_)}
    return web.json_response({**body, "nextPageToken": more})


async def _remove(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    """Softly, a deployment keeps its name."""
    assert isinstance(stub, FakeFireworks)
    id_ = request.match_info["id"]
    stay = stub.stays.get(id_)
    if stay is None:
        return replied(missing("deployment"))
    if request.query.get("ignoreChecks") != "true":
        said = "deployment was used recently; set ignore_checks to delete it anyway"
        return replied(refusal(400, 9, said))
    if stay["state"] != "DELETED":
        stub.removed[id_] += 1
    stay["state"] = "DELETED"
    if request.query.get("hard") == "true":
        del stub.stays[id_]
    return web.json_response({})


def _original(route: str) -> Handler:
    return next(handler for name, _, _, handler in ROUTES if name == route)


_A = f"/v1/{ACCOUNT}"
_J = f"{_A}/{{kind:supervisedFineTuningJobs|dpoJobs}}"
FIREWORKS: Routes = tuple(
    (name, method, path, _with_key(handler))
    for name, method, path, handler in (
        ("chat", "POST", "/inference/v1/chat/completions", _chat),
        # The vendor's package asks here where its address is another than Fireworks' own.
        ("chat", "POST", "/v1/chat/completions", _chat),
        ("dataset", "POST", f"{_A}/datasets", _make_dataset),
        ("upload", "POST", f"{_A}/datasets/{{id:[^/:]+}}:upload", _upload),
        ("file", "GET", f"{_A}/datasets/{{id}}", _dataset),
        ("create", "POST", _J, _create),
        ("jobs", "GET", _J, _jobs),
        ("job", "GET", f"{_J}/{{id}}", _job),
        ("cancel", "POST", f"{_J}/{{id:[^/:]+}}:cancel", _cancel),
        ("deploy", "POST", f"{_A}/deployments", _deploy),
        ("deployments", "GET", f"{_A}/deployments", _list),
        ("deployment", "GET", f"{_A}/deployments/{{id}}", _deployment),
        ("remove", "DELETE", f"{_A}/deployments/{{id}}", _remove),
        ("account", "GET", "/v1/accounts/{account}", _account),
        ("model", "GET", "/v1/accounts/{account}/models/{id}", _model),
    )
)
PREFIX = "/inference/v1"


def environ(stub: FakeFireworks) -> dict[str, str]:
    """What a user would set."""
    return {
        "RMFT_FIREWORKS_URL": stub.url,
        "FIREWORKS_API_KEY": KEY,
        "FIREWORKS_ACCOUNT_ID": "lab",
    }
