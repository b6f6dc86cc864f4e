"""Amazon's own client walks the whole way against the fake, and asks for what we ask for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from rmft_api.core.records import (
    ChatRequest,
    DeploymentOrder,
    Hyperparameters,
    JobOrder,
    Message,
    Sampling,
)
from rmft_api.providers import Connection, connect
from rmft_api.providers.bedrock import convert, names
from rmft_api.providers.profiles import load
from tests.contracts.fine_tuner import examples
from tests.fakes.bedrock import (
    BEDROCK,
    BUCKET,
    KEY_ID,
    PREFIX,
    REGION,
    ROLE,
    SECRET,
    FakeBedrock,
    environ,
    refusal,
)
from tests.providers.stub import Serving

boto3: Any = pytest.importorskip("boto3", reason="pip install boto3")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
BASE = "amazon.nova-micro-v1:0"
ORDER = JobOrder(
    key="k" * 32,
    model=BASE,
    training_file=f"s3://{BUCKET}/rmft/rmft-1.jsonl",
    method="supervised",
    hyperparameters=Hyperparameters(n_epochs=2, learning_rate=1e-5),
    seed=7,
    suffix="rmft-case-1",
    metadata={"rmft_run": "case"},
)
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
async def bedrock() -> AsyncIterator[FakeBedrock]:
    fake = FakeBedrock(talk=lambda asked, index: "blue")
    async with Serving(fake, BEDROCK, PREFIX):
        yield fake


@pytest.fixture
async def connection(bedrock: FakeBedrock) -> AsyncIterator[Connection]:
    async with connect(load("bedrock"), environ=environ(bedrock)) as connection:
        yield connection


@pytest.fixture
def ask(bedrock: FakeBedrock, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`await ask("bedrock", "list_foundation_models")`, by boto3."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = boto3.Session(KEY_ID, SECRET, region_name=REGION)
    config: Any = boto3.session.Config(
        retries={"total_max_attempts": 1}, request_checksum_calculation="when_required"
    )

    async def asked(service: str, operation: str, **arguments: Any) -> Any:
        client = session.client(service, endpoint_url=bedrock.url, config=config)
        return await asyncio.to_thread(getattr(client, operation), **arguments)

    return asked


async def started(bedrock: FakeBedrock, ask: Ask, **more: Any) -> Any:
    """The job of `ORDER`, ordered by boto3."""
    bedrock.objects[ORDER.training_file] = convert.dataset(examples())
    tags = [{"key": "rmft_run", "value": "case"}]
    return await ask(
        "bedrock",
        "create_model_customization_job",
        jobName="rmft-case-1-" + "k" * 24,
        customModelName="rmft-case-1-" + "k" * 24,
        roleArn=ROLE,
        clientRequestToken="k" * 32,
        baseModelIdentifier="amazon.nova-micro-v1:0:128k",
        customizationType="FINE_TUNING",
        trainingDataConfig={"s3Uri": ORDER.training_file},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/rmft/output/"},
        hyperParameters={
            "epochCount": "2",
            "learningRate": "1e-05",
            "learningRateWarmupSteps": "0",
        },
        jobTags=tags,
        customModelTags=tags,
        **more,
    )


async def ended(ask: Ask, arn: str) -> Any:
    for _ in range(5):
        job = await ask("bedrock", "get_model_customization_job", jobIdentifier=arn)
        if job["status"] != "InProgress":
            return job
    raise AssertionError(f"{arn} did not end")


async def test_amazons_client_stores_tunes_deploys_and_plays_against_the_fake(
    bedrock: FakeBedrock, ask: Ask
) -> None:
    body = convert.dataset(examples())
    key = ORDER.training_file.removeprefix(f"s3://{BUCKET}/")
    await ask("s3", "put_object", Bucket=BUCKET, Key=key, Body=body)
    assert bedrock.objects[ORDER.training_file] == body
    listed = await ask("s3", "list_objects_v2", Bucket=BUCKET, Prefix="rmft/rmft-1")
    assert [(one["Key"], one["Size"]) for one in listed["Contents"]] == [(key, len(body))]
    arn = (await started(bedrock, ask))["jobArn"]
    job = await ended(ask, arn)
    assert job["status"] == "Completed"
    assert job["trainingMetrics"] == {"trainingLoss": 0.25}
    model = await ask("bedrock", "get_custom_model", modelIdentifier=job["outputModelArn"])
    assert model["modelStatus"] == "Active"
    made = await ask(
        "bedrock",
        "create_custom_model_deployment",
        modelDeploymentName="rmft-case-1",
        modelArn=job["outputModelArn"],
        clientRequestToken="t",
    )
    target = made["customModelDeploymentArn"]
    looked = {"customModelDeploymentIdentifier": "rmft-case-1"}
    states = [await ask("bedrock", "get_custom_model_deployment", **looked) for _ in range(2)]
    assert [one["status"] for one in states] == ["Creating", "Active"]
    reply = await ask(
        "bedrock-runtime",
        "converse",
        modelId=target,
        messages=[{"role": "user", "content": [{"text": "Which?"}]}],
        inferenceConfig={"maxTokens": 16, "temperature": 1.0, "topP": 1.0},
    )
    assert reply["output"]["message"]["content"] == [{"text": "blue"}]
    await ask(
        "bedrock", "delete_custom_model_deployment", customModelDeploymentIdentifier="rmft-case-1"
    )
    assert bedrock.deployments == {}


async def test_we_order_the_job_that_amazons_client_orders(
    bedrock: FakeBedrock, ask: Ask, connection: Connection
) -> None:
    theirs = (await started(bedrock, ask))["jobArn"]
    ours = await connection.tuner.create_job(ORDER)
    first, second = bedrock.asked("create")
    assert first.json == second.json
    assert ours.id == theirs  # one token, one job
    assert (await connection.tuner.job(theirs)).training_file == ORDER.training_file


async def test_we_ask_for_the_chat_that_amazons_client_asks_for(
    bedrock: FakeBedrock, ask: Ask, connection: Connection
) -> None:
    request = ChatRequest(
        "k",
        BASE,
        (Message("system", "Be brief."), Message("user", "é?")),
        1,
        7,
        Sampling(1, 0.5, 9),
    )
    ours = await connection.chat.reply(request)
    theirs = await ask(
        "bedrock-runtime",
        "converse",
        modelId=BASE,
        system=[{"text": "Be brief."}],
        messages=[{"role": "user", "content": [{"text": "é?"}]}],
        inferenceConfig={"maxTokens": 9, "temperature": 1, "topP": 0.5},
    )
    first, second = bedrock.asked("chat")
    assert first.json == second.json
    assert first.headers["authorization"].split("Signature=")[0].count("bedrock") == 1
    assert ours.usage
    assert theirs["usage"]["inputTokens"] == ours.usage.prompt_tokens
    assert theirs["usage"]["outputTokens"] == ours.usage.completion_tokens


async def test_an_error_of_the_fake_is_amazons_error(bedrock: FakeBedrock, ask: Ask) -> None:
    bedrock.plan("chat", refusal(429, "ThrottlingException", "Too many requests"))
    chat = {"modelId": BASE, "messages": [{"role": "user", "content": [{"text": "Which?"}]}]}
    with pytest.raises(Exception, match="Too many requests") as caught:
        await ask("bedrock-runtime", "converse", **chat)
    assert type(caught.value).__name__ == "ThrottlingException"


async def test_our_deployment_is_seen_and_tagged_as_amazons_client_sees_it(
    bedrock: FakeBedrock, ask: Ask, connection: Connection
) -> None:
    job = await ended(ask, (await started(bedrock, ask))["jobArn"])
    tuned = names.tuned(BASE, job["outputModelArn"])
    assert (await connection.tuner.job(job["jobArn"])).fine_tuned_model == tuned
    host = connection.host
    assert host
    await host.deploy(DeploymentOrder("rmft-case-1", tuned, "case", "mark"), "a")
    listed = await ask("bedrock", "list_custom_model_deployments", nameContains="rmft-")
    (one,) = listed["modelDeploymentSummaries"]
    assert (one["customModelDeploymentName"], one["modelArn"]) == (
        "rmft-case-1",
        job["outputModelArn"],
    )
    arn = one["customModelDeploymentArn"]
    tags = (await ask("bedrock", "list_tags_for_resource", resourceARN=arn))["tags"]
    assert {"key": "rmft_run", "value": "case"} in tags
