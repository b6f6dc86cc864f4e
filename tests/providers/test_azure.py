"""Azure: OpenAI's wire with differences, and deployments through its resource manager."""

from collections.abc import AsyncIterator

import pytest

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, DeploymentOrder, Message, Sampling
from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import load
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract, examples
from tests.fakes.azure import AZURE, BOM, PREFIX, TOKEN, FakeAzure, environ
from tests.providers.stub import Serving

BASE = "gpt-4.1-mini-2025-04-14"
ORDER = DeploymentOrder("rmft-case-1", BASE, "case", "mark")


@pytest.fixture
async def azure() -> AsyncIterator[FakeAzure]:
    fake = FakeAzure()
    async with Serving(fake, AZURE, PREFIX):
        yield fake


@pytest.fixture
async def connection(azure: FakeAzure) -> AsyncIterator[Connection]:
    targets = {BASE: ORDER.name}
    async with connect(load("azure"), environ=environ(azure), targets=targets) as connection:
        yield connection


class TestAzureTuner(FineTunerContract):
    @pytest.fixture
    async def bench(self, azure: FakeAzure, connection: Connection) -> Bench:
        azure.file_status = "processed"
        return Bench(connection.tuner, BASE)

    async def test_an_uploaded_file_tells_its_name_and_size(self, bench: Bench) -> None:
        """Three bytes more than was given: the byte order mark."""
        file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
        assert (file.filename, file.bytes) == ("rmft-1.jsonl", len(bench.content) + 3)

    async def test_an_unknown_file_cannot_be_trained_on(self, bench: Bench) -> None:
        with pytest.raises(ProviderFault, match="file-none"):
            await bench.tuner.create_job(bench.order("file-none"))


class TestAzureChat(ChatModelContract):
    @pytest.fixture
    async def chat(self, azure: FakeAzure, connection: Connection) -> ChatModel:
        azure.creating_polls = azure.cold_chats = 0
        host = connection.host
        assert host
        await host.deploy(ORDER, "a")
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return BASE

    async def test_a_reply_names_the_model_that_was_asked(
        self, chat: ChatModel, model: str
    ) -> None:
        """It names the model behind the deployment, without its date."""
        reply = await chat.reply(self.ask(model))
        assert model.startswith(reply.model)


async def test_a_file_begins_with_a_byte_order_mark(
    azure: FakeAzure, connection: Connection
) -> None:
    file = await connection.tuner.upload("rmft-1.jsonl", examples())
    assert azure.contents[file.id] == BOM + examples()


async def test_the_key_travels_in_its_own_header_alone(
    azure: FakeAzure, connection: Connection
) -> None:
    await connection.tuner.find_uploads("x")
    (seen,) = azure.asked("files")
    assert "api-key" in seen.headers
    assert "authorization" not in seen.headers


async def test_a_job_tells_its_training_type_and_no_metadata(
    azure: FakeAzure, connection: Connection
) -> None:
    azure.file_status = "processed"
    await Bench(connection.tuner, BASE).start()
    (seen,) = azure.asked("create")
    assert seen.json["trainingType"] == "globalStandard"
    assert "metadata" not in seen.json


async def test_a_file_that_is_not_processed_yet_is_waited_for(
    azure: FakeAzure, connection: Connection
) -> None:
    with pytest.raises(ProviderFault) as caught:
        await Bench(connection.tuner, BASE).start()
    assert caught.value.kind is FaultKind.WAIT


async def test_a_fine_tuned_model_is_trained_further_by_its_own_id(
    azure: FakeAzure, connection: Connection
) -> None:
    azure.file_status = "processed"
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    tuned = (await bench.finish(job)).fine_tuned_model
    assert tuned and load("azure").is_tuned(tuned)
    bench.base = tuned
    _, further = await bench.start("y" * 32)
    assert further.model == tuned


async def test_a_deployment_is_found_by_name_and_carries_its_run(
    azure: FakeAzure, connection: Connection
) -> None:
    host = connection.host
    assert host and host.billed_hourly
    assert await host.find(ORDER) == []
    made = await host.deploy(ORDER, "a")
    assert (made.state, made.target) == ("pending", ORDER.name)
    (found,) = await host.find(ORDER)
    assert (found.state, found.run, found.key, found.model) == ("ready", "case", "mark", BASE)
    assert azure.deployments[ORDER.name]["sku"] == {"name": "GlobalStandard", "capacity": 100}
    assert azure.deployments[ORDER.name]["properties"]["model"] == {
        "format": "OpenAI",
        "name": "gpt-4.1-mini",
        "version": "2025-04-14",
    }


async def test_the_same_deployment_twice_is_one(azure: FakeAzure, connection: Connection) -> None:
    host = connection.host
    assert host
    await host.deploy(ORDER, "a")
    await host.deploy(ORDER, "a")
    assert azure.made[ORDER.name] == 1


async def test_every_page_of_the_list_is_read_and_only_ours_is_told(
    azure: FakeAzure, connection: Connection
) -> None:
    host = connection.host
    assert host
    names = ["rmft-a", "theirs", "rmft-b", "rmft-c", "prod"]
    for name in names:
        await host.deploy(DeploymentOrder(name, BASE, "case", "mark"), "a")
    assert [one.name for one in await host.deployments()] == ["rmft-a", "rmft-b", "rmft-c"]


async def test_removing_twice_is_harmless(azure: FakeAzure, connection: Connection) -> None:
    host = connection.host
    assert host
    await host.deploy(ORDER, "a")
    await host.remove(ORDER.name)
    await host.remove(ORDER.name)
    assert azure.deployments == {}


async def test_a_deployment_that_is_not_ready_is_waited_for(
    azure: FakeAzure, connection: Connection
) -> None:
    host = connection.host
    assert host
    azure.creating_polls = 0
    await host.deploy(ORDER, "a")
    request = ChatRequest("k", BASE, (Message("user", "1"),), 1, 0, Sampling(max_tokens=1))
    with pytest.raises(ProviderFault) as caught:
        await connection.chat.reply(request)
    assert caught.value.kind is FaultKind.WAIT
    assert (await connection.chat.reply(request)).choices


async def test_a_token_that_has_ended_is_told_by_its_name(azure: FakeAzure) -> None:
    told = environ(azure) | {"AZURE_MANAGEMENT_TOKEN": "old"}
    async with connect(load("azure"), environ=told) as connection:
        host = connection.host
        assert host
        with pytest.raises(ProviderFault, match="AZURE_MANAGEMENT_TOKEN") as caught:
            await host.deployments()
    assert caught.value.kind is FaultKind.STOP
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("AZURE_OPENAI_BASE_URL", "set AZURE_OPENAI_BASE_URL, e.g. to https://YOUR-RESOURCE"),
        ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("AZURE_OPENAI_RESOURCE_ID", "AZURE_OPENAI_RESOURCE_ID"),
        ("AZURE_MANAGEMENT_TOKEN", "az account get-access-token"),
    ],
)
async def test_what_is_missing_is_named_before_anything_is_sent(
    azure: FakeAzure, missing: str, words: str
) -> None:
    told = {name: value for name, value in environ(azure).items() if name != missing}
    with pytest.raises(ConfigError, match=words):
        _ = connect(load("azure"), environ=told).host
    assert azure.seen == []
