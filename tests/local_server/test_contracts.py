"""Our own adapters meet our own server, as a run does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rmft_api.core.ports import ChatModel
from rmft_api.local_server.server import Settings, running
from rmft_api.providers import Connection, connect, load
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract

MODEL = "scripted-1"


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    settings = Settings(tmp_path / "state", port=0, engine_names=["scripted"])
    async with (
        running(settings) as base_url,
        connect(load("local").at(base_url), environ={}) as connection,
    ):
        yield connection


class TestChatOverTheLocalServer(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return MODEL


class TestFineTuningOnTheLocalServer(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, MODEL)
