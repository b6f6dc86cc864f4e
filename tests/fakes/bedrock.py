"""Amazon Bedrock and S3 as their API references tell them: Converse, jobs, deployments, a bucket.

Every request is checked against Amazon's own description of its API, every signature is computed
again, and every reply is checked as well (`aws_model.py`). Pages: docs.aws.amazon.com/bedrock,
/nova (data of fine-tuning), /AmazonS3 (PutObject, ListObjectsV2, conditional writes).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from aiohttp import web

from tests.fakes import aws_model
from tests.providers.stub import Handler, Json, Meets, Routes, StubProvider, replied

REGION, ACCOUNT, BUCKET = "us-east-1", "123456789012", "lab-tuning"
KEY_ID, SECRET = "AKIA0123456789ABCDEF", "aws-secret-0123456789abcdef"
API_KEY = "bedrock-api-key-0123456789abcdef"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/BedrockTuning"
BASES = {
    "amazon.nova-micro-v1:0": "amazon.nova-micro-v1:0:128k",
    "amazon.nova-lite-v1:0": "amazon.nova-lite-v1:0:300k",
}
RESERVED = ("User:", "Bot:", "Assistant:", "System:", "<image>", "<video>", "[EOS]")
RANGES = {
    "epochCount": (1, 5),
    "learningRate": (1e-6, 1e-4),
    "learningRateWarmupSteps": (0, 100),
}
_ARN = f"arn:aws:bedrock:{REGION}:{ACCOUNT}"
_NOW = "2026-11-28T12:00:{:02}Z"


@dataclass
class FakeBedrock(StubProvider):
    """An account in one region, with a bucket and a role."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    custom: dict[str, Json] = field(default_factory=dict[str, Json])
    """Custom models by ARN."""
    deployments: dict[str, Json] = field(default_factory=dict[str, Json])
    """By name, of either form."""
    deployed: dict[str, Json] = field(default_factory=dict[str, Json])
    """Replies to deployments by their token: they are remembered when the deployment has gone."""
    made: Counter[str] = field(default_factory=Counter[str])
    removed: Counter[str] = field(default_factory=Counter[str])
    creating_looks: int = 1
    """How often a deployment is asked for before it is active."""
    deployment_end: str = "Active"
    forgets_tokens: bool = False
    """A token of a job is not known any more: only the job's name is."""
    granted: bool = True
    """The account has access to the models."""
    quota: int = 100
    """Most deployments of the account."""
    role_reads_s3: bool = True
    end_state: str = "Completed"


def refusal(status: int, kind: str, message: str) -> Meets:
    """An error as Bedrock words it: its kind is in a header."""
    told = {"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    return Meets(status, {"message": message}, headers=told)


def invalid(message: str) -> Meets:
    """A request that cannot be followed."""
    return refusal(400, "ValidationException", message)


def missing(what: str) -> Meets:
    """Something that is not there."""
    return refusal(404, "ResourceNotFoundException", f"{what} was not found.")


def s3_refusal(status: int, code: str, message: str) -> Meets:
    """An error as S3 words it."""
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    return Meets(status, head + text.encode(), headers={"Content-Type": "application/xml"})


# --- who asks -----------------------------------------------------------------------------------


def _stranger(request: web.Request, body: bytes, service: str) -> str:
    """Why the request is not let in; empty where it is."""
    told = request.headers.get("Authorization", "")
    if told == f"Bearer {API_KEY}" and service == "bedrock":
        return ""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([a-z0-9-]+)/(\w+)/aws4_request, "
        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        told,
    )
    if not found:
        return "MissingAuthenticationTokenException"
    if (found[1], found[3], found[4]) != (KEY_ID, REGION, service):
        return "UnrecognizedClientException"
    auth: Any = import_module("botocore.auth")
    keys: Any = import_module("botocore.credentials").Credentials(KEY_ID, SECRET)
    signer = (auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth)(keys, service, REGION)
    again: Any = import_module("botocore.awsrequest").AWSRequest(
        method=request.method,
        url=f"http://{request.host}{request.raw_path}",
        data=body,
        headers={name: request.headers[name] for name in found[5].split(";")},
    )
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    canonical = signer.canonical_request(again)
    signed = signer.signature(signer.string_to_sign(again, canonical), again)
    return "" if signed == found[6] else "InvalidSignatureException"


Told = Json | Meets
Answer = Callable[[FakeBedrock, dict[str, str], dict[str, str], Json], Told]


def _api(service: str, name: str, answer: Answer) -> Handler:
    """An operation of Bedrock: signed, as described, and answered as described."""

    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        assert isinstance(stub, FakeBedrock)
        if why := _stranger(request, body, "bedrock"):
            return replied(refusal(403, why, "The security token included in it is invalid."))
        uri = {key: unquote(value) for key, value in request.match_info.items()}
        query = dict(request.query)
        if mistakes := aws_model.request_mistakes(service, name, uri, query, body):
            return replied(invalid(f"{len(mistakes)} validation errors detected: {mistakes[0]}"))
        told = answer(stub, uri, query, json.loads(body) if body else {})
        if isinstance(told, Meets):
            return replied(told)
        odd = aws_model.reply_mistakes(service, name, told)
        assert not odd, (name, odd)
        ids = {"x-amzn-RequestId": f"request-{next(stub.numbers)}"}
        return web.json_response(told, status=aws_model.status(service, name), headers=ids)

    return served


# --- chats --------------------------------------------------------------------------------------


def _converse(stub: FakeBedrock, uri: Mapping[str, str], _: Any, asked: Json) -> Told:
    target = uri["modelId"].removeprefix("us.")
    if refused := _no_answer_from(stub, target):
        return refused
    if mistake := _turns_mistake(asked.get("messages", []), last=("user",)):
        return invalid(mistake)
    messages = [
        {"role": role, "content": "\n".join(block["text"] for block in blocks)}
        for role, blocks in (
            *((("system", asked["system"]),) if asked.get("system") else ()),
            *((turn["role"], turn["content"]) for turn in asked["messages"]),
        )
    ]
    text = stub.talk({**asked, "messages": messages, "model": target}, 0)
    used = {
        "inputTokens": 1 + sum(len(m["content"]) // 4 for m in messages),
        "outputTokens": 1 + len(text) // 4,
    }
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {**used, "totalTokens": sum(used.values())},
        "metrics": {"latencyMs": 7},
    }


def _no_answer_from(stub: FakeBedrock, target: str) -> Meets | None:
    if target in BASES:
        if stub.granted:
            return None
        return refusal(
            403,
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
        )
    if target in stub.custom:
        return invalid(
            f"Invocation of model ID {target} with on-demand throughput isn\u2019t supported."
        )
    found = next((one for one in stub.deployments.values() if one["arn"] == target), None)
    if found is None and target.startswith("arn:"):
        return missing(f"Deployment {target}")
    if found is None:
        return invalid(f"The provided model identifier is invalid: {target}")
    if found["looks"] <= stub.creating_looks:
        return refusal(429, "ModelNotReadyException", "Model is not ready for inference.")
    return None


def _turns_mistake(turns: list[Json], last: tuple[str, ...]) -> str:
    roles = [turn["role"] for turn in turns]
    if not roles or roles[0] != "user":
        return "A conversation must start with a user message."
    if any(a == b for a, b in pairwise(roles)):
        return "A conversation must alternate between user and assistant roles."
    if roles[-1] not in last:
        return f"The last turn must be one of {last}."
    blocks = [block for turn in turns for block in turn["content"]]
    if any(not block.get("text", "").strip() for block in blocks):
        return "The text field in the ContentBlock object is blank. Add text to the text field."
    return ""


# --- jobs ---------------------------------------------------------------------------------------


def _create(stub: FakeBedrock, _: Any, __: Any, asked: Json) -> Told:
    token: str = asked["clientRequestToken"]
    if token in stub.tokens and not stub.forgets_tokens:
        return {"jobArn": stub.tokens[token]["jobArn"]}
    if mistake := _job_mistake(stub, asked):
        return mistake
    base = asked["baseModelIdentifier"]
    root = stub.custom[base]["root"] if base in stub.custom else base
    number = next(stub.numbers)
    job: Json = {
        "jobArn": f"{_ARN}:model-customization-job/{root}/{number:012}",
        "jobName": asked["jobName"],
        "outputModelName": asked["customModelName"],
        "clientRequestToken": token,
        "roleArn": asked["roleArn"],
        "status": "InProgress",
        "creationTime": _NOW.format(number % 60),
        "lastModifiedTime": _NOW.format(number % 60),
        # A job that goes on from a custom model tells the foundation model all the same.
        "baseModelArn": f"arn:aws:bedrock:{REGION}::foundation-model/{root}",
        "hyperParameters": asked["hyperParameters"],
        "trainingDataConfig": asked["trainingDataConfig"],
        "validationDataConfig": {"validators": []},
        "outputDataConfig": asked["outputDataConfig"],
        "customizationType": asked["customizationType"],
        "polls": 0,
        "root": root,
        "start": base,
        "tags": asked.get("jobTags", []),
    }
    stub.jobs.append(job)
    stub.tokens[token] = job
    return {"jobArn": job["jobArn"]}


def _job_mistake(stub: FakeBedrock, asked: Json) -> Meets | None:
    name, base = asked["jobName"], asked["baseModelIdentifier"]
    if name in [job["jobName"] for job in stub.jobs]:
        return refusal(409, "ConflictException", f"The job name {name} is already in use.")
    if base not in BASES.values() and base not in stub.custom:
        return invalid(f"The provided model {base} does not support fine-tuning.")
    if not stub.role_reads_s3:
        return invalid("Could not assume provided IAM role. Please ensure that the role exists.")
    for parameter, told in asked.get("hyperParameters", {}).items():
        low, high = RANGES.get(parameter, (1, 0))
        if not low <= float(told) <= high:
            return invalid(f"Hyperparameter {parameter}={told} is not in [{low}, {high}].")
    uri = asked["trainingDataConfig"]["s3Uri"]
    if uri not in stub.objects:
        return invalid(f"The S3 object {uri} does not exist.")
    return None


def _advance(stub: FakeBedrock, job: Json) -> None:
    if job["status"] != "InProgress":
        return
    job["polls"] += 1
    at = _NOW.format(job["polls"] % 60)
    phases = ("validationDetails", "dataProcessingDetails", "trainingDetails")
    done = job["polls"] >= stub.polls_to_end
    told = ["Completed"] * 3 if done else ["InProgress", "NotStarted", "NotStarted"]
    job["statusDetails"] = {
        phase: {"status": status, "creationTime": at, "lastModifiedTime": at}
        for phase, status in zip(phases, told, strict=True)
    }
    if not done:
        return
    lines = stub.objects[job["trainingDataConfig"]["s3Uri"]].splitlines()
    mistakes = [
        f"Invalid input data: line {number}: {why}"
        for number, line in enumerate(lines, 1)
        if (why := _line_mistake(line))
    ]
    job["endTime"] = at
    job["status"] = "Failed" if mistakes else stub.end_state
    if mistakes:
        job["failureMessage"] = mistakes[0]
    elif job["status"] == "Completed":
        arn = f"{_ARN}:custom-model/{job['root']}/{job['jobArn'][-12:]}"
        job["outputModelArn"] = arn
        job["trainingMetrics"] = {"trainingLoss": 0.25}
        stub.custom[arn] = {**job, "arn": arn}


def _line_mistake(line: bytes) -> str:
    row = json.loads(line)
    if row.get("schemaVersion") != "bedrock-conversation-2024" or "messages" not in row:
        return "it does not follow the schema bedrock-conversation-2024"
    if mistake := _turns_mistake(row["messages"], last=("assistant",)):
        return mistake
    prompts = [*row.get("system", [])]
    prompts += [b for turn in row["messages"] if turn["role"] == "user" for b in turn["content"]]
    for word in RESERVED:
        if any(word in block["text"] for block in prompts):
            return f"it holds the reserved keyword {word}"
    return ""


_HIDDEN = ("polls", "root", "start", "tags")


def _job_of(stub: FakeBedrock, identifier: str) -> Json | None:
    return next((j for j in stub.jobs if identifier in (j["jobArn"], j["jobName"])), None)


def _job(stub: FakeBedrock, uri: Mapping[str, str], _: Any, __: Json) -> Told:
    job = _job_of(stub, uri["jobIdentifier"])
    if job is None:
        return missing(f"Job {uri['jobIdentifier']}")
    _advance(stub, job)
    return {name: value for name, value in job.items() if name not in _HIDDEN}


def _jobs(stub: FakeBedrock, _: Any, query: Mapping[str, str], __: Json) -> Told:
    shown = [
        {
            name: job[name]
            for name in ("jobArn", "baseModelArn", "jobName", "status", "creationTime")
        }
        for job in stub.jobs
        if query.get("nameContains", "") in job["jobName"]
    ]
    return {"modelCustomizationJobSummaries": shown}


def _stop(stub: FakeBedrock, uri: Mapping[str, str], _: Any, __: Json) -> Told:
    job = _job_of(stub, uri["jobIdentifier"])
    if job is None:
        return missing(f"Job {uri['jobIdentifier']}")
    if job["status"] == "InProgress":
        job["status"] = "Stopped"
    return {}


def _custom_model(stub: FakeBedrock, uri: Mapping[str, str], _: Any, __: Json) -> Told:
    found = stub.custom.get(uri["modelIdentifier"])
    if found is None:
        return missing(f"Model {uri['modelIdentifier']}")
    return {
        "modelArn": found["arn"],
        "modelName": found["outputModelName"],
        "jobArn": found["jobArn"],
        "creationTime": found["creationTime"],
        "modelStatus": "Active",
    }


# --- deployments --------------------------------------------------------------------------------


def _deploy(kind: str) -> Answer:
    name_field, model_field, arn_field = (
        ("modelDeploymentName", "modelArn", "customModelDeploymentArn")
        if kind == "custom-model-deployment"
        else ("provisionedModelName", "modelId", "provisionedModelArn")
    )

    def answer(stub: FakeBedrock, _: Any, __: Any, asked: Json) -> Told:
        token, name = asked["clientRequestToken"], asked[name_field]
        if token in stub.deployed:
            return stub.deployed[token]  # it is ignored, whether or not it still stands
        if name in stub.deployments:
            return invalid(f"A deployment with the name {name} already exists.")
        if asked[model_field] not in stub.custom:
            return missing(f"Model {asked[model_field]}")
        if len(stub.deployments) >= stub.quota:
            message = "You have reached the maximum number of custom model deployments."
            return refusal(400, "ServiceQuotaExceededException", message)
        stub.made[name] += 1
        arn = f"{_ARN}:{kind}/{next(stub.numbers):012}"
        stub.deployments[name] = {
            "arn": arn,
            "kind": kind,
            "model": asked[model_field],
            "units": asked.get("modelUnits"),
            "tags": asked.get("tags", []),
            "looks": 0,
        }
        stub.deployed[token] = {arn_field: arn}
        return stub.deployed[token]

    return answer


def _standing(stub: FakeBedrock, name: str, *, listed: bool = False) -> Json:
    one = stub.deployments[name]
    one["looks"] += not listed
    creating = one["looks"] <= stub.creating_looks
    if one["kind"] == "provisioned-model":
        end = {"Active": "InService"}.get(stub.deployment_end, stub.deployment_end)
        return {
            "provisionedModelName": name,
            "provisionedModelArn": one["arn"],
            "modelArn": one["model"],
            "desiredModelArn": one["model"],
            "foundationModelArn": f"arn:aws:bedrock:{REGION}::foundation-model/amazon.nova-micro",
            "modelUnits": one["units"],
            "desiredModelUnits": one["units"],
            "status": "Creating" if creating else end,
            "creationTime": _NOW.format(1),
            "lastModifiedTime": _NOW.format(1),
        }
    return {
        "customModelDeploymentName" if listed else "modelDeploymentName": name,
        "customModelDeploymentArn": one["arn"],
        "modelArn": one["model"],
        "status": "Creating" if creating else stub.deployment_end,
        "createdAt": _NOW.format(1),
        **({"failureMessage": "no room"} if stub.deployment_end == "Failed" else {}),
    }


def _named(stub: FakeBedrock, identifier: str) -> str | None:
    found = (n for n, one in stub.deployments.items() if identifier in (n, one["arn"]))
    return next(found, None)


def _deployment(stub: FakeBedrock, uri: Mapping[str, str], _: Any, __: Json) -> Told:
    (identifier,) = uri.values()
    name = _named(stub, identifier)
    return missing(f"Deployment {identifier}") if name is None else _standing(stub, name)


def _deployments(kind: str, field_: str) -> Answer:
    """Two to a page."""

    def answer(stub: FakeBedrock, _: Any, query: Mapping[str, str], __: Json) -> Told:
        wanted = query.get("nameContains", "")
        found = [
            name for name, one in stub.deployments.items() if wanted in name and one["kind"] == kind
        ]
        start = int(query.get("nextToken", "0"))
        shown = [_standing(stub, name, listed=True) for name in found[start : start + 2]]
        for one in shown:
            one.pop("foundationModelArn", None) if kind == "provisioned-model" else None
        if kind == "provisioned-model":
            foundation = f"arn:aws:bedrock:{REGION}::foundation-model/amazon.nova-micro"
            shown = [{**one, "foundationModelArn": foundation} for one in shown]
        more = {"nextToken": str(start + 2)} if start + 2 < len(found) else {}
        return {field_: shown, **more}

    return answer


def _remove(stub: FakeBedrock, uri: Mapping[str, str], _: Any, __: Json) -> Told:
    (identifier,) = uri.values()
    name = _named(stub, identifier)
    if name is None:
        return missing(f"Deployment {identifier}")
    del stub.deployments[name]
    stub.removed[name] += 1
    return {}


def _tags(stub: FakeBedrock, _: Any, __: Any, asked: Json) -> Told:
    for one in stub.deployments.values():
        if one["arn"] == asked["resourceARN"]:
            return {"tags": one["tags"]}
    return missing(f"Resource {asked['resourceARN']}")


# --- models -------------------------------------------------------------------------------------


def _models(stub: FakeBedrock, _: Any, __: Any, ___: Json) -> Told:
    return {
        "modelSummaries": [
            {
                "modelArn": f"arn:aws:bedrock:{REGION}::foundation-model/{model}",
                "modelId": model,
                "modelLifecycle": {
                    "status": "ACTIVE",
                    **({"endOfLifeTime": stub.ends[model]} if model in stub.ends else {}),
                },
            }
            for base in BASES.items()
            for model in base
        ]
    }


def _availability(stub: FakeBedrock, uri: Mapping[str, str], _: Any, __: Json) -> Told:
    granted = "AVAILABLE" if stub.granted else "NOT_AVAILABLE"
    return {
        "modelId": uri["modelId"],
        "agreementAvailability": {"status": granted},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": granted,
        "regionAvailability": "AVAILABLE" if uri["modelId"] in BASES else "NOT_AVAILABLE",
    }


# --- S3 -----------------------------------------------------------------------------------------


def _s3(answer: Callable[[FakeBedrock, web.Request, bytes], web.Response]) -> Handler:
    async def served(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
        assert isinstance(stub, FakeBedrock)
        if _stranger(request, body, "s3"):
            return replied(s3_refusal(403, "SignatureDoesNotMatch", "It does not match."))
        if request.match_info["bucket"] != BUCKET:
            return replied(s3_refusal(404, "NoSuchBucket", "The bucket does not exist"))
        return answer(stub, request, body)

    return served


def _put(stub: FakeBedrock, request: web.Request, body: bytes) -> web.Response:
    uri = f"s3://{BUCKET}/{unquote(request.match_info['key'])}"
    if request.headers.get("If-None-Match") == "*" and uri in stub.objects:
        message = "At least one of the pre-conditions you specified did not hold"
        return replied(s3_refusal(412, "PreconditionFailed", message))
    stub.objects[uri] = body
    return web.Response(headers={"ETag": '"0123456789abcdef"'})


def _objects(stub: FakeBedrock, request: web.Request, _: bytes) -> web.Response:
    """One to a page."""
    assert request.query["list-type"] == "2"
    prefix = f"s3://{BUCKET}/{request.query.get('prefix', '')}"
    found = sorted(uri for uri in stub.objects if uri.startswith(prefix))
    start = int(request.query.get("continuation-token", "0"))
    more = start + 1 < len(found)
    shown = "".join(
        f"<Contents><Key>{escape(uri.removeprefix(f's3://{BUCKET}/'))}</Key>"
        f"<LastModified>2026-11-28T12:00:00.000Z</LastModified>"
        f"<Size>{len(stub.objects[uri])}</Size></Contents>"
        for uri in found[start : start + 1]
    )
    token = f"<NextContinuationToken>{start + 1}</NextContinuationToken>" if more else ""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{shown}{token}</ListBucketResult>"
    )
    return web.Response(text=text, content_type="application/xml")


_RUNTIME, _CONTROL = "bedrock-runtime", "bedrock"
_JOB = "/model-customization-jobs"
_ON_DEMAND = "/model-customization/custom-model-deployments"
_RENTED = "/provisioned-model-throughput"
_OPERATIONS: tuple[tuple[str, str, str, str, str, Answer], ...] = (
    ("chat", "POST", "/model/{modelId}/converse", _RUNTIME, "Converse", _converse),
    ("create", "POST", _JOB, _CONTROL, "CreateModelCustomizationJob", _create),
    ("jobs", "GET", _JOB, _CONTROL, "ListModelCustomizationJobs", _jobs),
    ("job", "GET", _JOB + "/{jobIdentifier}", _CONTROL, "GetModelCustomizationJob", _job),
    (
        "cancel",
        "POST",
        _JOB + "/{jobIdentifier}/stop",
        _CONTROL,
        "StopModelCustomizationJob",
        _stop,
    ),
    (
        "custom",
        "GET",
        "/custom-models/{modelIdentifier}",
        _CONTROL,
        "GetCustomModel",
        _custom_model,
    ),
    (
        "deploy",
        "POST",
        _ON_DEMAND,
        _CONTROL,
        "CreateCustomModelDeployment",
        _deploy("custom-model-deployment"),
    ),
    (
        "deployments",
        "GET",
        _ON_DEMAND,
        _CONTROL,
        "ListCustomModelDeployments",
        _deployments("custom-model-deployment", "modelDeploymentSummaries"),
    ),
    (
        "deployment",
        "GET",
        _ON_DEMAND + "/{customModelDeploymentIdentifier}",
        _CONTROL,
        "GetCustomModelDeployment",
        _deployment,
    ),
    (
        "remove",
        "DELETE",
        _ON_DEMAND + "/{customModelDeploymentIdentifier}",
        _CONTROL,
        "DeleteCustomModelDeployment",
        _remove,
    ),
    (
        "deploy",
        "POST",
        _RENTED,
        _CONTROL,
        "CreateProvisionedModelThroughput",
        _deploy("provisioned-model"),
    ),
    (
        "deployments",
        "GET",
        _RENTED + "s",
        _CONTROL,
        "ListProvisionedModelThroughputs",
        _deployments("provisioned-model", "provisionedModelSummaries"),
    ),
    (
        "deployment",
        "GET",
        _RENTED + "/{provisionedModelId}",
        _CONTROL,
        "GetProvisionedModelThroughput",
        _deployment,
    ),
    (
        "remove",
        "DELETE",
        _RENTED + "/{provisionedModelId}",
        _CONTROL,
        "DeleteProvisionedModelThroughput",
        _remove,
    ),
    ("tags", "POST", "/listTagsForResource", _CONTROL, "ListTagsForResource", _tags),
    ("models", "GET", "/foundation-models", _CONTROL, "ListFoundationModels", _models),
    (
        "availability",
        "GET",
        "/foundation-model-availability/{modelId}",
        _CONTROL,
        "GetFoundationModelAvailability",
        _availability,
    ),
)
BEDROCK: Routes = (
    *((route, method, path, _api(s, n, a)) for route, method, path, s, n, a in _OPERATIONS),
    ("upload", "PUT", "/{bucket}/{key:.+}", _s3(_put)),
    ("files", "GET", "/{bucket}", _s3(_objects)),
)
PREFIX = ""


def environ(stub: FakeBedrock, *, api_key: bool = False) -> dict[str, str]:
    """What a user would set."""
    return {
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": stub.url,
        "AWS_ENDPOINT_URL_BEDROCK": stub.url,
        "AWS_ENDPOINT_URL_S3": stub.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "RMFT_BEDROCK_BUCKET": f"s3://{BUCKET}/rmft",
        "RMFT_BEDROCK_ROLE_ARN": ROLE,
    } | ({"AWS_BEARER_TOKEN_BEDROCK": API_KEY} if api_key else {})
