"""Gemini on the Agent Platform as its REST reference tells it: chats, tuning jobs, models, bucket.

Pages: docs.cloud.google.com, projects.locations.tuningJobs, projects.locations.models,
generateContent; Cloud Storage JSON API, objects insert / list / get. Numbers of 64 bits are text.
As every API of Google's, it reads a field by its JSON name or by its original one
(`tunedModelName`, `tuned_model_name`), and tells it by the first.
"""

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast
from urllib.parse import unquote

from aiohttp import web

from tests.providers.stub import Handler, Json, Meets, Routes, StubProvider, replied

TOKEN = "ya29.google-token-0123456789abcdef"
PROJECT, LOCATION = "lab", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
BASES = {"gemini-3.5-flash", "gemini-3.5-flash-lite"}
REQUEST = {"contents", "systemInstruction", "generationConfig", "safetySettings", "labels"}
GENERATION = {
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "thinkingConfig",
    "responseMimeType",
}
JOB = {
    "baseModel",
    "preTunedModel",
    "supervisedTuningSpec",
    "tunedModelDisplayName",
    "description",
    "labels",
}
SPEC = {
    "trainingDatasetUri",
    "validationDatasetUri",
    "hyperParameters",
    "exportLastCheckpointOnly",
}
HYPERPARAMETERS = {"epochCount", "learningRateMultiplier", "adapterSize"}
PRE_TUNED = {"tunedModelName", "checkpointId"}


@dataclass
class FakeGemini(StubProvider):
    """A project with a bucket."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    tuned: dict[str, Json] = field(default_factory=dict[str, Json])
    """Models of the registry, by name and version."""
    end_state: str = "JOB_STATE_SUCCEEDED"
    dropped: int = 0
    """Examples that the next jobs drop."""
    thoughts: int = 0
    """Tokens of thought per candidate."""
    deploying_looks: int = 1
    """How often a new model is asked for before its endpoint is told."""
    labels_lag: bool = False
    """The label index does not know new jobs yet."""


def refusal(status: int, kind: str, message: str) -> Meets:
    """An error as Google words it."""
    return Meets(status, {"error": {"code": status, "message": message, "status": kind}})


def _with_token(handler: Handler) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return replied(
                refusal(
                    401,
                    "UNAUTHENTICATED",
                    "Request had invalid authentication credentials.",
                )
            )
        return await handler(stub, request, body)

    return served


def _invalid(message: str) -> web.Response:
    return replied(refusal(400, "INVALID_ARGUMENT", message))


async def _generate(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeGemini)
    target, asked = request.match_info["target"], json.loads(body)
    if missing := _no_such(stub, target):
        return replied(missing)
    if mistake := _chat_mistake(asked):
        return _invalid(mistake)
    count = asked.get("generationConfig", {}).get("candidateCount", 1)
    messages = _messages(asked)
    told: list[str] = [
        stub.talk({**asked, "messages": messages, "model": target}, index) for index in range(count)
    ]
    parts = [[{"text": text}] for text in told]
    if stub.thoughts:
        parts = [[{"text": "Let me think.", "thought": True}, *one] for one in parts]
    usage: Json = {
        "promptTokenCount": 1 + sum(len(m["content"]) // 4 for m in messages),
        "candidatesTokenCount": sum(1 + len(text) // 4 for text in told),
        "totalTokenCount": 0,
        "trafficType": "ON_DEMAND",
    }
    if stub.thoughts:
        usage["thoughtsTokenCount"] = stub.thoughts * count
    usage["totalTokenCount"] = sum(v for v in usage.values() if isinstance(v, int))
    return web.json_response(
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": part},
                    "finishReason": "STOP",
                    "avgLogprobs": -0.1,
                    # Like every default value in this JSON, index 0 is left out.
                    **({"index": index} if index else {}),
                }
                for index, part in enumerate(parts)
            ],
            "usageMetadata": usage,
            "modelVersion": target.rsplit("/", 1)[-1],
            "createTime": "2026-11-22T12:00:00.000000Z",
            "responseId": f"resp-{next(stub.numbers)}",
        }
    )


def _no_such(stub: FakeGemini, target: str) -> Meets | None:
    if target.startswith(f"{PARENT}/publishers/google/models/"):
        if target.rsplit("/", 1)[-1] in BASES:
            return None
        return refusal(
            404,
            "NOT_FOUND",
            f"Publisher Model `{target}` was not found or your project does not have access to it.",
        )
    endpoints = [one["endpoint"] for one in stub.tuned.values()]
    endpoints += [saved["endpoint"] for one in stub.tuned.values() for saved in one["checkpoints"]]
    if target in endpoints:
        return None
    return refusal(404, "NOT_FOUND", f"Endpoint `{target}` not found.")


def _chat_mistake(asked: Json) -> str:
    config = asked.get("generationConfig", {})
    unknown = sorted(asked.keys() - REQUEST) + sorted(config.keys() - GENERATION)
    if unknown:
        return f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
    if not 1 <= config.get("candidateCount", 1) <= 8:
        return "candidateCount must be in the range [1, 8]"
    if not -(2**31) <= config.get("seed", 0) < 2**31:
        return "Invalid value at 'generation_config.seed' (TYPE_INT32)"
    return _turns_mistake(asked["contents"])


def _turns_mistake(contents: list[Json]) -> str:
    roles = [one["role"] for one in contents]
    if not roles or set(roles) - {"user", "model"}:
        return "Please use a valid role: user, model."
    if roles[0] != "user" or any(a == b for a, b in pairwise(roles)):
        return "Please ensure that multiturn requests alternate between user and model."
    return ""


def _messages(asked: Json) -> list[Json]:
    system = asked.get("systemInstruction", {"parts": []})["parts"]
    told = [{"role": "system", "content": part["text"]} for part in system]
    for one in asked["contents"]:
        role = "assistant" if one["role"] == "model" else "user"
        told += [{"role": role, "content": part["text"]} for part in one["parts"]]
    return told


async def _tune(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeGemini)
    asked = _named(json.loads(body))
    if mistake := _job_mistake(stub, asked):
        return _invalid(mistake)
    number = next(stub.numbers)
    job: Json = {
        **asked,
        "name": f"{PARENT}/tuningJobs/{number:06}",
        "state": "JOB_STATE_PENDING",
        "createTime": f"2026-11-22T12:00:{number % 60:02}.123456789Z",
        "updateTime": "2026-11-22T12:00:00Z",
        "polls": 0,
    }
    if pre := asked.get("preTunedModel"):
        parent = _parent_of(stub, pre["tunedModelName"])
        assert parent
        job["preTunedModel"] = {**pre, "baseModel": stub.tuned[parent]["base"]}
    stub.jobs.append(job)
    return web.json_response(_shown(job))


def _named(value: Any, *, free: bool = False) -> Any:
    """Every field by its JSON name; the keys of `labels` are their writer's own."""
    if isinstance(value, dict):
        items = cast("Json", value).items()
        return {
            name if free else _camel(name): _named(one, free=name == "labels")
            for name, one in items
        }
    if isinstance(value, list):
        return [_named(one) for one in cast("list[Any]", value)]
    return value


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _unknown(asked: Json) -> list[str]:
    """The first name of each part that is no field of it."""
    spec = asked.get("supervisedTuningSpec", {})
    parts = (
        (asked, JOB),
        (spec, SPEC),
        (spec.get("hyperParameters", {}), HYPERPARAMETERS),
        (asked.get("preTunedModel", {}), PRE_TUNED),
    )
    return [name for part, known in parts for name in sorted(part.keys() - known)]


def _parent_of(stub: FakeGemini, name: str) -> str | None:
    """The version that a name means: without a version, the last one."""
    if name in stub.tuned:
        return name
    versions = [one for one in stub.tuned if one.split("@")[0] == name]
    return versions[-1] if versions else None


def _job_mistake(stub: FakeGemini, asked: Json) -> str:
    if unknown := _unknown(asked):
        return f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
    if ("baseModel" in asked) == ("preTunedModel" in asked):
        return "Exactly one of base_model and pre_tuned_model must be set."
    if "baseModel" in asked and asked["baseModel"] not in BASES:
        return f"Base model {asked['baseModel']} is not supported."
    if "preTunedModel" in asked and (mistake := _pre_tuned_mistake(stub, asked["preTunedModel"])):
        return mistake
    for name, value in asked.get("labels", {}).items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name):
            return f"Label key {name} is not valid."
        if not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
            return f"Label value {value} is not valid."
    uri = asked["supervisedTuningSpec"]["trainingDatasetUri"]
    if uri not in stub.objects:
        return f"The dataset {uri} was not found."
    return ""


def _pre_tuned_mistake(stub: FakeGemini, pre: Json) -> str:
    parent = _parent_of(stub, pre.get("tunedModelName", ""))
    if parent is None:
        return "The pre-tuned model was not found."
    saved = [one["checkpointId"] for one in stub.tuned[parent]["checkpoints"]]
    if "checkpointId" in pre and pre["checkpointId"] not in saved:
        return f"The checkpoint {pre['checkpointId']} of the pre-tuned model was not found."
    return ""


def _shown(job: Json) -> Json:
    return {name: value for name, value in job.items() if name != "polls"}


def _advance(stub: FakeGemini, job: Json) -> None:
    job["polls"] += 1
    job["state"] = "JOB_STATE_RUNNING" if job["state"] == "JOB_STATE_PENDING" else job["state"]
    if job["polls"] < stub.polls_to_end or job["state"] != "JOB_STATE_RUNNING":
        return
    uri = job["supervisedTuningSpec"]["trainingDatasetUri"]
    lines = stub.objects[uri].splitlines()
    mistakes = [why for line in lines if (why := _line_mistake(line))]
    if mistakes:
        job["state"] = "JOB_STATE_FAILED"
        job["error"] = {"code": 3, "message": mistakes[0]}
        return
    job["state"] = stub.end_state
    if job["state"] == "JOB_STATE_SUCCEEDED":
        _make_model(stub, job, lines)


def _line_mistake(line: bytes) -> str:
    row = json.loads(line)
    if row.keys() - {"contents", "systemInstruction", "tools"} or "contents" not in row:
        return "Row does not match the expected schema: contents is missing."
    if mistake := _turns_mistake(row["contents"]):
        return mistake
    return "" if row["contents"][-1]["role"] == "model" else "The last turn must be the model's."


def _make_model(stub: FakeGemini, job: Json, lines: list[bytes]) -> None:
    number = job["name"].rsplit("/", 1)[-1]
    endpoint = f"{PARENT}/endpoints/{number}"
    parent = _parent_of(stub, job.get("preTunedModel", {}).get("tunedModelName", ""))
    base = stub.tuned[parent]["base"] if parent else job["baseModel"]
    display = job.get("tunedModelDisplayName", "")
    model = f"{PARENT}/models/{number}@1"
    if parent and display in ("", stub.tuned[parent]["display"]):
        family = parent.split("@")[0]  # a further version of the same model
        model = f"{family}@{1 + sum(one.split('@')[0] == family for one in stub.tuned)}"
        display = stub.tuned[parent]["display"]
    checkpoints = [] if _last_only(job) else _checkpoints(endpoint)
    stub.tuned[model] = {
        "base": base,
        "display": display,
        "endpoint": endpoint,
        "looks": 0,
        "checkpoints": checkpoints,
    }
    told = {"checkpoints": checkpoints} if checkpoints else {}
    job["tunedModel"] = {"model": model, "endpoint": endpoint, **told}
    stats: Json = {
        "tuningDatasetExampleCount": str(len(lines)),
        "totalBillableTokenCount": str(sum(len(line) for line in lines) // 4),
        "tuningStepCount": "4",
    }
    if stub.dropped:
        stats |= {
            "totalTruncatedExampleCount": str(stub.dropped),
            "truncatedExampleIndices": ["3"],
            "droppedExampleReasons": ["Too many tokens."],
        }
    job["tuningDataStats"] = {"supervisedTuningDataStats": stats}


def _last_only(job: Json) -> bool:
    return bool(job["supervisedTuningSpec"].get("exportLastCheckpointOnly"))


def _checkpoints(last: str) -> list[Json]:
    """Two, each with an endpoint of its own; the last one's is the model's."""
    return [
        {"checkpointId": str(epoch), "epoch": str(epoch), "step": str(2 * epoch), "endpoint": at}
        for epoch, at in ((1, f"{last}01"), (2, last))
    ]


async def _job(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeGemini)
    for job in stub.jobs:
        if job["name"] == f"{PARENT}/tuningJobs/{request.match_info['id']}":
            _advance(stub, job)
            return web.json_response(_shown(job))
    return replied(refusal(404, "NOT_FOUND", "The TuningJob does not exist."))


async def _cancel(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    for job in stub.jobs:
        if job["name"].endswith(f"/{request.match_info['id']}"):
            job["state"] = "JOB_STATE_CANCELLED"
    return web.json_response({})


async def _jobs(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    """Newest first, two to a page."""
    assert isinstance(stub, FakeGemini)
    jobs = stub.jobs[::-1]
    if wanted := request.query.get("filter"):
        found = re.fullmatch(r'labels\.(\w+)="([^"]*)"', wanted)
        if not found:
            return _invalid(f"Invalid filter: {wanted}")
        jobs = [] if stub.labels_lag else [j for j in jobs if j["labels"].get(found[1]) == found[2]]
    start = int(request.query.get("pageToken", "0"))
    body: Json = {"tuningJobs": [_shown(job) for job in jobs[start : start + 2]]}
    if start + 2 < len(jobs):
        body["nextPageToken"] = str(start + 2)
    return web.json_response(body if jobs else {})


async def _model(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeGemini)
    name = f"{PARENT}/models/{unquote(request.match_info['id'])}"
    found = stub.tuned.get(name)
    if found is None:
        return replied(refusal(404, "NOT_FOUND", f"The Model {name} does not exist."))
    found["looks"] += 1
    root, version = name.split("@")
    body: Json = {"name": root, "versionId": version, "displayName": found["display"]}
    if found["looks"] > stub.deploying_looks:
        body["deployedModels"] = [{"endpoint": found["endpoint"], "deployedModelId": "7"}]
    return web.json_response(body)


async def _put(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeGemini)
    uri = f"gs://{request.match_info['bucket']}/{request.query['name']}"
    if request.query.get("ifGenerationMatch") == "0" and uri in stub.objects:
        return replied(
            Meets(
                412,
                {"error": {"code": 412, "message": "At least one pre-condition did not hold."}},
            )
        )
    stub.objects[uri] = body
    return web.json_response(_object(uri, body))


def _object(uri: str, content: bytes) -> dict[str, Any]:
    bucket, name = uri.removeprefix("gs://").split("/", 1)
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/1",
        "name": name,
        "bucket": bucket,
        "generation": "1",
        "size": str(len(content)),
    }


async def _objects(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeGemini)
    prefix = f"gs://{request.match_info['bucket']}/{request.query.get('prefix', '')}"
    found = [_object(uri, raw) for uri, raw in stub.objects.items() if uri.startswith(prefix)]
    return web.json_response({"kind": "storage#objects", **({"items": found} if found else {})})


async def _one_object(stub: StubProvider, request: web.Request, _: bytes) -> web.StreamResponse:
    assert isinstance(stub, FakeGemini)
    uri = f"gs://{request.match_info['bucket']}/{unquote(request.match_info['name'])}"
    if uri not in stub.objects:
        return replied(Meets(404, {"error": {"code": 404, "message": "No such object"}}))
    return web.json_response(_object(uri, stub.objects[uri]))


_ALL = f"/v1/{PARENT}"
GEMINI: Routes = tuple(
    (name, method, path, _with_token(handler))
    for name, method, path, handler in (
        ("chat", "POST", "/v1/{target:projects/.+}:generateContent", _generate),
        ("create", "POST", _ALL + "/tuningJobs", _tune),
        ("jobs", "GET", _ALL + "/tuningJobs", _jobs),
        ("cancel", "POST", _ALL + "/tuningJobs/{id}:cancel", _cancel),
        ("job", "GET", _ALL + "/tuningJobs/{id}", _job),
        ("model", "GET", _ALL + "/models/{id}", _model),
        ("upload", "POST", "/upload/storage/v1/b/{bucket}/o", _put),
        ("files", "GET", "/storage/v1/b/{bucket}/o", _objects),
        ("file", "GET", "/storage/v1/b/{bucket}/o/{name:.+}", _one_object),
    )
)


def environ(stub: FakeGemini) -> dict[str, str]:
    """What a user would set."""
    return {
        "RMFT_GEMINI_URL": stub.url,
        "STORAGE_EMULATOR_HOST": stub.url.removesuffix("/v1"),
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "GOOGLE_CLOUD_LOCATION": LOCATION,
        "RMFT_GEMINI_BUCKET": "gs://lab-tuning/rmft",
        "GOOGLE_OAUTH_ACCESS_TOKEN": TOKEN,
    }
