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
KEY = "gateway-key-0123456789"
GATEWAYS = {
    "portkey": ("PORTKEY_BASE_URL", "PORTKEY_API_KEY", "PORTKEY_PROVIDER"),
    "truefoundry": (
        "TRUEFOUNDRY_GATEWAY_URL",
        "TRUEFOUNDRY_API_KEY",
        "TRUEFOUNDRY_PROVIDER_NAME",
    ),
}
HEADERS = {"portkey": "x-portkey-provider", "truefoundry": "x-tfy-provider-name"}


@pytest.fixture
async def behind() -> AsyncIterator[StubProvider]:
    async with Serving(StubProvider(filters_metadata=False)) as stub:
        yield stub


@pytest.fixture(params=GATEWAYS)
def gateway(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def connection(behind: StubProvider, gateway: str) -> AsyncIterator[Connection]:
    environ = dict(zip(GATEWAYS[gateway], (behind.url, KEY, PROVIDER), strict=True))
    async with connect(load(gateway), environ=environ) as connection:
        yield connection


class TestGatewayChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return MODEL

    @pytest.fixture
    def largest_n(self) -> int:
        return 1


class TestGatewayTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, MODEL)


async def test_every_request_names_the_provider_behind_the_gateway(
    behind: StubProvider, connection: Connection, gateway: str
) -> None:
    await connection.chat.reply(TestGatewayChat().ask(MODEL))
    await Bench(connection.tuner, MODEL).start()
    assert {seen.route for seen in behind.seen} == {"chat", "upload", "create"}
    for seen in behind.seen:
        assert seen.headers[HEADERS[gateway]] == PROVIDER
        assert seen.headers["authorization"] == f"Bearer {KEY}"
    (job,) = behind.asked("create")
    assert "metadata" not in job.json


def test_nothing_is_known_of_who_is_behind_a_gateway_and_nothing_is_guessed(gateway: str) -> None:
    profile = load(gateway)
    assert (profile.paid, profile.lifecycle, price_of(gateway, MODEL)) == (True, (), None)
    with pytest.raises(ConfigError, match="does not train by 'dpo'"):
        profile.check_training(MODEL, "dpo", Hyperparameters())
