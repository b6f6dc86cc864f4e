"""Growing chats are encoded bit by bit, and always to the same bytes as at once."""

import json
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.records import Message
from rmft_api.providers.encoding import MessageEncoder, cache_key

messages = st.builds(Message, st.sampled_from(["user", "assistant", "system"]), st.text())


@settings(deadline=None)
@given(st.lists(st.lists(messages, min_size=1, max_size=3), max_size=12), st.integers(0, 2000))
def test_every_round_is_encoded_as_if_at_once(rounds: list[list[Message]], room: int) -> None:
    chats, chat = MessageEncoder(remembered_bytes=room), tuple[Message, ...]()
    for new in rounds:
        chat = (*chat, *new)
        assert chats.encode(chat) == msgspec.json.encode(chat)
        assert chats.encode(chat) == msgspec.json.encode(chat)


def test_chats_that_share_a_message_object_are_kept_apart() -> None:
    """The last message is the same object, what went before is not."""
    go_on = Message("user", "Go on.")
    one = (*(Message("user", f"a{i}") for i in range(20)), go_on)
    two = (*(Message("user", f"b{i}") for i in range(20)), go_on)
    chats = MessageEncoder()
    longer = (*one, Message("assistant", "x"), go_on)
    for chat in (one, two, longer):
        assert chats.encode(chat) == msgspec.json.encode(chat)


def test_a_long_chat_costs_no_more_than_its_new_round() -> None:
    text = 'Button "blue" paid 0.7.\n' * 6
    chats, chat = MessageEncoder(), tuple[Message, ...]()
    spent = dict[int, float]()
    for t in range(400):
        chat = (*chat, Message("assistant", text), Message("user", text))
        start = time.process_time()
        chats.encode(chat)
        spent[t] = time.process_time() - start
    whole = min(_timed(chat) for _ in range(5))
    last = sorted(spent[t] for t in range(380, 400))[10]
    assert last < whole / 3


def _timed(chat: tuple[Message, ...]) -> float:
    start = time.process_time()
    msgspec.json.encode(chat)
    return time.process_time() - start


def test_what_is_remembered_is_bounded() -> None:
    chats = MessageEncoder(remembered_bytes=10_000)
    for number in range(100):
        chat = tuple(Message("user", f"{number}/{i}" * 20) for i in range(10))
        json.loads(chats.encode(chat))
    assert chats.remembered_bytes <= 10_000


@pytest.mark.parametrize("n", [1, 2])
def test_chats_of_one_round_share_a_cache_by_their_instructions(n: int) -> None:
    told = [(Message("system", "Choose."), Message("user", f"scenario {i}")) for i in range(2)]
    assert cache_key(told[0][:n]) == cache_key(told[1][:n])


def test_grown_chats_have_a_cache_each() -> None:
    told = [
        (Message("system", "S"), Message("user", f"{i}"), Message("assistant", "a"))
        for i in range(2)
    ]
    assert cache_key(told[0]) != cache_key(told[1])
    assert cache_key(told[0]) == cache_key((*told[0], Message("user", "next")))
