"""Gemini: its own words for chats and data, jobs found by labels, endpoints by themselves."""

import codecs
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
from rmft_api.providers.gemini import convert
from rmft_api.providers.gemini.names import GeminiProject
from rmft_api.providers.profiles import load
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract, examples
from tests.fakes.gemini import GEMINI, TOKEN, FakeGemini, environ, refusal
from tests.providers.stub import Meets, Serving

BASE = "gemini-3.5-flash-lite"
URI = "gs://lab-tuning/rmft/rmft-1.jsonl"


@pytest.fixture
async def gemini() -> AsyncIterator[FakeGemini]:
    fake = FakeGemini()
    async with Serving(fake, GEMINI):
        yield fake


@pytest.fixture
async def connection(gemini: FakeGemini) -> AsyncIterator[Connection]:
    async with connect(load("gemini"), environ=environ(gemini)) as connection:
        yield connection


def ask(*texts: str, n: int = 1, model: str = BASE, **sampling: Any) -> ChatRequest:
    messages = (Message("system", "You choose."), *(Message("user", text) for text in texts))
    return ChatRequest("k", model, messages, n, 2**40 + 7, Sampling(max_tokens=16, **sampling))


class TestGeminiChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return BASE


class TestGeminiTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, BASE)

    async def test_an_uploaded_file_tells_its_name_and_size(self, bench: Bench) -> None:
        """Of the converted dataset."""
        file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
        assert (file.id, file.filename) == (URI, "rmft-1.jsonl")
        assert file.bytes == len(bench.tuner.stored(bench.content))
        assert (await bench.tuner.file(file.id)).id == file.id

    async def test_files_are_found_by_their_very_name_oldest_first(self, bench: Bench) -> None:
        """A name is one object: the same upload twice makes one."""
        first = await bench.tuner.upload("rmft-2.jsonl", bench.content)
        await bench.tuner.upload("rmft-22.jsonl", bench.content)
        assert await bench.tuner.upload("rmft-2.jsonl", bench.content) == first
        assert await bench.tuner.find_uploads("rmft-2.jsonl") == [first]

    async def test_events_come_oldest_first_and_only_once(self, bench: Bench) -> None:
        """There are none, unless something became of the data."""
        _, job = await bench.start()
        await bench.finish(job)
        assert await bench.tuner.events(job.id, None) == []


# --- data ---------------------------------------------------------------------------------------


def lines(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.splitlines()]


def test_a_chat_becomes_contents_of_user_and_model() -> None:
    line = {
        "messages": [
            {"role": "system", "content": "You choose."},
            {"role": "user", "content": "Which?"},
            {"role": "assistant", "content": "blue"},
        ]
    }
    assert lines(convert.dataset(json.dumps(line).encode())) == [
        {
            "systemInstruction": {"parts": [{"text": "You choose."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Which?"}]},
                {"role": "model", "parts": [{"text": "blue"}]},
            ],
        }
    ]


def test_neighbours_of_one_role_become_one_turn() -> None:
    told = convert.of_chat((Message("user", "a"), Message("user", "b"), Message("assistant", "c")))
    assert [(one["role"], len(one["parts"])) for one in told["contents"]] == [
        ("user", 2),
        ("model", 1),
    ]


def test_a_turn_that_is_kept_out_of_the_loss_cannot_be_said() -> None:
    line = {
        "messages": [
            {"role": "user", "content": "Which?"},
            {"role": "assistant", "content": "blue", "weight": 0},
        ]
    }
    with pytest.raises(DataError, match=r"line 2 .*'single_turn'"):
        convert.dataset(examples(1) + json.dumps(line).encode())


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=20)), min_size=1)
)
def test_no_word_is_lost_and_turns_alternate(turns: list[tuple[str, str]]) -> None:
    messages: list[Mapping[str, Any]] = [{"role": role, "content": text} for role, text in turns]
    told = convert.contents(messages)["contents"]
    roles = [one["role"] for one in told]
    assert all(a != b for a, b in pairwise(roles))
    assert [part["text"] for one in told for part in one["parts"]] == [text for _, text in turns]


# --- chats --------------------------------------------------------------------------------------


async def test_what_is_asked_is_said_in_its_words(
    gemini: FakeGemini, connection: Connection
) -> None:
    await connection.chat.reply(ask("Which?", n=3, stop=("END",)))
    (seen,) = gemini.asked("chat")
    config = seen.json["generationConfig"]
    assert (config["candidateCount"], config["maxOutputTokens"]) == (3, 16)
    assert config["stopSequences"] == ["END"]
    assert config["thinkingConfig"] == {"thinkingLevel": "LOW"}
    assert 0 <= config["seed"] < 2**31
    assert "messages" not in seen.json


async def test_thoughts_are_billed_as_output_and_never_read(
    gemini: FakeGemini, connection: Connection
) -> None:
    plain = await connection.chat.reply(ask("Which?"))
    gemini.thoughts = 40
    thinking = await connection.chat.reply(ask("Which?"))
    assert thinking.choices[0].content == plain.choices[0].content
    assert plain.usage and thinking.usage
    assert thinking.usage.completion_tokens == plain.usage.completion_tokens + 40


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("SPII", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "tool_calls"),
    ],
)
async def test_how_a_candidate_ended_is_told_in_our_words(
    gemini: FakeGemini, connection: Connection, told: str, known: str
) -> None:
    gemini.plan("chat", Meets(body={"responseId": "r", "candidates": [{"finishReason": told}]}))
    (choice,) = (await connection.chat.reply(ask("Which?"))).choices
    assert (choice.content, choice.finish_reason) == (None, known)


TEXT = "Yes."


def generated(part: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": TEXT}]}
    candidate = {"content": content, "finishReason": "STOP", **(part or {})}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}
    return {"candidates": [candidate], "usageMetadata": usage, **more}


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (generated(), Usage(9, 5)),
        (generated({"index": None}, responseId=None, modelVersion=None), Usage(9, 5)),
        (generated(error={}), Usage(9, 5)),
        (codecs.BOM_UTF8 + json.dumps(generated()).encode(), Usage(9, 5)),
        (generated({"finishReason": None}), Usage(9, 5)),
        (
            generated(usageMetadata={"promptTokenCount": 9.0, "candidatesTokenCount": "5"}),
            Usage(9, 5),
        ),
        (generated(usageMetadata={"promptTokenCount": -9}), None),
        (generated(usageMetadata=None), None),
    ],
)
async def test_what_nothing_depends_on_may_be_missing_or_odd(
    gemini: FakeGemini, connection: Connection, body: Any, usage: Usage | None
) -> None:
    gemini.plan("chat", Meets(body=body))
    reply = await connection.chat.reply(ask("Which?"))
    assert [(one.content, one.thoughts) for one in reply.choices] == [(TEXT, "Hm.")]
    assert reply.usage == usage


@pytest.mark.parametrize(
    ("body", "kind", "billed"),
    [
        (generated({"finishReason": "OTHER"}), "no_answer", (9, 5, 0)),
        (generated({"finishReason": "OTHER"}, usageMetadata=None), "no_answer", None),
        (generated(error={"code": 429, "message": "Slow down."}), "safe", (9, 5, 0)),
        (generated(error={"code": 503, "status": "UNAVAILABLE"}), "no_answer", (9, 5, 0)),
        (generated({"error": {"message": "broke off"}}), "no_answer", (9, 5, 0)),
        (generated(candidates=[]), "no_answer", (9, 5, 0)),
    ],
)
async def test_what_did_not_end_as_an_answer_is_none(
    gemini: FakeGemini, connection: Connection, body: Any, kind: str, billed: Any
) -> None:
    gemini.plan("chat", Meets(body=body))
    with pytest.raises(ProviderFault) as caught:
        await connection.chat.reply(ask("Which?"))
    assert (caught.value.kind, caught.value.billed) == (kind, billed)


async def test_a_blocked_prompt_is_an_answer_for_ever(
    gemini: FakeGemini, connection: Connection
) -> None:
    body = {"responseId": "r", "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    gemini.plan("chat", Meets(body=body))
    with pytest.raises(ProviderFault, match="PROHIBITED_CONTENT") as caught:
        await connection.chat.reply(ask("Which?"))
    assert (caught.value.kind, caught.value.code) == (FaultKind.REJECTED, "content_filter")


@pytest.mark.parametrize(
    ("meets", "kind"),
    [
        (refusal(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again."), "safe"),
        (refusal(503, "UNAVAILABLE", "The service is unavailable."), "ambiguous"),
        (refusal(403, "PERMISSION_DENIED", "Permission 'predict' denied on resource."), "stop"),
        (
            refusal(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum (8)."),
            "rejected",
        ),
        (refusal(400, "INVALID_ARGUMENT", "Multiple candidates is not enabled."), "stop"),
        (Meets(body={"responseId": "r", "candidates": []}), "no_answer"),
        (Meets(body=b"<html>"), "no_answer"),
        (Meets(body={"candidates": [{"finishReason": "OTHER"}]}), "no_answer"),
        (Meets(body={"candidates": [{"finishReason": "X"}]}), "no_answer"),
        (Meets(body={"candidates": [{}]}), "no_answer"),
        (Meets(body={"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}), "safe"),
        (Meets(manner="reset"), "ambiguous"),
    ],
)
async def test_every_refusal_has_its_class(
    gemini: FakeGemini, connection: Connection, meets: Meets, kind: str
) -> None:
    gemini.plan("chat", meets)
    with pytest.raises(ProviderFault) as caught:
        await connection.chat.reply(ask("Which?"))
    assert caught.value.kind == kind
    assert TOKEN not in str(caught.value)


async def test_credentials_that_have_ended_are_told_so(gemini: FakeGemini) -> None:
    told = environ(gemini) | {"GOOGLE_OAUTH_ACCESS_TOKEN": "old"}
    async with connect(load("gemini"), environ=told) as connection:
        with pytest.raises(ProviderFault, match="the Google credentials") as caught:
            await connection.chat.reply(ask("Which?"))
    assert caught.value.kind is FaultKind.STOP


# --- jobs ---------------------------------------------------------------------------------------


async def test_a_job_carries_labels_that_google_takes(
    gemini: FakeGemini, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    await bench.start()
    (seen,) = gemini.asked("create")
    assert seen.json["baseModel"] == BASE
    assert seen.json["labels"]["rmft_key"] == "k" * 32
    spec = seen.json["supervisedTuningSpec"]
    assert spec["hyperParameters"] == {"epochCount": "1"}


async def test_a_tuned_model_is_tuned_further_by_its_registry_name(
    gemini: FakeGemini, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    tuned = (await bench.finish(job)).fine_tuned_model
    assert tuned and load("gemini").is_tuned(tuned)
    assert tuned.startswith(f"{BASE}:projects/")
    bench.base = tuned
    _, further = await bench.start("y" * 32)
    assert further.model == tuned
    again = (await bench.finish(further)).fine_tuned_model
    assert again and again.startswith(f"{BASE}:projects/") and again != tuned


async def test_a_job_that_the_label_index_does_not_know_yet_is_found_by_its_file(
    gemini: FakeGemini, connection: Connection
) -> None:
    gemini.labels_lag = True
    order, job = await Bench(connection.tuner, BASE).start()
    assert [found.id for found in await connection.tuner.find_jobs(order)] == [job.id]


async def test_what_was_trained_counts_every_epoch(
    gemini: FakeGemini, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
    three = replace(bench.order(file.id), hyperparameters=Hyperparameters(n_epochs=3))
    done = await bench.finish(await bench.tuner.create_job(three))
    one_epoch = sum(len(line) for line in gemini.objects[URI].splitlines()) // 4
    assert done.trained_tokens == 3 * one_epoch


async def test_dropped_examples_are_told_once(gemini: FakeGemini, connection: Connection) -> None:
    gemini.dropped = 2
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    await bench.finish(job)
    (event,) = await bench.tuner.events(job.id, None)
    assert "2 examples were dropped (examples 3): Too many tokens." in event.message
    assert await bench.tuner.events(job.id, event.id) == []


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("JOB_STATE_PAUSED", "paused"),
        ("JOB_STATE_EXPIRED", "failed"),
        ("JOB_STATE_NEW", "job_state_new"),
    ],
)
async def test_states_are_an_open_set(
    gemini: FakeGemini, connection: Connection, told: str, known: str
) -> None:
    gemini.end_state = told
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    for _ in range(3):
        job = await bench.tuner.job(job.id)
    assert job.status == known


async def test_a_dataset_that_google_refuses_is_told_by_its_reason(
    gemini: FakeGemini, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    order, job = await bench.start()
    gemini.objects[order.training_file] = b'{"messages": []}\n'
    failed = await bench.finish(job)
    assert failed.status == "failed"
    assert "contents is missing" in (failed.error or "")


# --- endpoints ----------------------------------------------------------------------------------


async def test_a_tuned_model_answers_at_its_own_endpoint(gemini: FakeGemini) -> None:
    targets: dict[str, str] = {}
    async with connect(load("gemini"), environ=environ(gemini), targets=targets) as connection:
        bench = Bench(connection.tuner, BASE)
        _, job = await bench.start()
        tuned = (await bench.finish(job)).fine_tuned_model or ""
        host, order = connection.host, DeploymentOrder("rmft-1", tuned, "case", "mark")
        assert host and not host.billed_hourly
        assert (await host.deploy(order, "a")).state == "pending"
        (found,) = await host.find(order)
        assert found.state == "ready"
        targets[tuned] = found.target
        assert (await connection.chat.reply(ask("Which?", model=tuned))).choices
    assert "/endpoints/" in found.target


async def test_a_base_answers_by_its_own_name(connection: Connection) -> None:
    host = connection.host
    assert host
    (found,) = await host.find(DeploymentOrder("rmft-0", BASE, "case", "mark"))
    assert (found.target, found.state) == (BASE, "ready")


async def test_a_checkpoint_is_not_taken_for_its_model(
    gemini: FakeGemini, connection: Connection
) -> None:
    model = f"{BASE}:projects/lab/locations/us-central1/models/7@1#2"
    host = connection.host
    assert host
    with pytest.raises(ConfigError, match="without what follows the #"):
        await host.find(DeploymentOrder("rmft-1", model, "case", "mark"))
    assert gemini.seen == []


# --- what must be told --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing", ["GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "RMFT_GEMINI_BUCKET"]
)
async def test_whatever_is_missing_is_named(gemini: FakeGemini, missing: str) -> None:
    told = {name: value for name, value in environ(gemini).items() if name != missing}
    with pytest.raises(ConfigError, match=missing):
        connect(load("gemini"), environ=told).check()


async def test_a_bucket_is_an_address(gemini: FakeGemini) -> None:
    told = environ(gemini) | {"RMFT_GEMINI_BUCKET": "my-bucket"}
    with pytest.raises(ConfigError, match="gs://BUCKET/FOLDER"):
        _ = connect(load("gemini"), environ=told).tuner


def test_a_batch_size_is_not_ours_to_choose() -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        load("gemini").check_training(BASE, "supervised", Hyperparameters(batch_size=4))


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com/v1"),
        ("global", "https://aiplatform.googleapis.com/v1"),
    ],
)
def test_every_location_has_a_host_of_its_own(location: str, host: str) -> None:
    assert GeminiProject("lab", location).address(load("gemini")) == host
