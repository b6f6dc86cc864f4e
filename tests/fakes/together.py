"""Together AI as its package (together 3.1.1) and its pages tell it: files, jobs, endpoints.

Every reply is a model of the package in `test_together_sdk.py`. Pages: docs.together.ai,
fine-tuning/data-preparation, fine-tuning/pricing, dedicated-endpoints; reference/post-fine-tunes.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

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

KEY = "together-key-0123456789abcdef"
PROJECT, SLUG, ORGANISATION = "proj_0123", "lab", "org_0123"
BASE = "Qwen/Qwen3.5-9B"
_PUBLIC = "proj_public"
_JOB = {
    "training_file",
    "validation_file",
    "model",
    "from_checkpoint",
    "n_epochs",
    "n_evals",
    "n_checkpoints",
    "batch_size",
    "learning_rate",
    "lr_scheduler",
    "warmup_ratio",
    "max_grad_norm",
    "weight_decay",
    "random_seed",
    "packing",
    "suffix",
    "training_method",
    "training_type",
    "early_stopping_enabled",
}
_STATE = "DEPLOYMENT_STATE_"


@dataclass
class FakeTogether(StubProvider):
    """An account with one project."""

    models: set[str] = field(default_factory=lambda: {BASE})
    """What answers by the token."""
    checksums: dict[str, str] = field(default_factory=dict[str, str])
    """Files by their content."""
    endpoints: dict[str, Json] = field(default_factory=dict[str, Json])
    """By id."""
    made: Counter[str] = field(default_factory=Counter[str])
    removed: Counter[str] = field(default_factory=Counter[str])
    """Endpoints whose deployment was made, and removed: what is billed."""
    file_looks: int = 1
    """How often a file is asked for before it is validated."""
    provisioning_looks: int = 1
    stopping_looks: int = 0
    """How often a deployment that stops refuses to be deleted."""
    becomes: str = "READY"
    """What becomes of new deployments."""
    estimate: float = 0.0001
    """What every job is estimated at, in USD."""
    allowed: bool = True
    """The account can pay a job."""
    tells_base: bool = True
    """A job that continues tells its base model."""
    cents: int = 399
    """The price of the cheapest hardware."""
    quota: int = 100
    """Most deployments of the project."""
    configs: bool = True
    products: tuple[str, ...] = ("PRODUCT_SERVERLESS", "PRODUCT_DEDICATED", "PRODUCT_FINE_TUNING")
    key_has_project: bool = True
    refuses: str = ""
    """What is wrong with every file."""

    @property
    def deployments(self) -> list[str]:
        """What stands, and is billed."""
        return [
            one["name"]
            for endpoint in self.endpoints.values()
            for one in endpoint["deployments"]
            if one["state"] != "STOPPED"
        ]


def told(status: int, message: str, kind: str = "invalid_request_error", **more: Any) -> Meets:
    """An error as Together words it."""
    return error(status, message, kind=kind, **more)


def _with_key(handler: Handler) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            message = "Invalid API key provided. You can find your API key at api.together.ai."
            return replied(told(401, message, code="invalid_api_key"))
        return await handler(stub, request, body)

    return served


# --- chats --------------------------------------------------------------------------------------


async def _chat(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    model = json.loads(body)["model"]
    if model in stub.models:
        return _with_prompt(await _original("chat")(stub, request, body))
    found = next(
        (d for e in stub.endpoints.values() for d in e["deployments"] if d["name"] == model), None
    )
    if found is None:
        said = f"Unable to access model {model}. Please visit the model page for details."
        return replied(told(404, said, code="model_not_available"))
    if found["state"] != "READY":
        return replied(told(503, "The model is not ready yet.", kind="service_unavailable"))
    stub.models.add(model)
    answered = _with_prompt(await _original("chat")(stub, request, body))
    stub.models.discard(model)
    return answered


def _with_prompt(answered: web.StreamResponse) -> web.Response:
    """Together's replies have a field that OpenAI's have not."""
    assert isinstance(answered, web.Response) and isinstance(answered.body, bytes)
    return web.json_response({**json.loads(answered.body), "prompt": []})


# --- files --------------------------------------------------------------------------------------


def _fields(request: web.Request, body: bytes) -> dict[str, str]:
    boundary = re.search(r"boundary=([^;]+)", request.headers["content-type"])
    assert boundary
    found: dict[str, str] = {}
    for part in body.split(b"--" + boundary[1].encode()):
        name = re.search(rb'name="([^"]+)"', part)
        if name:
            value = part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
            found[name[1].decode()] = value.decode()
    return found


async def _upload(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    asked = _fields(request, body)
    if asked.keys() != {"purpose", "file_name", "file_type", "checksum"}:
        return replied(told(400, f"Unexpected fields: {sorted(asked)}"))
    if known := stub.checksums.get(asked["checksum"]):
        return replied(Meets(409, {"error": "file already exists", "file_id": known}))
    file: Json = {
        "id": f"file-{next(stub.numbers):04}",
        "object": "file",
        "filename": asked["file_name"],
        "bytes": 0,
        "created_at": 1764331200 + len(stub.files),
        "FileType": asked["file_type"],
        "purpose": asked["purpose"],
        "processing_status": "PENDING",
        "looks": 0,
        "checksum": asked["checksum"],
    }
    stub.files.append(file)
    origin = stub.url.removesuffix("/v1")
    address = f"{origin}/storage/{file['id']}?signature=a%2Fb%2Bc%3D&expires=9"
    return web.Response(status=302, headers={"Location": address, "X-Together-File-Id": file["id"]})


async def _store(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    if "Authorization" in request.headers or "signature=a%2Fb%2Bc%3D" not in request.raw_path:
        return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")
    file = _file_of(stub, request)
    assert file
    stub.contents[file["id"]] = body
    return web.Response(status=200)


async def _preprocess(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    file = _file_of(stub, request)
    if file is None:
        return replied(told(404, "File not found"))
    file["bytes"] = len(stub.contents[file["id"]])
    stub.checksums[file["checksum"]] = file["id"]
    return web.json_response(_shown_file(file))


def _file_of(stub: StubProvider, request: web.Request) -> Json | None:
    return next((f for f in stub.files if f["id"] == request.match_info["id"]), None)


def _shown_file(file: Json) -> Json:
    return {name: value for name, value in file.items() if name not in ("looks", "checksum")}


async def _files(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    return web.json_response({"data": [_shown_file(file) for file in stub.files[::-1]]})


async def _file(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    file = _file_of(stub, request)
    if file is None:
        return replied(told(404, f"File {request.match_info['id']} not found"))
    file["looks"] += 1
    if file["looks"] >= stub.file_looks and file["processing_status"] == "PENDING":
        mistake = stub.refuses or _mistake(stub.contents[file["id"]])
        file["processing_status"] = "INVALID_FORMAT" if mistake else "COMPLETED"
        file["validation_report"] = {
            "valid": not mistake,
            **({"error": mistake, "error_type": "INVALID_FORMAT"} if mistake else {}),
        }
    return web.json_response(_shown_file(file))


def _mistake(content: bytes) -> str:
    for number, line in enumerate(content.splitlines(), 1):
        row = json.loads(line)
        turns = [one["role"] for one in row.get("messages", []) if one["role"] != "system"]
        if "messages" in row and (turns[:1] != ["user"] or any(a == b for a, b in pairwise(turns))):
            return (
                f"Invalid format on line {number}: roles must alternate between user and assistant"
            )
        if "messages" not in row and "preferred_output" not in row:
            return f"Invalid format on line {number}: unknown dataset format"
    return ""


# --- jobs ---------------------------------------------------------------------------------------


async def _estimate(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    asked = json.loads(body)
    file = next((f for f in stub.files if f["id"] == asked["training_file"]), None)
    if file is None or file["processing_status"] != "COMPLETED":
        why = "train_file_not_validated"
        return web.json_response({"estimation_available": False, "unavailable_reason": why})
    return web.json_response(
        {
            "estimation_available": True,
            "estimated_total_price": stub.estimate,
            "allowed_to_proceed": stub.allowed,
            "user_limit": 1.0,
            "estimated_train_token_count": 1000,
            "estimated_eval_token_count": 0,
        }
    )


async def _create(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    asked = json.loads(body)
    if refused := _job_mistake(stub, asked):
        return replied(refused)
    number = next(stub.numbers)
    parent = asked.get("from_checkpoint", "").partition(":")[0]
    job: Json = {
        "id": f"ft-{number:08}-aaaa-bbbb",
        "status": "pending",
        "created_at": f"2026-11-28T12:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "updated_at": "2026-11-28T12:00:00.000Z",
        "user_id": "user-1",
        "training_file": asked["training_file"],
        "suffix": asked.get("suffix"),
        "model": asked.get("model"),
        "from_checkpoint": asked.get("from_checkpoint"),
        "n_epochs": asked.get("n_epochs", 1),
        "learning_rate": asked.get("learning_rate", 1e-5),
        "n_checkpoints": asked.get("n_checkpoints", 1),
        "random_seed": asked.get("random_seed"),
        "training_method": asked.get("training_method"),
        "training_type": asked.get(
            "training_type", {"type": "Lora", "lora_r": 8, "lora_alpha": 16}
        ),
        "model_output_name": f"lab/Qwen3.5-9B-{asked.get('suffix')}-{number:08}",
        "adapter_output_name": f"lab/Qwen3.5-9B-{asked.get('suffix')}-{number:08}-adapter",
        "polls": 0,
        "root": asked.get("model") or next(j["root"] for j in stub.jobs if j["id"] == parent),
    }
    stub.jobs.append(job)
    stub.logs[job["id"]] = []
    _log(stub, job, "job_pending", "Fine-tune request created")
    return web.json_response(_shown_job(stub, job, short=True))


def _job_mistake(stub: FakeTogether, asked: Json) -> Meets | None:
    if unknown := sorted(asked.keys() - _JOB):
        return told(400, f"Unknown parameter: {unknown[0]}")
    if ("model" in asked) == ("from_checkpoint" in asked):
        return told(400, "You must specify either a model or a checkpoint, not both.")
    known = [f["id"] for f in stub.files if f["processing_status"] != "INVALID_FORMAT"]
    if asked["training_file"] not in known:
        return told(
            400, f"Training file {asked['training_file']} was not found.", code="invalid_file"
        )
    if asked.get("model", BASE) != BASE:
        return told(404, f"Model {asked['model']} is not supported for fine-tuning.")
    done = [job["id"] for job in stub.jobs if job["status"] == "completed"]
    if "from_checkpoint" in asked and asked["from_checkpoint"].partition(":")[0] not in done:
        return told(400, f"Checkpoint {asked['from_checkpoint']} was not found.")
    if len(asked.get("suffix", "")) > 40:
        return told(400, "suffix must have at most 40 characters.")
    if not stub.allowed:
        return told(402, "This job would exceed your credit limit.", kind="credit_limit")
    return None


def _log(stub: StubProvider, job: Json, kind: str, message: str, **more: Any) -> None:
    number = next(stub.numbers)
    entry = {
        "object": "fine-tune-event",
        "created_at": f"2026-11-28T13:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "message": message,
        "type": kind,
        "level": "info",
        **more,
    }
    stub.logs[job["id"]].append(entry)


def _shown_job(stub: FakeTogether, job: Json, *, short: bool = False) -> Json:
    shown = {name: value for name, value in job.items() if name not in ("polls", "root")}
    if stub.tells_base and not short:
        shown["model"] = job["root"]
    if short:
        return {name: value for name, value in shown.items() if not name.startswith("model_object")}
    return {**shown, "events": None}


def _advance(stub: FakeTogether, job: Json) -> None:
    if job["status"] in ("completed", "error", "cancelled"):
        return
    job["polls"] += 1
    ways = ("queued", "running", "compressing", "uploading")
    job["status"] = ways[min(job["polls"] - 1, 3)]
    if job["polls"] < stub.polls_to_end:
        return
    job["status"] = stub.end["status"].replace("succeeded", "completed")
    if job["status"] == "completed":
        job["token_count"] = 1000
        job["model_object_id"] = f"ml_{job['id'][3:11]}"
        job["model_object_name"] = job["model_output_name"]
        _log(stub, job, "checkpoint_save", "Saved a checkpoint", step=10)
        _log(stub, job, "job_complete", f"Job finished: {job['model_output_name']}")
    else:
        _log(stub, job, "job_error", str(stub.end.get("message", "failed")), level="error")


async def _job(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    job = _job_of(stub, request)
    if job is None:
        return replied(told(404, f"Fine-tune job {request.match_info['id']} not found"))
    _advance(stub, job)
    return web.json_response(_shown_job(stub, job))


def _job_of(stub: StubProvider, request: web.Request) -> Json | None:
    return next((j for j in stub.jobs if j["id"] == request.match_info["id"]), None)


async def _jobs(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    return web.json_response(
        {"data": [_shown_job(stub, job, short=True) for job in stub.jobs[::-1]]}
    )


async def _cancel(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    job = _job_of(stub, request)
    if job is None:
        return replied(told(404, "Fine-tune job not found"))
    if job["status"] not in ("completed", "error"):
        job["status"] = "cancelled"
    return web.json_response(_shown_job(stub, job, short=True))


async def _events(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    log = stub.logs.get(request.match_info["id"])
    if log is None:
        return replied(told(404, "Fine-tune job not found"))
    return web.json_response({"data": log[::-1]})


async def _checkpoints(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    job = _job_of(stub, request)
    assert job
    saved = [
        {
            "checkpoint_type": f"Intermediate (step {step})",
            "created_at": "2026-11-28T13:00:00.000Z",
            "path": f"s3://together/{job['id']}/{step}",
            "step": step,
            "object_id": f"ml_{job['id'][3:11]}_{step}",
        }
        for step in (10, 5)
        if job["status"] == "completed"
    ]
    return web.json_response({"data": saved})


async def _limits(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    name = request.query.get("model_name")
    if name != BASE and name not in [job["id"] for job in stub.jobs]:
        return replied(told(404, f"Model {name} is not supported for fine-tuning."))
    lora = {
        "default_rank": 8,
        "max_rank": 64,
        "max_batch_size": 8,
        "max_batch_size_dpo": 8,
        "min_batch_size": 8,
        "target_modules": ["q_proj"],
    }
    return web.json_response(
        {
            "model_name": name,
            "min_max_seq_length": 1,
            "max_seq_length_sft": 32768,
            "max_seq_length_dpo": 16384,
            "max_num_epochs": 20,
            "max_learning_rate": 1.0,
            "min_learning_rate": 1e-8,
            "max_num_evals": 100,
            "max_num_checkpoints": 20,
            "default_gradient_accumulation_steps": 1,
            "merge_output_lora": True,
            "supports_full_training": False,
            "supports_reasoning": True,
            "supports_tools": True,
            "supports_vision": False,
            "lora_training": lora,
        }
    )


# --- the project --------------------------------------------------------------------------------


async def _whoami(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    organisation = {"id": ORGANISATION, "name": "Lab"}
    if not stub.key_has_project:
        said: Json = {"type": "org_api_key", "api_key": {"id": "k"}, "organization": organisation}
        return web.json_response(said)
    project = {"id": PROJECT, "name": "Lab", "slug": SLUG}
    said = {"type": "project_api_key", "api_key": {"id": "k"}, "organization": organisation}
    return web.json_response({**said, "project": project})


async def _model(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    id_ = request.match_info["id"]
    known = {job.get("model_object_id"): job for job in stub.jobs}
    job = known.get(id_.rpartition("_")[0] if id_.count("_") > 1 else id_)
    if job is None:
        return replied(told(404, f"model {id_} not found"))
    return web.json_response(
        {
            "id": id_,
            "name": job["model_object_name"],
            "organizationId": ORGANISATION,
            "projectId": PROJECT,
            "visibility": "VISIBILITY_PRIVATE",
            "weights": {"type": "WEIGHTS_TYPE_ADAPTER"},
            "baseModel": f"projects/{_PUBLIC}/models/ml_base",
            "baseModelId": "ml_base",
        }
    )


async def _configs(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    asked = request.query.get("referenceModelId")
    data = [
        {
            "id": f"cr_{count}",
            "projectId": _PUBLIC,
            "certifications": [],
            "referenceModel": f"projects/{_PUBLIC}/models/ml_base",
            "referenceModelId": "ml_base",
            "selectors": [
                {"key": "accelerator_type", "value": "nvidia-h100-80gb"},
                {"key": "accelerator_count", "value": str(count)},
            ],
        }
        for count in (2, 1)
        if stub.configs and asked == "ml_base"
    ]
    return web.json_response({"data": data, "object": "list", "next_cursor": None})


async def _instances(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    data: list[Json] = [
        {
            "id": f"it_{count}",
            "name": f"{count}xnvidia-h100-80gb",
            "description": f"{count} x H100",
            "gpuCount": count,
            "gpuMemoryGib": 80,
            "gpuType": "H100",
            "priceCentsPerHour": stub.cents * count,
            "regions": [],
        }
        for count in (1, 2)
    ]
    return web.json_response({"data": data, "object": "list", "next_cursor": None})


async def _supported(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    entry = {
        "id": "ml_base",
        "name": BASE,
        "baseModel": f"projects/{_PUBLIC}/models/ml_base",
        "baseModelId": "ml_base",
        "capabilities": ["CAPABILITY_CHAT"],
        "createdAt": "2026-03-10T00:00:00Z",
        "updatedAt": "2026-03-10T00:00:00Z",
        "deploymentProfiles": [],
        "displayName": "Qwen3.5 9B",
        "displayType": "chat",
        "inputModalities": ["MODALITY_TEXT"],
        "outputModalities": ["MODALITY_TEXT"],
        "products": list(stub.products),
        "publisher": "Qwen",
        "status": "SUPPORTED_MODEL_STATUS_SUPPORTED",
    }
    wanted = request.query.get("search", "").lower()
    found = [entry] if wanted in BASE.lower() else []
    return web.json_response({"data": found, "object": "list", "next_cursor": None})


# --- endpoints ----------------------------------------------------------------------------------


async def _make_endpoint(
    stub: StubProvider, request: web.Request, body: bytes
) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    name = json.loads(body)["name"]
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
        return replied(told(400, f"invalid endpoint name {name!r}"))
    if any(one["name"] == f"{SLUG}/{name}" for one in stub.endpoints.values()):
        return replied(told(409, f"endpoint {name} already exists"))
    endpoint: Json = {
        "id": f"ep_{next(stub.numbers):04}",
        "name": f"{SLUG}/{name}",
        "deployments": [],
    }
    stub.endpoints[endpoint["id"]] = endpoint
    return web.json_response(_shown_endpoint(endpoint))


def _shown_endpoint(endpoint: Json) -> Json:
    return {
        "id": endpoint["id"],
        "name": endpoint["name"],
        "projectId": PROJECT,
        "createdAt": "2026-11-28T12:00:00Z",
        "updatedAt": "2026-11-28T12:00:00Z",
        "endpointType": "ENDPOINT_TYPE_DEDICATED",
        "etag": "e1",
        "trafficSplit": [],
        "visibility": "VISIBILITY_PRIVATE",
        "deployments": [_summary(one) for one in endpoint["deployments"]],
    }


def _summary(deployment: Json) -> Json:
    return {
        "id": deployment["id"],
        "name": deployment["name"],
        "model": deployment["model"],
        "modelId": deployment["model"].split("/")[3],
        "createdAt": "2026-11-28T12:00:00Z",
        "state": f"{_STATE}{deployment['state']}",
        "autoscaling": deployment["autoscaling"],
        "estimatedEffectiveTrafficShare": 0,
        "trafficMode": "TRAFFIC_MODE_LIVE",
        "readyReplicas": int(deployment["state"] == "READY"),
    }


def _shown_deployment(endpoint: Json, deployment: Json) -> Json:
    summary = _summary(deployment)
    state = {"state": summary.pop("state"), "message": "as asked"}
    return {
        **summary,
        "config": deployment["config"],
        "configId": deployment["config"].rpartition("/")[2],
        "endpointId": endpoint["id"],
        "etag": "d1",
        "hardware": "1xnvidia-h100-80gb",
        "modelRevisionId": "rv_1",
        "projectId": PROJECT,
        "status": state,
        "updatedAt": "2026-11-28T12:00:00Z",
        "inactiveTimeout": deployment["inactive"],
    }


async def _deploy(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    asked, endpoint = json.loads(body), stub.endpoints.get(request.match_info["id"])
    if endpoint is None:
        return replied(told(404, "endpoint not found"))
    if refused := _not_deployable(stub, endpoint, asked):
        return replied(refused)
    deployment: Json = {
        "id": f"dep_{next(stub.numbers):04}",
        "name": f"{endpoint['name']}/{asked['name']}",
        "model": f"{asked['model']}/revisions/rv_1",
        "config": asked["config"],
        "autoscaling": asked["autoscaling"],
        "inactive": asked.get("inactiveTimeout", 0),
        "state": "PROVISIONING",
        "looks": 0,
        "stopping": stub.stopping_looks,
    }
    endpoint["deployments"].append(deployment)
    stub.made[endpoint["name"]] += 1
    return web.json_response(_shown_deployment(endpoint, deployment))


def _not_deployable(stub: FakeTogether, endpoint: Json, asked: Json) -> Meets | None:
    names = [one["name"].rpartition("/")[2] for one in endpoint["deployments"]]
    if asked["name"] in names or names:
        return told(409, f"deployment {asked['name']} already exists")
    if len(asked["name"]) > 63:
        return told(400, "deployment name is too long")
    model = re.fullmatch(rf"projects/{PROJECT}/models/(ml_[0-9]+(_[0-9]+)?)", asked["model"])
    if not model or not re.fullmatch(rf"projects/{_PUBLIC}/configs/cr_[12]", asked["config"]):
        return told(400, "model or config is not valid")
    if len(stub.deployments) >= stub.quota:
        return told(403, "GPU quota exceeded for this project.", code="quota_exceeded")
    inactive = asked.get("inactiveTimeout", 0)
    return None if inactive == 0 or 30 <= inactive <= 1440 else told(400, "invalid inactiveTimeout")


async def _list_endpoints(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    """Two to a page; a look lets every deployment go on."""
    assert isinstance(stub, FakeTogether)
    if "after" not in request.query:
        for endpoint in stub.endpoints.values():
            for one in endpoint["deployments"]:
                _go_on(stub, one)
    start = int(request.query.get("after", 0))
    all_ = [_shown_endpoint(one) for one in stub.endpoints.values()]
    more = start + 2 < len(all_)
    return web.json_response(
        {
            "data": all_[start : start + 2],
            "object": "list",
            "next_cursor": str(start + 2) if more else None,
        }
    )


def _go_on(stub: FakeTogether, deployment: Json) -> None:
    deployment["looks"] += 1
    if deployment["state"] == "PROVISIONING" and deployment["looks"] > stub.provisioning_looks:
        deployment["state"] = stub.becomes
    if deployment["state"] == "STOPPING":
        deployment["stopping"] -= 1
        deployment["state"] = "STOPPED" if deployment["stopping"] <= 0 else "STOPPING"


async def _scale(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    found = _stay(stub, request)
    if found is None:
        return replied(told(404, "deployment not found"))
    endpoint, one = found
    if request.query.get("updateMask") != "autoscaling":
        return replied(told(400, "updateMask must name what changes"))
    one["autoscaling"] = json.loads(body)["autoscaling"]
    if one["autoscaling"]["maxReplicas"] == 0:
        one["state"] = "STOPPING" if one["stopping"] > 0 else "STOPPED"
    elif one["state"] in ("STOPPED", "STOPPING"):
        one["state"], one["looks"] = "PROVISIONING", 0
    return web.json_response(_shown_deployment(endpoint, one))


async def _retrieve(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    found = _stay(stub, request)
    if found is None:
        return replied(told(404, "deployment not found"))
    return web.json_response(_shown_deployment(*found))


def _stay(stub: FakeTogether, request: web.Request) -> tuple[Json, Json] | None:
    endpoint = stub.endpoints.get(request.match_info["id"])
    stays: list[Json] = endpoint["deployments"] if endpoint else []
    one = next((one for one in stays if one["id"] == request.match_info["deployment"]), None)
    return None if endpoint is None or one is None else (endpoint, one)


async def _delete_stay(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    found = _stay(stub, request)
    if found is None:
        return replied(told(404, "deployment not found"))
    endpoint, one = found
    if one["state"] != "STOPPED":
        said = f"deployment {one['id']} must be stopped before it can be deleted"
        return replied(told(409, said))
    endpoint["deployments"].remove(one)
    stub.removed[endpoint["name"]] += 1
    return web.json_response({})


async def _delete_endpoint(
    stub: StubProvider, request: web.Request, _: bytes
) -> web.StreamResponse:
    assert isinstance(stub, FakeTogether)
    endpoint = stub.endpoints.get(request.match_info["id"])
    if endpoint is None:
        return replied(told(404, "endpoint not found"))
    if endpoint["deployments"]:
        return replied(told(409, "endpoint still has deployments"))
    del stub.endpoints[endpoint["id"]]
    return web.json_response({})


def _original(route: str) -> Handler:
    return next(handler for name, _, _, handler in ROUTES if name == route)


_ENDPOINTS = f"/v2/projects/{PROJECT}/endpoints"
_STAYS = _ENDPOINTS + "/{id}/deployments"
_OWN: Routes = (
    ("chat", "POST", "/v1/chat/completions", _chat),
    ("upload", "POST", "/v1/files", _upload),
    ("files", "GET", "/v1/files", _files),
    ("file", "GET", "/v1/files/{id}", _file),
    ("preprocess", "POST", "/v1/files/{id}/preprocess", _preprocess),
    ("estimate", "POST", "/v1/fine-tunes/estimate-price", _estimate),
    ("create", "POST", "/v1/fine-tunes", _create),
    ("jobs", "GET", "/v1/fine-tunes", _jobs),
    ("limits", "GET", "/v1/fine-tunes/models/limits", _limits),
    ("job", "GET", "/v1/fine-tunes/{id}", _job),
    ("cancel", "POST", "/v1/fine-tunes/{id}/cancel", _cancel),
    ("events", "GET", "/v1/fine-tunes/{id}/events", _events),
    ("checkpoints", "GET", "/v1/fine-tunes/{id}/checkpoints", _checkpoints),
    ("whoami", "GET", "/v3/whoami", _whoami),
    ("model", "GET", f"/v2/projects/{PROJECT}/models/{{id}}", _model),
    ("configs", "GET", f"/v2/projects/{PROJECT}/configs", _configs),
    ("instances", "GET", "/v2/public/inference-instance-types", _instances),
    ("supported", "GET", "/v2/supported-models", _supported),
    ("endpoint", "POST", _ENDPOINTS, _make_endpoint),
    ("endpoints", "GET", _ENDPOINTS, _list_endpoints),
    ("deploy", "POST", _STAYS, _deploy),
    ("deployment", "GET", _STAYS + "/{deployment}", _retrieve),
    ("scale", "PATCH", _STAYS + "/{deployment}", _scale),
    ("remove", "DELETE", _STAYS + "/{deployment}", _delete_stay),
    ("remove-endpoint", "DELETE", _ENDPOINTS + "/{id}", _delete_endpoint),
)
TOGETHER: Routes = (
    *((name, method, path, _with_key(handler)) for name, method, path, handler in _OWN),
    ("store", "PUT", "/storage/{id}", _store),
)


def environ(stub: FakeTogether) -> dict[str, str]:
    """What a user would set."""
    return {"RMFT_TOGETHER_URL": stub.url, "TOGETHER_API_KEY": KEY}
