"""Answers as JSON objects and tool calls: read strictly, never guessed at."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.answer_forms import (
    AnswerForm,
    call_text,
    form_of,
    messages_of_wire,
    schema,
    texts_of_calls,
    wire_turns,
)
from rmft_api.prompts import reader
from rmft_api.prompts.reader import ParsedReply, UnreadableReply

NAMES = ("blue", "green", "red")
FORMS: tuple[AnswerForm, ...] = (
    "action_json",
    "distribution_json",
    "policy_json",
    "action_tool",
    "distribution_tool",
    "policy_tool",
)


def read(text: str, form: AnswerForm, finish: str = "stop") -> ParsedReply | UnreadableReply:
    return reader.read(text, finish, None, NAMES, form)


def as_tool(arguments: str) -> str:
    return call_text("choose", arguments)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("why", ["", 'I "think" so,\nand so'])
def test_what_is_rendered_is_read(form: AnswerForm, why: str) -> None:
    policy = (0.0, 0.25, 0.75)
    said = read(reader.render(2, policy, NAMES, form, why), form)
    assert isinstance(said, ParsedReply)
    if form.startswith("action"):
        assert said.action == 2
    else:
        assert said.policy == policy
    assert (
        reader.reason(reader.render(2, policy, NAMES, form, why), form) == why.rpartition("\n")[2]
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "red"}',
        ' {"reasoning": "so", "answer": "RED."}\n',
        '```json\n{"answer": "red"}\n```',
        '{"answer": "red"}<|im_end|>',
    ],
)
def test_one_object_with_one_name_is_an_answer(text: str) -> None:
    said = read(text, "action_json")
    assert isinstance(said, ParsedReply)
    assert said.action == 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "empty"),
        ("red", "no_answer"),
        ('I take red. {"answer": "red"}', "no_answer"),
        ('{"answer": "red"} {"answer": "blue"}', "no_answer"),
        ('{"answer": "red"} or not', "no_answer"),
        ('{"answer": "red", "answer": "blue"}', "several_answers"),
        ('{"reasoning": "a", "reasoning": "b", "answer": "red"}', "several_answers"),
        ('{"answer": "red", "choice": "blue"}', "wrong_form"),
        ('{"answer": ["red"]}', "wrong_form"),
        ('{"answer": "red or blue"}', "wrong_form"),
        ('{"answer": null}', "wrong_form"),
        ('{"choice": "red"}', "no_answer"),
        ('["red"]', "wrong_form"),
        ('{"answer": "red"', "no_answer"),
        ("[" * 100_000, "no_answer"),
    ],
)
def test_anything_else_is_none(text: str, cause: str) -> None:
    said = read(text, "action_json")
    assert isinstance(said, UnreadableReply)
    assert said.cause == cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"answer": "red"}', "no_answer"),
        (as_tool('{"answer": "red"}') * 2, "several_answers"),
        (as_tool('{"answer": "red"}') + " no, blue", "text_after"),
        (call_text("other", '{"answer": "red"}'), "wrong_form"),
        (as_tool('{"answer": "red"}, "arguments": {"answer": "blue"}'), "several_answers"),
        (as_tool('{"answer": "red"}, "more": 1'), "wrong_form"),
        (as_tool("not json"), "no_answer"),
        ("</tool_call><tool_call>", "no_answer"),
    ],
)
def test_a_call_that_is_not_one_whole_choice_decides_nothing(text: str, cause: str) -> None:
    said = read(text, "action_tool")
    assert isinstance(said, UnreadableReply)
    assert said.cause == cause


@pytest.mark.parametrize(
    "weights",
    [
        '{"blue": -1, "red": 2}',
        '{"blue": true}',
        '{"blue": NaN}',
        '{"blue": 1e999}',
        '{"pink": 1}',
        '{"blue": 0}',
        '{"blue": 1, "BLUE": 1}',
        '{"blue": "1"}',
        "[1, 2, 3]",
    ],
)
def test_weights_that_are_no_distribution_decide_nothing(weights: str) -> None:
    for wrap in (str, as_tool):
        form = form_of("distribution", "tool" if wrap is as_tool else "json")
        said = read(wrap(f'{{"answer": {weights}}}'), form)
        assert isinstance(said, UnreadableReply), said


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["answer", "policy", "reasoning", "name", "arguments", *NAMES]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
_PIECES = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        '{"answer": "red"}',
        '"answer"',
        "red",
        "```",
        "<|im_end|>",
        " ",
    ]
)
_ODD = _JSON.map(json.dumps) | st.lists(_PIECES | st.text(max_size=4), max_size=6).map("".join)


@settings(max_examples=1500, deadline=None)
@given(_ODD, st.sampled_from(FORMS), st.booleans())
def test_an_odd_reply_never_raises_and_what_is_read_is_in_it_once(
    text: str, form: AnswerForm, call: bool
) -> None:
    said = read(as_tool(text) if call else text, form)
    if isinstance(said, UnreadableReply):
        assert said.why
        return
    assert sum(said.policy) == pytest.approx(1)
    assert all(p >= 0 for p in said.policy)
    if said.action is not None:
        assert NAMES[said.action] in text.casefold()
        assert text.count('"answer"') == 1


def test_calls_become_turns_of_the_wire_and_come_back() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": f"So.\n{as_tool(json.dumps({'answer': 'red'}))}"},
        {"role": "user", "content": "Again"},
        {"role": "assistant", "content": "no call"},
        {"role": "assistant", "content": as_tool('{"answer": "blue"}'), "weight": 1},
    ]
    turns = wire_turns(messages)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "user"] + [
        "assistant"
    ] * 2
    assert turns[1]["content"] == "So."
    assert turns[1]["tool_calls"][0]["id"] == turns[2]["tool_call_id"]
    assert "content" not in turns[-1]
    assert messages_of_wire(turns) == messages


def test_what_is_no_call_of_the_tool_stays_text_that_cannot_be_read() -> None:
    for calls in ([{"function": {"name": 3}}], ["x"], {"a": 1}, [{"function": {"name": "f"}}]):
        assert isinstance(read(texts_of_calls(calls), "action_tool"), UnreadableReply)
    told = [{"function": {"name": "choose", "arguments": '{"answer": "red"}'}}]
    assert isinstance(read(texts_of_calls(told), "action_tool"), ParsedReply)
    assert isinstance(read(texts_of_calls(told * 2), "action_tool"), UnreadableReply)


def test_a_schema_allows_the_names_alone() -> None:
    wanted = schema("action_json", NAMES, True)
    assert wanted["properties"]["answer"]["enum"] == list(NAMES)
    assert wanted["required"] == ["reasoning", "answer"]


@pytest.mark.parametrize(
    "text",
    [
        "<answer>blue</answer>",
        "So. <ANSWER>Blue.</ANSWER>",
        "<Answer>blue</Answer><|im_end|>",
        "<Answer>blue</Answer>\n</s>",
    ],
)
def test_tags_in_another_case_full_stops_and_leaked_end_tokens_are_forgiven(text: str) -> None:
    said = reader.read(text, "stop", None, NAMES, "action")
    assert isinstance(said, ParsedReply)
    assert said.action == 0


@pytest.mark.parametrize(
    "text",
    [
        "<answer>blue</answer><Answer>red</Answer>",
        "<Answer>blue</Answer><|im_end|>\n<|im_start|>user",
        "<Answer>blue</Answer><|im_end|> or red",
        "<Answer>blue, red.</Answer>",
        "<an\u017fwer>blue</an\u017fwer>",
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert isinstance(reader.read(text, "stop", None, NAMES, "action"), UnreadableReply)


def test_a_tool_call_that_nobody_asked_for_is_told_as_one() -> None:
    said = reader.read(None, "tool_calls", None, NAMES, "action")
    assert isinstance(said, UnreadableReply)
    assert said.cause == "tool_call"
    assert "a tool was called though none was offered" in said.why
