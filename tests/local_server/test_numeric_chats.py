"""Reading and writing chats of numbers."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.local_server.engine import ChatMessage, ExampleError
from rmft_api.local_server.numeric import chats


def asked(text: str) -> ChatMessage:
    return ChatMessage("user", text)


def said(text: str, weight: int = 1) -> ChatMessage:
    return ChatMessage("assistant", text, weight)


FIRST = '{"K":3,"rewards":[]}'
THIRD = '{"K":2,"rewards":[[0.1,0.9],[1,0]]}'


def test_a_question_holds_one_row_of_rewards_for_each_round_so_far():
    assert chats.read_question(FIRST).shape == (0, 3)
    assert chats.read_question(THIRD).tolist() == [[0.1, 0.9], [1, 0]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "not of the form"),
        ("", "not of the form"),
        ("[" * 100_000, "not of the form"),
        ('{"K":3}', "rewards"),
        ('{"K":3,"rewards":[],"T":25}', "`T`"),
        ('{"K":1,"rewards":[]}', ">= 2"),
        ('{"K":100000000,"rewards":[]}', "<= 1024"),
        ('{"K":2.5,"rewards":[]}', "int"),
        ('{"K":2,"rewards":[[0.1,0.2],[0.3]]}', "row 2 has 1 numbers, K is 2"),
        ('{"K":2,"rewards":[[0.1,0.2,0.3]]}', "row 1 has 3 numbers, K is 2"),
        ('{"K":2,"rewards":[[0.1,NaN]]}', "not of the form"),
        ('{"K":2,"rewards":[[0.1,null]]}', "null"),
        ('{"K":2,"rewards":[[0.1,1e999]]}', "not of the form"),
        ('{"K":2,"rewards":[[0.1,1e300]]}', "beyond"),
        ('{"K":2,"rewards":[[0.1,"0.2"]]}', "str"),
        ('{"K":2,"rewards":[[true,false]]}', "bool"),
    ],
)
def test_a_bad_question_is_refused_with_its_reason(text: str, why: str):
    with pytest.raises(ExampleError, match="(?s)" + why):
        chats.read_question(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"policy":[0.5,0.5]}', "2 numbers, K is 3"),
        ('{"policy":[0.5,0.6,0.1]}', "sums to 1.2"),
        ('{"policy":[1.5,-0.5,0]}', "has a negative probability"),
        ('{"policy":[NaN,0.5,0.5]}', "not of the form"),
        ('<Answer>{"policy":[1,0,0]}</Answer>', "not of the form"),
        ('{"policy":[]}', "0 numbers"),
    ],
)
def test_a_bad_policy_is_refused_with_its_reason(text: str, why: str):
    with pytest.raises(ExampleError, match=why):
        chats.read_policy(text, 3)


def test_rounding_of_a_policy_is_made_good():
    assert chats.read_policy('{"policy":[0.333,0.333,0.333]}', 3).tolist() == pytest.approx(
        [1 / 3] * 3, abs=1e-12
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8))
def test_what_is_written_is_read_back(drawn: list[int]):
    ends = sorted((0, *drawn, chats.UNITS))
    units = [high - low for low, high in pairwise(ends)]
    pieces = chats.pieces(units)
    assert len(pieces) == len(units)
    assert json.loads("".join(pieces))["policy"] == [unit / chats.UNITS for unit in units]
    assert chats.read_policy("".join(pieces), len(units)).tolist() == pytest.approx(
        [unit / chats.UNITS for unit in units]
    )


def test_every_weighted_answer_of_a_chat_is_a_lesson():
    policy = '{"policy":[1,0,0]}'
    chat = [ChatMessage("system", "be good"), asked(FIRST), said(policy)]
    assert len(list(chats.examples(chat))) == 1
    assert len(list(chats.examples([*chat, asked(FIRST), said(policy)]))) == 2
    assert len(list(chats.examples([*chat, asked(FIRST), said(policy, weight=0)]))) == 1


def test_an_answer_without_a_question_is_refused():
    with pytest.raises(ExampleError, match="must answer a user message"):
        list(chats.examples([said('{"policy":[1,0,0]}')]))


def test_a_chat_to_answer_ends_with_the_question():
    assert chats.asked([ChatMessage("system", "s"), asked(FIRST)]) == FIRST
    with pytest.raises(ExampleError, match="must end with a user message"):
        chats.asked([asked(FIRST), said("{}")])
    with pytest.raises(ExampleError, match="must end with a user message"):
        chats.asked([])
