"""Nebius Token Factory as its pages tell it: OpenAI's wire, and what differs.

Pages: docs.tokenfactory.nebius.com, "Create a fine-tuning job", "Create a custom model",
"List of custom models", "Get a custom model".
"""

import json
from dataclasses import dataclass, field

from aiohttp import web

from tests.providers.stub import ROUTES, Handler, Json, Routes, StubProvider, error, replied

KEY = "nebius-key-0123456789abcdef"
BASE = "meta-llama/Llama-3.3-70B-Instruct"
JOB = {
    "model",
    "training_file",
    "validation_file",
    "suffix",
    "seed",
    "hyperparameters",
    "method",
    "from_checkpoint",
    "tags",
    "integrations",
}
HYPERPARAMETERS = {
    "n_epochs",
    "batch_size",
    "learning_rate",
    "lora",
    "lora_r",
    "lora_alpha",
    "packing",
    "context_length",
}


@dataclass
class FakeNebius(StubProvider):
    """A project with custom models."""

    models: set[str] = field(default_factory=lambda: {BASE})
    filters_metadata: bool = False
    custom: list[Json] = field(default_factory=list[Json])
    validating_looks: int = 1
    """How often a custom model is shown before it is active."""
    fate: str = "active"


def _with_key(handler: Handler) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return replied(error(401, "Invalid API key.", code="invalid_api_key"))
        return await handler(stub, request, body)

    return served


async def _create(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    asked = json.loads(body)
    wanted = asked.get("method", {}).get("supervised", {}).get("hyperparameters", {})
    unknown = sorted(asked.keys() - JOB) + sorted(wanted.keys() - HYPERPARAMETERS)
    if unknown:
        return replied(error(422, f"Extra inputs are not permitted: {unknown[0]}"))
    if asked["model"] != BASE:
        return replied(error(404, f"Model {asked['model']} not found", code="model_not_found"))
    if isinstance(wanted.get("learning_rate"), str) or isinstance(wanted.get("batch_size"), str):
        return replied(error(422, "Input should be a valid number"))
    return await _original("create")(stub, request, body)


async def _job(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    """OpenAI's job without a model: checkpoints are all that comes of it."""
    shown = await _original("job")(stub, request, body)
    for job in stub.jobs:
        if job["fine_tuned_model"]:
            stub.models.discard(job["fine_tuned_model"])
            job["fine_tuned_model"] = None
    if shown.status != 200:
        return shown
    job = next(j for j in stub.jobs if j["id"] == request.match_info["id"])
    hidden = ("polls", "metadata", "fine_tuned_model")
    told = {name: value for name, value in job.items() if name not in hidden}
    told["hyperparameters"] = job["method"]["supervised"]["hyperparameters"]
    return web.json_response({**told, "trained_steps": 10, "total_steps": 10})


async def _checkpoints(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    job = next((j for j in stub.jobs if j["id"] == request.match_info["id"]), None)
    if job is None:
        return replied(error(404, "Fine-tuning job not found"))
    saved = [
        {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt_{job['id'][-4:]}_{step}",
            "created_at": 1721764867,
            "fine_tuning_job_id": job["id"],
            "result_files": ["file-1"],
            "step_number": step,
            "metrics": {"train_loss": 0.1},
        }
        for step in (10, 5)
        if job["finished_at"]
    ]
    return web.json_response({"object": "list", "data": saved, "has_more": False})


async def _make(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeNebius)
    asked = json.loads(body)
    job, _, checkpoint = asked["source"].partition(":")
    if job not in [one["id"] for one in stub.jobs] or not checkpoint.startswith("ftckpt_"):
        return replied(error(400, f"Source {asked['source']} not found"))
    made: Json = {
        "name": f"{asked['base_model']}-LoRa:{asked['name']}-{next(stub.numbers):04}",
        "job_id": job,
        "checkpoint_id": checkpoint,
        "looks": 0,
    }
    stub.custom.append(made)
    return web.json_response(
        {
            "name": made["name"],
            "base_model": asked["base_model"],
            "source": asked["source"],
            "created_at": 123,
            "status": "validating",
            "description": None,
        }
    )


async def _list(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    """A bare array, in which every model has a type, flavors, and much more."""
    assert isinstance(stub, FakeNebius)
    shown: list[Json] = []
    for one in stub.custom:
        one["looks"] += 1
        status = stub.fate if one["looks"] > stub.validating_looks else "validating"
        if status == "active":
            stub.models.add(one["name"])
        told = {name: value for name, value in one.items() if name != "looks"}
        reason = "bad adapter" if status == "error" else None
        shown.append({"type": "text2text", "status": status, "status_reason": reason, **told})
    return web.json_response(shown)


def _original(route: str) -> Handler:
    return next(handler for name, _, _, handler in ROUTES if name == route)


_OWN: dict[str, Handler] = {"create": _create, "job": _job, "checkpoints": _checkpoints}
NEBIUS: Routes = (
    *(
        (name, method, path, _with_key(_OWN.get(name, handler)))
        for name, method, path, handler in ROUTES
    ),
    ("make", "POST", "/v0/models", _with_key(_make)),
    ("custom", "GET", "/v0/models", _with_key(_list)),
)


def environ(stub: FakeNebius) -> dict[str, str]:
    """What a user would set."""
    return {"NEBIUS_BASE_URL": stub.url, "NEBIUS_API_KEY": KEY}
