"""Gateways of OpenAI's wire that train: what they are sent, and what they are not."""

from collections.abc import AsyncIterator

import pytest

from rmft_api.core.errors import ConfigError
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import Hyperparameters
from rmft_api.providers import Connection, connect
from rmft_api.providers.prices import price_of
from rmft_api.providers.profiles import load
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract
from tests.providers.stub import Serving, StubProvider

MODEL = "gpt-4.1-mini"
PROVIDER = "@my-openai"


@pytest.fixture
async def portkey() -> AsyncIterator[StubProvider]:
    async with Serving(StubProvider(filters_metadata=False)) as stub:
        yield stub


@pytest.fixture
async def connection(portkey: StubProvider) -> AsyncIterator[Connection]:
    environ = {
        "PORTKEY_BASE_URL": portkey.url,
        "PORTKEY_API_KEY": "portkey-key-0123456789",
        "PORTKEY_PROVIDER": PROVIDER,
    }
    async with connect(load("portkey"), environ=environ) as connection:
        yield connection


class TestPortkeyChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return MODEL

    @pytest.fixture
    def largest_n(self) -> int:
        return 1


class TestPortkeyTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, MODEL)


async def test_every_request_names_the_provider_behind_portkey(
    portkey: StubProvider, connection: Connection
) -> None:
    await connection.chat.reply(TestPortkeyChat().ask(MODEL))
    await Bench(connection.tuner, MODEL).start()
    assert {seen.route for seen in portkey.seen} == {"chat", "upload", "create"}
    for seen in portkey.seen:
        assert seen.headers["x-portkey-provider"] == PROVIDER
        assert seen.headers["authorization"] == "Bearer portkey-key-0123456789"
    (job,) = portkey.asked("create")
    assert "metadata" not in job.json


def test_nothing_is_known_of_who_is_behind_portkey_and_nothing_is_guessed() -> None:
    profile = load("portkey")
    assert (profile.paid, profile.lifecycle, price_of("portkey", MODEL)) == (True, (), None)
    with pytest.raises(ConfigError, match="does not train by 'dpo'"):
        profile.check_training(MODEL, "dpo", Hyperparameters())
