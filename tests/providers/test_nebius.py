"""Nebius: absolute rates, results in checkpoints, and an object before anything answers."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import DeploymentOrder, Hyperparameters
from rmft_api.providers import Connection, connect
from rmft_api.providers.prices import price_of
from rmft_api.providers.profiles import load
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract
from tests.fakes.nebius import BASE, NEBIUS, FakeNebius, environ
from tests.providers.stub import Meets, Serving


@pytest.fixture
async def nebius() -> AsyncIterator[FakeNebius]:
    fake = FakeNebius()
    async with Serving(fake, NEBIUS):
        yield fake


@pytest.fixture
async def connection(nebius: FakeNebius) -> AsyncIterator[Connection]:
    async with connect(load("nebius"), environ=environ(nebius)) as connection:
        yield connection


async def trained(connection: Connection) -> str:
    """The model that a job has left: its last checkpoint."""
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    done = await bench.finish(job)
    return (await connection.tuner.checkpoints(done.id))[-1].model


class TestNebiusChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return BASE

    @pytest.fixture
    def largest_n(self) -> int:
        return 1


class TestNebiusTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, BASE)

    async def test_a_job_ends_in_a_model_that_answers(self, bench: Bench) -> None:
        """In checkpoints, of which the last is the model."""
        _, job = await bench.start()
        done = await bench.finish(job)
        assert (done.status, done.fine_tuned_model) == ("succeeded", None)
        assert done.trained_tokens
        last = (await bench.tuner.checkpoints(job.id))[-1]
        assert last.model == f"{BASE}:{job.id}:{last.id}"
        assert load("nebius").is_tuned(last.model)
        assert await bench.tuner.model_ready(last.model)


async def test_a_rate_is_an_absolute_one(nebius: FakeNebius, connection: Connection) -> None:
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
    wanted = Hyperparameters(n_epochs=2, learning_rate=1e-5)
    order = replace(bench.order(file.id), hyperparameters=wanted)
    await bench.tuner.create_job(order)
    (seen,) = nebius.asked("create")
    assert seen.json["method"]["supervised"]["hyperparameters"] == {
        "n_epochs": 2,
        "learning_rate": 1e-5,
    }


def test_a_multiplier_is_refused() -> None:
    with pytest.raises(ConfigError, match="takes the absolute kind"):
        wanted = Hyperparameters(learning_rate_multiplier=2.0)
        load("nebius").check_training(BASE, "supervised", wanted)


def test_a_chain_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="from_base"):
        model = f"{BASE}:ftjob-1:ftckpt_2"
        load("nebius").check_training(model, "supervised", Hyperparameters())


async def test_a_checkpoint_answers_once_it_is_an_active_object(nebius: FakeNebius) -> None:
    targets: dict[str, str] = {}
    async with connect(load("nebius"), environ=environ(nebius), targets=targets) as connection:
        model = await trained(connection)
        host, order = connection.host, DeploymentOrder("rmft-case-1", model, "case", "mark")
        assert host and not host.billed_hourly
        assert await host.find(order) == []
        made = await host.deploy(order, "a")
        assert made.state == "pending"
        (seen,) = nebius.asked("make")
        assert seen.json["source"].startswith("ftjob-")
        assert seen.json["source"].count(":") == 1
        states = [(await host.find(order))[0].state for _ in range(2)]
        assert states == ["pending", "ready"]
        targets[model] = made.target
        bench = TestNebiusChat()
        assert (await connection.chat.reply(bench.ask(model))).choices
    assert made.target.startswith(f"{BASE}-LoRa:rmft-case-1-")


async def test_an_object_that_fails_says_why(nebius: FakeNebius, connection: Connection) -> None:
    nebius.fate, nebius.validating_looks = "error", 0
    host, order = (
        connection.host,
        DeploymentOrder("rmft-case-1", await trained(connection), "case", "mark"),
    )
    assert host
    await host.deploy(order, "a")
    (found,) = await host.find(order)
    assert (found.state, found.detail) == ("failed", "bad adapter")


async def test_an_object_that_was_deleted_is_not_there(
    nebius: FakeNebius, connection: Connection
) -> None:
    nebius.fate, nebius.validating_looks = "deleted", 0
    host, order = (
        connection.host,
        DeploymentOrder("rmft-case-1", await trained(connection), "case", "mark"),
    )
    assert host
    await host.deploy(order, "a")
    assert await host.find(order) == []


async def test_a_lost_reply_to_an_object_is_in_doubt(
    nebius: FakeNebius, connection: Connection
) -> None:
    nebius.plan("make", Meets(manner="after"))
    host, order = (
        connection.host,
        DeploymentOrder("rmft-case-1", await trained(connection), "case", "mark"),
    )
    assert host
    with pytest.raises(ProviderFault) as caught:
        await host.deploy(order, "a")
    assert caught.value.kind == "ambiguous"
    assert len(await host.find(order)) == 1


def test_nothing_is_known_of_its_prices_and_nothing_is_guessed() -> None:
    assert price_of("nebius", BASE) is None
