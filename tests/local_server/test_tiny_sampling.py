"""The tiny model's answers: what they depend on and how they end."""

import random

import pytest

from rmft_api.local_server.engine import ChatMessage, ExampleError, Prompt
from rmft_api.local_server.tiny import network, training
from rmft_api.local_server.tiny.engine import BASE, BASE_WEIGHTS, TinyEngine, TinyModel

LETTERS = "ABCDEF"


def chat(actions: int, played: int) -> tuple[ChatMessage, ...]:
    names = ", ".join(LETTERS[:actions])
    system = f"{actions} buttons: {names}. Press one a round for 25 rounds.\nThink first."
    lines = [
        f"{name}: {n + 1} plays, mean {17 * n + 9}, last {13 * n}"
        if n < played
        else f"{name}: untried"
        for n, name in enumerate(LETTERS[:actions])
    ]
    user = "\n".join([f"Round {played + 1} of 25.", *lines])
    return ChatMessage("system", system), ChatMessage("user", user)


def mixed_prompts(count: int) -> list[Prompt]:
    odd = ChatMessage("user", "Anything else? " * 9)
    chats = [chat(2 + n % 5, n % 4) + ((odd,) if n % 11 == 0 else ()) for n in range(count)]
    return [Prompt(messages, seed=n, max_tokens=20) for n, messages in enumerate(chats)]


@pytest.fixture(scope="module")
def model() -> TinyModel:
    return TinyEngine().load(BASE, None)


@pytest.mark.parametrize("size", [1, 3, 7, 17, 48])
def test_a_completion_does_not_depend_on_its_batch(model: TinyModel, size: int):
    prompts = [Prompt(p.messages, p.seed, max_tokens=20, top_logprobs=2) for p in mixed_prompts(48)]
    alone = model.complete(prompts)
    order = list(range(48))
    random.Random(size).shuffle(order)
    for at in range(0, 48, size):
        chosen = order[at : at + size]
        found = model.complete([prompts[n] for n in chosen])
        assert found == [alone[n] for n in chosen]


def test_a_completion_does_not_depend_on_what_was_asked_before():
    prompts = mixed_prompts(5)
    fresh = [TinyEngine().load(BASE, None).complete([prompt])[0] for prompt in prompts]
    model = TinyEngine().load(BASE, None)
    assert [model.complete([prompt])[0] for prompt in reversed(prompts)] == fresh[::-1]


def test_the_seed_changes_the_answer(model: TinyModel):
    answers = model.complete([Prompt(chat(5, 3), seed=n) for n in range(64)])
    assert len({answer.text for answer in answers}) > 5


def test_temperature_zero_ignores_the_seed(model: TinyModel):
    prompts = [Prompt(chat(4, 2), seed=n, temperature=0.0) for n in range(8)]
    assert len({answer.text for answer in model.complete(prompts)}) == 1


def test_a_small_nucleus_ignores_the_seed(model: TinyModel):
    prompts = [Prompt(chat(4, 2), seed=n, top_p=1e-6) for n in range(8)]
    assert len({answer.text for answer in model.complete(prompts)}) == 1


def test_answers_of_the_base_name_an_action(model: TinyModel):
    prompts = [Prompt(chat(2 + n % 5, n % 3), seed=n) for n in range(200)]
    answers = model.complete(prompts)
    named = [answer.text.endswith("</Answer>") for answer in answers]
    assert sum(named) >= 198
    assert all(answer.finish_reason == "stop" for answer in answers)


def test_max_tokens_ends_an_answer(model: TinyModel):
    (answer,) = model.complete([Prompt(chat(3, 1), seed=1, max_tokens=2)])
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 2)


def test_a_stop_text_is_cut_off(model: TinyModel):
    (answer,) = model.complete([Prompt(chat(3, 1), seed=1, stop=("few",))])
    assert answer.finish_reason == "stop"
    assert answer.text.startswith("Best") and "few" not in answer.text


def test_logprobs_come_with_rivals(model: TinyModel):
    (answer,) = model.complete([Prompt(chat(3, 1), seed=1, top_logprobs=3)])
    assert answer.logprobs is not None
    assert len(answer.logprobs) == answer.completion_tokens == len(answer.pieces)
    for found in answer.logprobs:
        assert len(found.top) == 3
        assert found.logprob <= max(value for _, value in found.top) <= 0


def test_many_turns_are_read(model: TinyModel):
    turns = (*chat(3, 1), ChatMessage("assistant", "<Answer>A</Answer>"), ChatMessage("user", "B"))
    (answer,) = model.complete([Prompt(turns, seed=1)])
    assert answer.prompt_tokens > 20


def test_a_chat_beyond_the_context_is_refused(model: TinyModel):
    long = ChatMessage("user", "é" * 300)
    with pytest.raises(ExampleError, match=r"maximum context length is 512 tokens.* 60\d tokens"):
        model.complete([Prompt((long,), seed=1)])


def test_an_empty_chat_is_refused(model: TinyModel):
    with pytest.raises(ExampleError, match="no messages"):
        model.complete([Prompt((), seed=1)])


def test_sampling_sees_the_same_chances_as_training(model: TinyModel):
    messages = chat(5, 3)
    (answer,) = model.complete([Prompt(messages, seed=3, top_logprobs=0)])
    assert answer.logprobs is not None
    full = (*messages, ChatMessage("assistant", answer.text))
    batch = training.as_batch([training.as_example(full)])
    trained = network.load(BASE_WEIGHTS)(batch.inputs, batch.wanted).log_softmax(-1).detach()
    expected = [float(row[token]) for row, token in zip(trained, batch.targets, strict=True)]
    found = [one.logprob for one in answer.logprobs]
    assert found == pytest.approx(expected[:-1], abs=1e-4)
