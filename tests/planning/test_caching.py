"""What a prompt cache would answer is counted from the first token on, in whole pieces."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.records import Message
from rmft_api.datasets import tokens
from rmft_api.planning.caching import PIECE, PromptCache

COUNTER = tokens.counter_for("gpt-4.1")
HEAD = Message("system", "You are in a room with three buttons on the wall. " * 120)


def chat(*lines: str) -> tuple[Message, ...]:
    return (HEAD, Message("user", "\n".join(lines)))


def met(cache: PromptCache, messages: tuple[Message, ...]) -> int:
    return cache.cached(messages, COUNTER.chat(messages))


def test_a_history_that_grows_inside_one_message_is_cached_up_to_its_end() -> None:
    cache = PromptCache(COUNTER, 1024)
    rounds = [f"Round {t}: the red button, reward 0.{t:02}" for t in range(80)]
    assert met(cache, chat(*rounds[:40], "What do you choose?")) == 0
    whole = chat(*rounds[:41], "What do you choose?")
    cached = met(cache, whole)
    assert cached % PIECE == 0
    assert COUNTER.chat(whole) - cached < PIECE + 60


def test_short_prompts_and_prompts_that_begin_otherwise_are_not_cached() -> None:
    cache = PromptCache(COUNTER, 1024)
    short = (Message("system", "Press a button."),)
    assert [met(cache, short) for _ in range(3)] == [0, 0, 0]
    met(cache, chat("a"))
    other = (Message("system", f"! {HEAD.content}"), Message("user", "a"))
    assert met(cache, other) == 0
    assert met(PromptCache(COUNTER, None), chat("a")) == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=30), st.integers(0, 30))
def test_never_more_than_the_prompt_is_cached(lines: list[int], shared: int) -> None:
    cache = PromptCache(COUNTER, 128)
    told = [f"Round {t}: {line}" for t, line in enumerate(lines)]
    met(cache, chat(*told[:shared], "other words"))
    whole = chat(*told)
    assert 0 <= met(cache, whole) <= COUNTER.chat(whole)
