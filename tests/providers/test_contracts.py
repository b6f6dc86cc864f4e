"""The contracts of both ports, met by the adapters of the OpenAI wire."""

import pytest

from rmft_api.core.ports import ChatModel
from rmft_api.providers import Connection
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract


class TestWireChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return "gpt-4.1-mini"


class TestOpenAITuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, "gpt-4.1-mini")
