"""Bedrock: Converse, jobs that are named and tokened, deployments that do not outlive their use."""

import json
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rmft_api.core.errors import ConfigError, DataError, FaultKind, ProviderFault
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import (
    ChatRequest,
    DeploymentOrder,
    Hyperparameters,
    Message,
    Sampling,
    Usage,
)
from rmft_api.providers import Connection, connect
from rmft_api.providers.bedrock import convert, names
from rmft_api.providers.model_list import list_models
from rmft_api.providers.prices import price_of
from rmft_api.providers.profiles import Profile, load
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract, examples
from tests.fakes.bedrock import (
    API_KEY,
    BEDROCK,
    PREFIX,
    SECRET,
    FakeBedrock,
    environ,
    refusal,
    s3_refusal,
)
from tests.providers.stub import Meets, Serving, StubProvider

pytest.importorskip("botocore", reason="pip install 'rmft-api[bedrock]'")
BASE = "amazon.nova-micro-v1:0"
URI = "s3://lab-tuning/rmft/rmft-1.jsonl"


@pytest.fixture
async def bedrock() -> AsyncIterator[FakeBedrock]:
    fake = FakeBedrock()
    async with Serving(fake, BEDROCK, PREFIX):
        yield fake


@pytest.fixture
async def connection(bedrock: FakeBedrock) -> AsyncIterator[Connection]:
    async with connect(load("bedrock"), environ=environ(bedrock)) as connection:
        yield connection


def ask(*texts: str, n: int = 1, model: str = BASE, **sampling: Any) -> ChatRequest:
    messages = (Message("system", "You choose."), *(Message("user", text) for text in texts))
    return ChatRequest("k", model, messages, n, 2**40 + 7, Sampling(max_tokens=16, **sampling))


class TestBedrockChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return BASE

    @pytest.fixture
    def largest_n(self) -> int:
        return 1


class TestBedrockTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, BASE)

    async def test_an_uploaded_file_tells_its_name_and_size(self, bench: Bench) -> None:
        file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
        assert (file.filename, file.id) == ("rmft-1.jsonl", URI)
        assert file.bytes == len(bench.tuner.stored(bench.content))
        assert await bench.tuner.file(file.id) == file

    async def test_files_are_found_by_their_very_name_oldest_first(self, bench: Bench) -> None:
        """One object has one name: storing it again makes no second one."""
        first = await bench.tuner.upload("rmft-2.jsonl", bench.content)
        await bench.tuner.upload("rmft-2.jsonl2", bench.content)
        assert await bench.tuner.upload("rmft-2.jsonl", bench.content) == first
        assert await bench.tuner.find_uploads("rmft-2.jsonl") == [first]

    async def test_a_job_ends_in_a_model_that_answers(self, bench: Bench) -> None:
        """How many tokens it was trained on is not told."""
        _, job = await bench.start()
        done = await bench.finish(job)
        assert (done.status, done.trained_tokens) == ("succeeded", None)
        assert done.fine_tuned_model
        assert await bench.tuner.model_ready(done.fine_tuned_model)

    async def test_events_come_oldest_first_and_only_once(self, bench: Bench) -> None:
        """There is no log: the phases are told as they change, and the loss at the end."""
        _, job = await bench.start()
        first = await bench.tuner.events(job.id, None)
        done = await bench.finish(job)
        later = await bench.tuner.events(done.id, first[-1].id)
        assert [event.message for event in later] == [
            "validation: Completed",
            "data processing: Completed",
            "training: Completed",
            "training loss 0.25",
        ]
        assert later[-1].metrics == {"training_loss": 0.25}
        assert await bench.tuner.events(job.id, later[-1].id) == []


# --- data ---------------------------------------------------------------------------------------


def lines(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.splitlines()]


def test_a_chat_becomes_a_conversation_of_bedrocks_schema() -> None:
    line = {
        "messages": [
            {"role": "system", "content": "You choose."},
            {"role": "user", "content": "Which?"},
            {"role": "assistant", "content": "blue"},
        ]
    }
    assert lines(convert.dataset(json.dumps(line).encode())) == [
        {
            "schemaVersion": "bedrock-conversation-2024",
            "system": [{"text": "You choose."}],
            "messages": [
                {"role": "user", "content": [{"text": "Which?"}]},
                {"role": "assistant", "content": [{"text": "blue"}]},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([("user", "Which?"), ("assistant", "blue", 0)], r"line 2 .*'single_turn'"),
        ([("user", "Which?"), ("assistant", " ")], r"line 2 .*end with what the model says"),
        ([("assistant", "blue")], r"line 2 .*begin with what the user says"),
    ],
)
def test_what_bedrock_would_refuse_in_a_line_is_refused_here(
    messages: list[tuple[Any, ...]], why: str
) -> None:
    fields = ("role", "content", "weight")
    line = {"messages": [dict(zip(fields, one, strict=False)) for one in messages]}
    with pytest.raises(DataError, match=why):
        convert.dataset(examples(1) + json.dumps(line).encode())


async def test_a_line_with_a_reserved_word_never_leaves_this_machine(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    said = [{"role": "user", "content": "User: which?"}, {"role": "assistant", "content": "blue"}]
    content = examples(1) + json.dumps({"messages": said}).encode()
    with pytest.raises(DataError, match="line 2 of the dataset holds 'User:', which is reserved"):
        await connection.tuner.upload("rmft-1.jsonl", content)
    assert bedrock.seen == []


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=20)), min_size=1)
)
def test_no_word_is_lost_and_turns_alternate(turns: list[tuple[str, str]]) -> None:
    messages: list[Mapping[str, Any]] = [{"role": role, "content": text} for role, text in turns]
    told = convert.conversation(messages)["messages"]
    roles = [one["role"] for one in told]
    assert all(a != b for a, b in pairwise(roles))
    said = [text for _, text in turns if text.strip()]
    assert [block["text"] for one in told for block in one["content"]] == said


# --- chats --------------------------------------------------------------------------------------


async def test_what_is_asked_is_said_in_its_words(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    reply = await connection.chat.reply(ask("Which?", "", "Now.", stop=("END",)))
    (seen,) = bedrock.asked("chat")
    assert seen.json == {
        "system": [{"text": "You choose."}],
        "messages": [{"role": "user", "content": [{"text": "Which?"}, {"text": "Now."}]}],
        "inferenceConfig": {
            "temperature": 1.0,
            "topP": 1.0,
            "maxTokens": 16,
            "stopSequences": ["END"],
        },
    }
    assert reply.usage and reply.usage.prompt_tokens > 1


@pytest.mark.parametrize("more", [{"n": 2}, {"temperature": 1.5}])
async def test_what_converse_does_not_take_is_refused_here(
    bedrock: FakeBedrock, connection: Connection, more: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"Converse gives one|takes 1 at most"):
        await connection.chat.reply(ask("Which?", **more))
    assert bedrock.seen == []


async def test_an_api_key_alone_lets_chats_through_and_none_of_it_is_signed(
    bedrock: FakeBedrock,
) -> None:
    told = environ(bedrock, api_key=True)
    told = {name: value for name, value in told.items() if "SECRET" not in name}
    async with connect(load("bedrock"), environ=told) as connection:
        await connection.chat.reply(ask("Which?"))
    (seen,) = bedrock.asked("chat")
    assert seen.headers["authorization"] == f"Bearer {API_KEY}"


def converse(content: Any = None, **more: Any) -> dict[str, Any]:
    blocks = [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "Yes."}]
    message = {"role": "assistant", "content": blocks if content is None else content}
    usage = {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, **more}


CACHED = {
    "inputTokens": 2,
    "outputTokens": 5,
    "cacheReadInputTokens": 6,
    "cacheWriteInputTokens": 1,
}


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (converse(), Usage(9, 5)),
        (converse(stopReason=None), Usage(9, 5)),
        (converse(usage=CACHED), Usage(9, 5, 6)),
        (converse(usage={"inputTokens": "9", "outputTokens": 5.0}), Usage(9, 5)),
        (converse(usage={"inputTokens": -9, "outputTokens": 5}), None),
        (converse(usage=None), None),
    ],
)
async def test_what_nothing_depends_on_may_be_missing_or_odd(
    bedrock: FakeBedrock, connection: Connection, body: Any, usage: Usage | None
) -> None:
    bedrock.plan("chat", Meets(body=body))
    reply = await connection.chat.reply(ask("Which?"))
    assert [(one.content, one.thoughts) for one in reply.choices] == [("Yes.", "Hm.")]
    assert reply.usage == usage


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("content_filtered", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("tool_use", "tool_calls"),
    ],
)
async def test_how_a_reply_ended_is_told_in_our_words(
    bedrock: FakeBedrock, connection: Connection, told: str, known: str
) -> None:
    bedrock.plan("chat", Meets(body=converse([], stopReason=told)))
    (choice,) = (await connection.chat.reply(ask("Which?"))).choices
    assert (choice.content, choice.finish_reason) == (None, known)


@pytest.mark.parametrize(
    ("body", "billed"),
    [
        (converse(stopReason="malformed_model_output"), (9, 5, 0)),
        (converse(output={}), (9, 5, 0)),
        (converse(output=None, usage=None), None),
        (b"<html>", None),
    ],
)
async def test_what_did_not_end_as_an_answer_is_none(
    bedrock: FakeBedrock, connection: Connection, body: Any, billed: Any
) -> None:
    bedrock.plan("chat", Meets(body=body))
    with pytest.raises(ProviderFault) as caught:
        await connection.chat.reply(ask("Which?"))
    assert (caught.value.kind, caught.value.billed) == (FaultKind.NO_ANSWER, billed)


USER = "User: arn:aws:iam::123456789012:user/x is not authorized to perform: "


@pytest.mark.parametrize(
    ("meets", "kind", "advice"),
    [
        (refusal(429, "ThrottlingException", "Too many requests"), "safe", "slowing down"),
        (refusal(429, "ThrottlingException", "Too many tokens per day"), "wait", "tomorrow"),
        (refusal(429, "ModelNotReadyException", "Not yet."), "wait", "still being loaded"),
        (refusal(408, "ModelTimeoutException", "Too slow."), "ambiguous", "may have been done"),
        (refusal(424, "ModelErrorException", "Broken."), "ambiguous", "may have been done"),
        (refusal(503, "ServiceUnavailableException", "Busy."), "ambiguous", "the provider failed"),
        (refusal(500, "InternalServerException", "Oops."), "ambiguous", "the provider failed"),
        (
            refusal(403, "AccessDeniedException", "You don't have access to the model with it."),
            "stop",
            "Model access",
        ),
        (
            refusal(403, "AccessDeniedException", f"{USER}bedrock:InvokeModel on resource: x"),
            "stop",
            "allow that action to the AWS credentials",
        ),
        (
            refusal(403, "AccessDeniedException", f"{USER}iam:PassRole on resource: x"),
            "stop",
            "iam:PassRole on the role in RMFT_BEDROCK_ROLE_ARN",
        ),
        (refusal(403, "ExpiredTokenException", "It is expired"), "stop", "aws sso login"),
        (refusal(403, "UnrecognizedClientException", "Invalid."), "stop", "check the AWS cred"),
        (
            refusal(403, "InvalidSignatureException", "Signature expired: 2026"),
            "stop",
            "this machine's clock",
        ),
        (
            refusal(400, "ServiceQuotaExceededException", "Limit is 0."),
            "stop",
            "Service Quotas",
        ),
        (
            refusal(400, "ValidationException", "Input is too long: maximum context length"),
            "rejected",
            "shorten the prompt",
        ),
        (Meets(manner="reset"), "ambiguous", "may have been done"),
    ],
)
async def test_every_refusal_has_its_class_and_its_advice_in_one_line(
    bedrock: FakeBedrock, connection: Connection, meets: Meets, kind: str, advice: str
) -> None:
    bedrock.plan("chat", meets)
    with pytest.raises(ProviderFault, match=advice) as caught:
        await connection.chat.reply(ask("Which?"))
    assert (caught.value.kind, str(caught.value).count("\n")) == (kind, 0)
    assert SECRET not in str(caught.value)


# --- jobs ---------------------------------------------------------------------------------------


async def test_a_job_is_ordered_in_its_words(bedrock: FakeBedrock, connection: Connection) -> None:
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
    wanted = Hyperparameters(n_epochs=2, learning_rate=2e-5)
    order = replace(bench.order(file.id), hyperparameters=wanted)
    await bench.tuner.create_job(order)
    (seen,) = bedrock.asked("create")
    told = seen.json
    assert told["baseModelIdentifier"] == "amazon.nova-micro-v1:0:128k"
    assert told["clientRequestToken"] == order.key
    assert told["hyperParameters"] == {
        "learningRateWarmupSteps": "0",
        "epochCount": "2",
        "learningRate": "2e-05",
    }
    assert told["outputDataConfig"] == {"s3Uri": "s3://lab-tuning/rmft/output/"}
    assert {"key": "rmft_run", "value": "test"} in told["jobTags"]


@pytest.mark.parametrize("forgets", [False, True])
async def test_the_same_order_twice_is_one_job_by_its_token_or_by_its_name(
    bedrock: FakeBedrock, connection: Connection, forgets: bool
) -> None:
    bedrock.forgets_tokens = forgets
    bench = Bench(connection.tuner, BASE)
    order, job = await bench.start()
    assert (await bench.tuner.create_job(order)).id == job.id
    assert len(bedrock.jobs) == 1


async def test_a_name_that_another_order_has_taken_is_no_job_of_ours(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    order, _ = await bench.start()
    bedrock.forgets_tokens = True
    bedrock.jobs[0] |= {"clientRequestToken": "z", "trainingDataConfig": {"s3Uri": f"{URI}x"}}
    with pytest.raises(ProviderFault, match="already in use"):
        await bench.tuner.create_job(order)


async def test_a_custom_model_is_trained_further_by_its_arn(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    tuned = (await bench.finish(job)).fine_tuned_model
    assert tuned and load("bedrock").is_tuned(tuned)
    assert tuned.startswith(f"{BASE}:arn:aws:bedrock:us-east-1:")
    bench.base = tuned
    _, further = await bench.start("y" * 32)
    assert bedrock.jobs[1]["start"] == names.split(tuned)[1]
    again = (await bench.finish(further)).fine_tuned_model
    assert again and again.startswith(f"{BASE}:arn:") and again != tuned


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Hyperparameters(n_epochs=6), "5 epochs at most"),
        (Hyperparameters(learning_rate=1e-3), "from 1e-06 to 0.0001"),
        (Hyperparameters(learning_rate_multiplier=2.0), "absolute kind"),
        (Hyperparameters(batch_size=8), "batch size"),
    ],
)
def test_what_no_job_takes_is_refused_before_anything_is_played(
    wanted: Hyperparameters, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        load("bedrock").check_training(BASE, "supervised", wanted)


def test_preferences_are_not_trained_there() -> None:
    with pytest.raises(ConfigError, match="'dpo', by supervised alone"):
        load("bedrock").check_training(BASE, "dpo", Hyperparameters())


async def test_a_file_that_bedrock_refuses_is_told_by_its_reason(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    order, job = await bench.start()
    bedrock.objects[order.training_file] = b'{"messages": []}\n'
    failed = await bench.finish(job)
    assert failed.status == "failed"
    assert "line 1: it does not follow the schema" in (failed.error or "")


async def test_a_role_that_cannot_be_used_is_told_before_anything_is_trained(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    bedrock.role_reads_s3 = False
    with pytest.raises(
        ProviderFault, match=r"let bedrock\.amazonaws\.com assume the role"
    ) as caught:
        await Bench(connection.tuner, BASE).start()
    assert caught.value.kind is FaultKind.STOP
    assert bedrock.jobs == []


@pytest.mark.parametrize(("told", "known"), [("Stopped", "cancelled"), ("Completed", "succeeded")])
async def test_states_are_told_in_our_words(
    bedrock: FakeBedrock, connection: Connection, told: str, known: str
) -> None:
    bedrock.end_state = told
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    assert (await bench.tuner.job(job.id)).status == "validating_files"
    assert (await bench.finish(job)).status == known


async def test_a_state_that_nobody_knows_is_no_end(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    bedrock.plan("job", Meets(body={"jobArn": job.id, "status": "Queued"}))
    assert (await bench.tuner.job(job.id)).status == "queued"
    bedrock.plan("job", Meets(body={"jobArn": job.id, "status": "Thinking"}))
    assert (await bench.tuner.job(job.id)).status == "thinking"


@pytest.mark.parametrize(
    ("meets", "advice"),
    [
        (s3_refusal(403, "AccessDenied", f"{USER}s3:PutObject"), "allow that action"),
        (s3_refusal(404, "NoSuchBucket", "It does not exist"), "check RMFT_BEDROCK_BUCKET"),
        (
            s3_refusal(301, "PermanentRedirect", "Use another endpoint."),
            "must be in AWS_REGION",
        ),
        (
            s3_refusal(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong"),
            "must be in AWS_REGION",
        ),
        (s3_refusal(403, "SignatureDoesNotMatch", "It does not match."), "AWS_SECRET_ACCESS_KEY"),
    ],
)
async def test_what_s3_refuses_is_said_in_one_line(
    bedrock: FakeBedrock, connection: Connection, meets: Meets, advice: str
) -> None:
    bedrock.plan("upload", meets)
    with pytest.raises(ProviderFault, match=advice) as caught:
        await connection.tuner.upload("rmft-1.jsonl", examples())
    assert (caught.value.kind, str(caught.value).count("\n")) == (FaultKind.STOP, 0)


# --- deployments --------------------------------------------------------------------------------


async def trained(connection: Connection) -> str:
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    tuned = (await bench.finish(job)).fine_tuned_model
    assert tuned
    return tuned


RENTED = load("bedrock").model_copy(update={"deploy": "provisioned_throughput"})


@pytest.mark.parametrize("profile", [load("bedrock"), RENTED], ids=lambda one: one.deploy)
async def test_a_custom_model_answers_once_it_is_deployed(
    bedrock: FakeBedrock, profile: Profile
) -> None:
    targets: dict[str, str] = {}
    async with connect(profile, environ=environ(bedrock), targets=targets) as connection:
        tuned, host = await trained(connection), connection.host
        assert host and host.removed_after_use
        assert host.billed_hourly is profile.rents_deployments
        with pytest.raises(ProviderFault, match="only where it is deployed"):
            await connection.chat.reply(ask("Which?", model=tuned))
        order = DeploymentOrder("rmft-case-1", tuned, "case", "mark")
        made = await host.deploy(order, "deploy/rmft-case-1/1")
        assert made.state == "pending"
        assert await host.deploy(order, "deploy/rmft-case-1/1") == made
        assert [one.state for one in await host.find(order)] == ["pending"]
        (found,) = await host.find(order)
        assert (found.state, found.target) == ("ready", made.target)
        targets[tuned] = found.target
        assert (await connection.chat.reply(ask("Which?", model=tuned))).choices
        (listed,) = await host.deployments()
        assert (listed.name, listed.run, listed.key) == ("rmft-case-1", "case", "mark")
        assert listed.model == tuned
        await host.remove("rmft-case-1")
        await host.remove("rmft-case-1")
        assert await host.find(order) == []
    assert bedrock.made == bedrock.removed == {"rmft-case-1": 1}


async def test_a_later_deployment_of_the_name_has_a_token_of_its_own(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    """Bedrock ignores a token that it has seen, also where nothing stands any more."""
    tuned, host = await trained(connection), connection.host
    assert host
    order = DeploymentOrder("rmft-case-1", tuned, "case", "mark")
    for number in (1, 2):
        await host.deploy(order, f"deploy/rmft-case-1/{number}")
        assert bedrock.deployments
        await host.remove(order.name)
    assert bedrock.made["rmft-case-1"] == 2


async def test_a_name_that_stands_is_adopted_where_its_token_is_forgotten(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    tuned, host = await trained(connection), connection.host
    assert host
    order = DeploymentOrder("rmft-case-1", tuned, "case", "mark")
    made = await host.deploy(order, "a")
    assert (await host.deploy(order, "b")).target == made.target
    assert bedrock.made.total() == 1


async def test_a_quota_of_none_is_told_and_deploys_nothing(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    tuned, host = await trained(connection), connection.host
    bedrock.quota = 0
    assert host
    with pytest.raises(ProviderFault, match="Service Quotas") as caught:
        await host.deploy(DeploymentOrder("rmft-case-1", tuned, "case", "mark"), "a")
    assert caught.value.kind is FaultKind.STOP


async def test_a_deployment_that_failed_says_why(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    tuned, host = await trained(connection), connection.host
    bedrock.deployment_end, bedrock.creating_looks = "Failed", 0
    assert host
    order = DeploymentOrder("rmft-case-1", tuned, "case", "mark")
    await host.deploy(order, "a")
    (found,) = await host.find(order)
    assert (found.state, found.detail) == ("failed", "no room")


async def test_a_base_answers_by_its_name_or_by_its_geographys_profile(
    bedrock: FakeBedrock,
) -> None:
    order = DeploymentOrder("rmft-0", BASE, "case", "mark")
    for where, target in (("", BASE), ("us", f"us.{BASE}")):
        plain = load("bedrock")
        hosting = plain.hosting.model_copy(update={"base_sku": where})
        profile = plain.model_copy(update={"hosting": hosting})
        async with connect(profile, environ=environ(bedrock)) as connection:
            assert connection.host
            (found,) = await connection.host.find(order)
            assert (found.target, found.state) == (target, "ready")
            assert await connection.host.deploy(order, "a") == found
    assert bedrock.seen == []


async def test_deployments_of_every_page_are_listed_and_only_ours(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    tuned, host = await trained(connection), connection.host
    assert host
    for name in ("rmft-a", "rmft-b", "my-rmft-c", "rmft-d"):
        await host.deploy(DeploymentOrder(name, tuned, "case", "mark"), name)
    assert [one.name for one in await host.deployments()] == ["rmft-a", "rmft-b", "rmft-d"]


# --- what must be told --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("AWS_REGION", "", "set AWS_REGION"),
        ("AWS_REGION", "Virginia", "is not an AWS region"),
        ("AWS_REGION", "eu-west-1", "are trained and deployed in us-east-1 alone"),
        ("RMFT_BEDROCK_BUCKET", "", "set RMFT_BEDROCK_BUCKET"),
        ("RMFT_BEDROCK_BUCKET", "my-bucket", "s3://BUCKET/FOLDER"),
        ("RMFT_BEDROCK_ROLE_ARN", "", "set RMFT_BEDROCK_ROLE_ARN"),
        ("RMFT_BEDROCK_ROLE_ARN", "BedrockTuning", "arn:aws:iam::ACCOUNT:role/NAME"),
    ],
)
async def test_whatever_is_missing_or_malformed_is_named(
    bedrock: FakeBedrock, name: str, value: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        connect(load("bedrock"), environ=environ(bedrock) | {name: value}).check()
    assert "\n" not in str(caught.value)
    assert bedrock.seen == []


@pytest.mark.parametrize("api_key", [False, True])
async def test_without_credentials_it_says_what_to_set(
    bedrock: FakeBedrock, monkeypatch: pytest.MonkeyPatch, api_key: bool
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    told = {k: v for k, v in environ(bedrock, api_key=api_key).items() if "_KEY" not in k}
    with pytest.raises(ConfigError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET") as caught:
        connect(load("bedrock"), environ=told).check()
    assert ("stores training files in S3" in str(caught.value)) == api_key
    assert ("AWS_BEARER_TOKEN_BEDROCK" in str(caught.value)) != api_key


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "https://bedrock-runtime.us-west-2.amazonaws.com",
        ),
        ("https://s3.us-east-1.amazonaws.com/", "https://s3.us-west-2.amazonaws.com"),
        ("https://gateway.lab.example/bedrock", "https://gateway.lab.example/bedrock"),
    ],
)
def test_every_region_has_addresses_of_its_own(base_url: str, address: str) -> None:
    assert names.address(base_url, "us-west-2") == address


async def test_every_way_of_a_run_is_tried_for_nothing(
    bedrock: FakeBedrock, connection: Connection
) -> None:
    assert [fault async for _, fault in connection.reach()] == [None, None]
    assert {seen.route for seen in bedrock.seen} == {"chat", "jobs", "files"}


async def test_the_models_of_a_region_tell_their_ends(bedrock: FakeBedrock) -> None:
    bedrock.ends[BASE] = "2027-06-30T00:00:00Z"
    listing = await list_models(load("bedrock"), environ(bedrock))
    assert str(listing.shutdowns[BASE]) == "2027-06-30"
    assert listing.shutdowns["amazon.nova-lite-v1:0"] is None


async def test_bedrocks_openai_wire_answers_chats_and_trains_nothing() -> None:
    profile, model = load("bedrock-mantle"), "openai.gpt-oss-20b"
    async with Serving(StubProvider(models={model})) as stub:
        told = {"BEDROCK_MANTLE_BASE_URL": stub.url, "AWS_BEARER_TOKEN_BEDROCK": API_KEY}
        async with connect(profile, environ=told) as connection:
            assert (await connection.chat.reply(ask("Which?", model=model))).choices
    (seen,) = stub.asked("chat")
    assert seen.headers["authorization"] == f"Bearer {API_KEY}"
    assert not {"seed", "n", "metadata", "suffix"} & seen.json.keys()
    with pytest.raises(ConfigError, match="cannot train; name another one"):
        profile.check_training(model, "supervised", Hyperparameters())
    assert price_of("bedrock-mantle", model)
