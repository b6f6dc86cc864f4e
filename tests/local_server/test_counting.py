"""Plans count the built-in models' tokens as these models do."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.datasets.tokens import TokenCounter
from rmft_api.local_server.counting import BASES, counter_of
from rmft_api.local_server.engine import ChatMessage, Prompt
from rmft_api.local_server.engines import DEFAULT, make, make_all

TEXT = "Round 3: button A, reward 0.25.\nWhich button? <Answer>A</Answer>"


def own(base: str) -> TokenCounter:
    counter = counter_of(base)
    assert counter is not None
    assert counter.exact
    return counter


@settings(deadline=None)
@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=40))
def test_the_text_models_examples_are_counted_as_it_trains_them(asked: str, said: str) -> None:
    messages = (ChatMessage("user", TEXT + asked), ChatMessage("assistant", said))
    assert own("rmft-tiny").chat(messages) == make("tiny").check(messages)


def test_the_text_models_prompts_and_answers_are_counted_as_it_bills_them() -> None:
    engine = make("tiny")
    asked = (ChatMessage("system", "Choose."), ChatMessage("user", TEXT))
    (done,) = engine.load("rmft-tiny", None).complete([Prompt(asked, seed=1, max_tokens=24)])
    counter = own("rmft-tiny")
    assert counter.chat(asked) == done.prompt_tokens
    assert counter.text(done.text) <= done.completion_tokens


@pytest.mark.parametrize("rounds", [0, 3])
def test_the_numeric_models_chats_are_counted_as_they_bill_and_train_them(rounds: int) -> None:
    engine, base = make("numeric"), "rmft-linear-attention"
    question = json.dumps({"K": 3, "rewards": [[0.25, 1e-05, -1]] * rounds})
    asked = (ChatMessage("user", question),)
    (done,) = engine.load(base, None).complete([Prompt(asked, seed=1)])
    counter = own(base)
    assert counter.chat(asked) == done.prompt_tokens
    assert counter.text(done.text) == done.completion_tokens
    whole = (*asked, ChatMessage("assistant", done.text))
    assert counter.chat(whole) == engine.check(whole)


def test_no_torch_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert own("rmft-tiny").text(TEXT) > 10
    assert counter_of("tiny-llama") is None


def test_the_models_that_runs_may_name_are_those_that_the_server_brings() -> None:
    assert set(make_all(DEFAULT)) == set(BASES)
    assert all(counter_of(base) for base in BASES)
