"""Every `ChatModel` passes these: a new adapter inherits the class and overrides two fixtures."""

import asyncio

import pytest

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, Message, Sampling


class ChatModelContract:
    """Override `chat` and `model`."""

    @pytest.fixture
    def chat(self) -> ChatModel:
        raise NotImplementedError

    @pytest.fixture
    def model(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def largest_n(self) -> int:
        return 4

    def ask(self, model: str, n: int = 1, text: str = "Which button?") -> ChatRequest:
        messages = (Message("system", "You choose buttons."), Message("user", text))
        return ChatRequest("test/0/0/0/0", model, messages, n, 7, Sampling(max_tokens=16))

    async def test_one_choice_is_one_choice(self, chat: ChatModel, model: str) -> None:
        reply = await chat.reply(self.ask(model))
        assert len(reply.choices) == 1
        assert reply.id

    async def test_n_choices_come_back_for_n(
        self, chat: ChatModel, model: str, largest_n: int
    ) -> None:
        reply = await chat.reply(self.ask(model, n=largest_n))
        assert len(reply.choices) == largest_n

    async def test_a_reply_names_the_model_that_was_asked(
        self, chat: ChatModel, model: str
    ) -> None:
        reply = await chat.reply(self.ask(model))
        assert reply.model.startswith(model)

    async def test_a_choice_says_how_it_ended(self, chat: ChatModel, model: str) -> None:
        reply = await chat.reply(self.ask(model))
        assert reply.choices[0].finish_reason in ("stop", "length")

    async def test_billed_tokens_are_counted(self, chat: ChatModel, model: str) -> None:
        usage = (await chat.reply(self.ask(model))).usage
        assert usage is not None
        assert usage.prompt_tokens > 0
        assert usage.completion_tokens >= 0
        assert 0 <= usage.cached_tokens <= usage.prompt_tokens

    async def test_many_asks_at_once_are_all_answered(self, chat: ChatModel, model: str) -> None:
        replies = await asyncio.gather(
            *(chat.reply(self.ask(model, text=f"Round {i}?")) for i in range(32))
        )
        assert len({reply.id for reply in replies}) == 32

    async def test_any_text_can_be_told(self, chat: ChatModel, model: str) -> None:
        text = 'quotes " and \\ , line\nbreaks, \x00, \u2028, é, 日本, 😀'
        assert (await chat.reply(self.ask(model, text=text))).choices

    async def test_an_unknown_model_is_a_closed_door(self, chat: ChatModel) -> None:
        with pytest.raises(ProviderFault) as caught:
            await chat.reply(self.ask("no-such-model"))
        assert caught.value.kind is FaultKind.STOP
        assert "no-such-model" in str(caught.value)
