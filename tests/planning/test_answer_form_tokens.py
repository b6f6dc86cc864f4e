"""Schemas and tools that tell the form of an answer are tokens, in plans as in reservations."""

from typing import Any

import pytest

from rmft_api.config.schema import RunConfig
from rmft_api.core.answer_forms import AnswerForm
from rmft_api.core.records import AnswerFormat, ChatRequest, Message, Sampling
from rmft_api.datasets import tokens
from rmft_api.planning import worst_case
from rmft_api.providers import profiles
from rmft_api.providers.capabilities import ChatCapabilities
from rmft_api.providers.encoding import RequestEncoder
from rmft_api.providers.prices import Prices, most_of_form, most_tokens
from rmft_api.rollouts import engine, preparation
from tests.planning.world import drawn, phase, prompts_of, small

COUNTER = tokens.counter_for("gpt-4o-mini")
OPENAI = profiles.load("openai")
MODEL = {"base": "gpt-4o-mini-2024-07-18", "profile": "openai"}


def run(answer: str, **prompts: Any) -> RunConfig:
    found = small("bandit", prompts={"answer": answer, **prompts})
    raw = {**found.model_dump(), "model": MODEL, "budget_usd": 100.0}
    return RunConfig.model_validate(raw)


def form_of(config: RunConfig) -> AnswerFormat | None:
    seat = next(preparation.prepared_scenarios(config, prompts_of(config), "train", 1))
    reasoned = config.prompts.reasoning != "none"
    return engine.answer_format(config.prompts.answer_form, seat.names, reasoned=reasoned)


@pytest.mark.parametrize("answer", ["json", "tool"])
def test_a_plan_counts_them_in_every_request(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run(answer)
    form = form_of(config)
    assert form is not None
    of_form = COUNTER.form(form)
    assert of_form > 20
    counted = phase(drawn(config), "rollouts", 1)

    def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(ChatCapabilities, "charges", nothing)
    bare = phase(drawn(config), "rollouts", 1)
    assert counted.calls == bare.calls
    more = (counted.prompt_tokens - bare.prompt_tokens) / counted.calls
    assert abs(more - of_form) < 6  # names differ from scenario to scenario


@pytest.mark.parametrize("form", ["action_json", "distribution_json", "policy_tool", "action_tool"])
def test_what_is_reserved_covers_what_is_sent(form: AnswerForm) -> None:
    answer = AnswerFormat(form, ("red", "blue, with a comma"), reasoned=True)
    call = '<tool_call>{"name": "choose", "arguments": {"answer": "red"}}</tool_call>'
    turns = [Message("system", "S"), *[Message("user", "U"), Message("assistant", call)] * 9]
    messages = (*turns, Message("user", "U"))
    request = ChatRequest("k", "gpt-4o-mini", messages, 1, 0, Sampling(16), answer=answer)
    sent = RequestEncoder(OPENAI.chat).encode(request)
    bound = most_tokens(messages) + most_of_form(answer, len(messages))
    assert COUNTER.text(sent.decode()) <= bound  # the whole body, with all its JSON
    prices = Prices(OPENAI)
    reserved = prices.worst_case(request)
    plain = prices.worst_case(ChatRequest("k", "gpt-4o-mini", messages, 1, 0, Sampling(16)))
    assert reserved is not None
    assert plain is not None
    assert reserved > plain


def test_the_longest_play_holds_them() -> None:
    for answer in ("json", "tool"):
        config = run(answer)
        seat = next(preparation.prepared_scenarios(config, prompts_of(config), "train", 1))
        most = worst_case.longest(config, seat, COUNTER, OPENAI.chat)
        less = OPENAI.chat.model_copy(update={"form_in_prompt": False})
        bare = worst_case.longest(config, seat, COUNTER, less)
        form = form_of(config)
        assert most.round_tokens - bare.round_tokens == COUNTER.form(form) * seat.scenario.T
        assert form is not None
        assert bare.last_prompt_bound >= most_of_form(form, 2)  # reserved whatever is charged


def test_none_is_counted_where_nothing_is_sent() -> None:
    form = AnswerFormat("action_json", ("a", "b"), reasoned=False)
    chat = OPENAI.chat.model_copy(update={"json_answers": "object"})
    assert chat.charges(form) is None
    assert profiles.load("local").chat.charges(form) is None
    assert COUNTER.form(None) == 0
