"""Answers of an open model: what they depend on, what is reused, and how they end."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.local_server.engine import (
    AnswerToken,
    ChatMessage,
    ContextLengthError,
    Prompt,
)
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.local_server.hf.network import BaseNetwork, HfModel
from rmft_api.local_server.hf.prefixes import PrefixStore
from rmft_api.local_server.hf.token_sampling import SamplingSettings, pick
from tests.local_server.hf.conftest import Heard

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")


def chat(turn: int, more: str = "") -> tuple[ChatMessage, ...]:
    system = ChatMessage("system", "Five buttons: A, B, C, D, E. Press one a round for 25 rounds.")
    return system, ChatMessage("user", f"Round {turn} of 25. {more}")


MIXED = [
    Prompt(chat(n % 5, "B: 3 plays. " * (n % 4)), seed=n, max_tokens=4 + n % 9) for n in range(20)
]


@pytest.fixture
def model(engine: HfEngine) -> HfModel:
    loaded = engine.load("specimen", None)
    assert isinstance(loaded, HfModel)
    return loaded


@pytest.fixture
def base(engine: HfEngine) -> BaseNetwork:
    """Its own, with nothing read before."""
    return BaseNetwork(engine._checkpoint, engine._chats)  # pyright: ignore[reportPrivateUsage]


class Counting:
    """A network that counts the tokens it is given."""

    def __init__(self, network: Any) -> None:
        self.network, self.device, self.tokens = network, network.device, 0

    def __call__(self, **fields: Any) -> Any:
        self.tokens += int(fields["attention_mask"][:, -fields["input_ids"].shape[1] :].sum())
        return self.network(**fields)


@pytest.fixture
def counting(base: BaseNetwork, monkeypatch: pytest.MonkeyPatch) -> Counting:
    sampler: Any = base._sampler  # pyright: ignore[reportPrivateUsage]
    counting = Counting(sampler._network)
    monkeypatch.setattr(sampler, "_network", counting)
    return counting


def test_an_answer_depends_on_its_own_prompt_and_not_on_its_batch(model: HfModel) -> None:
    together = model.complete(MIXED)
    alone = [model.complete([prompt])[0] for prompt in reversed(MIXED)][::-1]
    assert [one.text for one in together] == [one.text for one in alone]
    assert len({one.text for one in together}) > 15


def test_reuse_changes_no_odds(engine: HfEngine) -> None:
    prompts = [Prompt(p.messages, p.seed, max_tokens=6, top_logprobs=2) for p in MIXED]
    fresh = [engine_base(engine).complete(None, [prompt])[0] for prompt in prompts[:4]]
    warm = engine_base(engine)
    warm.complete(None, prompts)
    for one, other in zip(fresh, warm.complete(None, prompts[:4]), strict=True):
        assert one.logprobs is not None and other.logprobs is not None
        for first, second in zip(one.logprobs, other.logprobs, strict=True):
            assert first.token == second.token
            assert math.isclose(first.logprob, second.logprob, abs_tol=1e-4)


def engine_base(engine: HfEngine) -> BaseNetwork:
    return BaseNetwork(engine._checkpoint, engine._chats)  # pyright: ignore[reportPrivateUsage]


def test_a_prompt_that_is_asked_n_times_is_read_once(base: BaseNetwork, counting: Counting) -> None:
    one = Prompt(chat(1), seed=0, max_tokens=1)
    base.complete(None, [one])
    read_once = counting.tokens
    counting.tokens = 0
    fresh = [Prompt(chat(2), seed=n, max_tokens=1) for n in range(8)]
    base.complete(None, fresh)
    assert counting.tokens < read_once
    counting.tokens = 0
    base.complete(None, [*fresh, one])
    assert counting.tokens <= 2


def test_a_chat_that_goes_on_is_read_from_where_it_was_left(
    base: BaseNetwork, counting: Counting
) -> None:
    told = chat(1, "B: 3 plays. " * 12)
    base.complete(None, [Prompt(told, seed=0, max_tokens=1)])
    first, counting.tokens = counting.tokens, 0
    more = (*told, ChatMessage("assistant", "B"), ChatMessage("user", "0.5"))
    base.complete(None, [Prompt(more, seed=0, max_tokens=1)])
    assert counting.tokens < first / 3


def test_the_store_of_prompts_is_bounded() -> None:
    layer = (torch.zeros(2, 32, 4), torch.zeros(2, 32, 4))
    store = PrefixStore(5 * 2 * 2 * 32 * 4 * 4)
    for n in range(12):
        store.keep("base", tuple(range(n, n + 32)), (layer,))
    assert store.used_bytes == 5 * 2 * 2 * 32 * 4 * 4
    assert store.find("base", tuple(range(11, 43)))[0] == 31
    assert store.find("base", tuple(range(32)))[0] == 0
    assert store.find("other", tuple(range(11, 43)))[0] == 0


def test_temperature_0_gives_the_likeliest_token(model: HfModel) -> None:
    (first, second) = model.complete(
        [Prompt(chat(3), seed=n, temperature=0, max_tokens=5, top_logprobs=1) for n in (1, 2)]
    )
    assert first.text == second.text
    assert first.logprobs is not None
    assert all(token.top[0][1] == token.logprob for token in first.logprobs)


def test_top_p_keeps_unlikely_tokens_out(model: HfModel) -> None:
    answers = model.complete(
        [Prompt(chat(3), seed=n, top_p=0.001, max_tokens=1, top_logprobs=1) for n in range(30)]
    )
    for answer in answers:
        assert answer.logprobs is not None
        assert answer.logprobs[0].logprob == answer.logprobs[0].top[0][1]


def test_samples_follow_the_odds(model: HfModel) -> None:
    answers = model.complete(
        [Prompt(chat(4), seed=n, max_tokens=1, top_logprobs=1, temperature=0.2) for n in range(400)]
    )
    assert answers[0].logprobs is not None
    likeliest, logprob = answers[0].logprobs[0].top[0]
    share = sum(
        one.logprobs is not None and one.logprobs[0].token == likeliest for one in answers
    ) / len(answers)
    assert share > 3 * math.exp(logprob)  # colder than the odds told, which are those at 1


def test_a_stop_text_ends_the_answer_before_it(model: HfModel) -> None:
    prompt = Prompt(chat(5), seed=3, max_tokens=40, top_logprobs=0)
    (whole,) = model.complete([prompt])
    stop = whole.text[4:6]
    (stopped,) = model.complete([Prompt(chat(5), 3, max_tokens=40, stop=(stop,), top_logprobs=0)])
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish_reason == "stop"
    assert stopped.logprobs is not None
    assert len(stopped.logprobs) == len(stopped.pieces)


def test_pieces_make_the_text_and_odds_go_with_tokens(model: HfModel, engine: HfEngine) -> None:
    (answer,) = model.complete([Prompt(chat(6), seed=4, max_tokens=60, top_logprobs=3)])
    assert answer.finish_reason == "length" or answer.completion_tokens < 60
    assert answer.logprobs is not None
    assert len(answer.pieces) == len(answer.logprobs) == answer.completion_tokens
    assert all(len(token.top) == 3 and token.logprob <= 0 for token in answer.logprobs)


def test_a_chat_without_room_is_refused_and_its_neighbours_are_not(model: HfModel) -> None:
    with pytest.raises(ContextLengthError, match="context length is 512 tokens"):
        model.complete([Prompt(chat(1, "word " * 900), seed=0)])


@pytest.mark.parametrize("stop", [(), ("a",), ("e 1", "the", " ")])
def test_a_listener_hears_the_pieces_and_odds_of_the_whole_answer(
    model: HfModel, stop: tuple[str, ...]
) -> None:
    heard = Heard()
    prompt = Prompt(chat(6), seed=4, max_tokens=60, top_logprobs=1, stop=stop)
    (whole,) = model.complete([prompt])
    told = replace(prompt, listener=heard.hear)
    assert model.complete([told]) == [whole]
    assert whole.logprobs is not None
    assert [place for place, _ in heard.told] == list(range(len(whole.pieces)))
    assert [piece for _, piece in heard.told] == [
        AnswerToken(*one) for one in zip(whole.pieces, whole.logprobs, strict=True)
    ]


def test_pieces_are_told_while_the_answer_grows(base: BaseNetwork, counting: Counting) -> None:
    at: list[int] = []

    def hear(place: int, piece: AnswerToken) -> None:
        at.append(counting.tokens)

    prompt = Prompt(chat(6), seed=4, max_tokens=30, listener=hear)
    base.complete(None, [prompt])
    assert len(at) > 10
    assert len(set(at)) > len(at) // 2  # one for a token, but that half a character waits
    assert at[0] < counting.tokens - 10


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_rows_that_share_odds_draw_as_each_would_alone(data: st.DataObject) -> None:
    slots = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=10))
    count = len(slots)
    kinds = data.draw(
        st.lists(
            st.tuples(st.sampled_from([0.0, 0.7, 1.0]), st.sampled_from([0.5, 1.0])),
            min_size=count,
            max_size=count,
        )
    )
    numbers = data.draw(st.lists(st.floats(0, 0.999999), min_size=count, max_size=count))
    logits = torch.arange(4 * 9).reshape(4, 9).float().sin() * 3
    asked = [SamplingSettings(*kind) for kind in kinds]
    together = pick(logits, slots, asked, numbers)
    for slot, kind, number, token in zip(slots, asked, numbers, together, strict=True):
        assert pick(logits[slot : slot + 1], [0], [kind], [number]) == [token]
        assert kind.temperature or token == int(logits[slot].argmax())
