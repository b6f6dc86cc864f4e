"""The adapter of batches against two servers that were not written from it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from rmft_api.core.answer_forms import AnswerForm
from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.core.ports import BatchClient
from rmft_api.core.records import (
    AnswerFormat,
    Batch,
    BatchAnswer,
    BatchOrder,
    ChatRequest,
    Message,
    Sampling,
    VisibleState,
)
from rmft_api.prompts import reader
from rmft_api.providers import connect, profiles
from tests.fake_provider.client import running
from tests.local_server.serving import served

ENVIRON = {"OPENAI_API_KEY": "sk-x"}
FINAL = ("completed", "failed", "cancelled", "expired")
BASE = "gpt-4.1-2025-04-14"


@pytest.fixture(scope="module", params=["fake", "local"])
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    folder: Path = tmp_path_factory.mktemp("server")
    if request.param == "fake":
        with running(folder) as provider:
            yield provider.base_url, BASE
    else:
        with served(folder) as server:
            yield server.base_url, "scripted-1"


@asynccontextmanager
async def open_at(base_url: str) -> AsyncGenerator[BatchClient]:
    profile = profiles.load("openai").at(base_url)
    async with connect(profile, environ=ENVIRON) as connection:
        yield connection.batches


def asks(model: str) -> list[ChatRequest]:
    message = Message("user", "3 doors: A, B, C. Open one.")
    sampling = Sampling(max_tokens=40)
    return [ChatRequest(f"train/1/{i}/0/0", model, (message,), 2, i, sampling) for i in range(4)]


async def answered(
    batches: BatchClient, content: bytes, key: str
) -> tuple[Batch, list[BatchAnswer]]:
    file = await batches.upload(f"rmft-{key}.jsonl", content)
    order = BatchOrder(key, file.id, "24h", {"rmft_run": "r"})
    made = await batches.create(order)
    assert (await batches.find(order))[0].id == made.id
    assert [one.id for one in await batches.find_uploads(f"rmft-{key}.jsonl")] == [file.id]
    while True:
        batch = await batches.batch(made.id)
        if batch.status in FINAL:
            return batch, await batches.answers(batch)
        await asyncio.sleep(0.01)


async def test_a_batch_goes_there_and_back(address: tuple[str, str]) -> None:
    url, model = address
    asked = {one.key: one for one in asks(model)}
    async with open_at(url) as batches:
        content = b"".join(batches.line(one) + b"\n" for one in asked.values())
        batch, answers = await answered(batches, content, "there")
        assert (batch.status, batch.completed, batch.total) == ("completed", 4, 4)
        assert batch.metadata["rmft_key"] == "there"
        assert {one.key for one in answers} == set(asked)
        for answer in answers:
            reply = batches.read(asked[answer.key], answer)
            assert len(reply.choices) == 2
            assert reply.usage is not None


async def test_a_refused_chat_is_a_fault_of_its_own_kind(address: tuple[str, str]) -> None:
    url, _ = address
    (ask, *_) = asks("nobody-knows-it")
    async with open_at(url) as batches:
        _, answers = await answered(batches, batches.line(ask) + b"\n", "refused")
        with pytest.raises(ProviderFault) as caught:
            batches.read(ask, answers[0])
    assert caught.value.status == 404


async def test_a_file_that_is_refused_is_told_with_its_reason(address: tuple[str, str]) -> None:
    url, model = address
    (ask, *_) = asks(model)
    async with open_at(url) as batches:
        batch, answers = await answered(batches, b"\n".join([batches.line(ask)] * 2), "twice")
    assert batch.status == "failed"
    assert "custom_id" in str(batch.errors)
    assert answers == []


async def test_nothing_there_is_a_fault_that_says_whether_anything_was_sent() -> None:
    async with open_at("http://127.0.0.1:1/v1") as batches:
        with pytest.raises(ProviderFault) as caught:
            await batches.upload("x.jsonl", b"{}\n")
    assert caught.value.kind is FaultKind.SAFE


@pytest.mark.parametrize("form", ["action_json", "distribution_json", "action_tool", "policy_tool"])
async def test_answers_that_are_objects_and_calls_go_there_and_back(
    tmp_path: Path, form: AnswerForm
) -> None:
    names = ("A", "B", "C")
    state = VisibleState(names, form, (1, 0, 0), (0.5, 0.0, 0.0), reasoned=True)
    asked = {
        one.key: msgspec.structs.replace(
            one, answer=AnswerFormat(form, names, reasoned=True), visible_state=state
        )
        for one in asks("scripted-ucb1")
    }
    with served(tmp_path, "--engine", "players") as server:
        async with open_at(server.base_url) as batches:
            lines = [batches.line(one) for one in asked.values()]
            sent = [msgspec.json.decode(line)["body"] for line in lines]
            field = "tools" if form.endswith("tool") else "response_format"
            assert all(field in body for body in sent)
            batch, answers = await answered(batches, b"".join(one + b"\n" for one in lines), "f")
            assert (batch.status, batch.completed) == ("completed", 4)
            for answer in answers:
                reply = batches.read(asked[answer.key], answer)
                assert len(reply.choices) == 2
                for choice in reply.choices:
                    read = reader.read(choice.content, choice.finish_reason, None, names, form)
                    assert isinstance(read, reader.ParsedReply)
                    assert max(range(3), key=read.policy.__getitem__) in (1, 2)  # ucb1: untried
