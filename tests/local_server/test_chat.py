import itertools
import json
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionToolParam,
)

from rmft_api.core.answer_forms import call_text, tools
from rmft_api.local_server import chat_answer
from rmft_api.local_server.chat_request import ChatRequest, choice_seed, read_chat
from rmft_api.local_server.engine import AnswerToken, SampledText
from rmft_api.local_server.refusals import RequestError
from tests.local_server.serving import HELLO, Served, served

MODEL = "scripted-1"


def text(client: openai.OpenAI, seed: int | None = None) -> str:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, seed=seed)
    return str(answer.choices[0].message.content)


def test_the_sdk_reads_an_answer_with_its_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, seed=1)
    assert answer.model == MODEL
    assert answer.choices[0].message.content is not None
    assert answer.choices[0].message.content.startswith("I choose ")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 3)
    assert answer.usage.total_tokens == 5


def test_an_answer_passes_the_sdks_own_strict_check(server: Served) -> None:
    status, body = server.chat(n=2, logprobs=True, top_logprobs=1)
    assert status == 200
    ChatCompletion.model_validate(body, strict=True)


def test_the_same_seed_gives_the_same_answer(client: openai.OpenAI) -> None:
    assert text(client, seed=1) == text(client, seed=1)
    assert len({text(client, seed=seed) for seed in range(8)}) > 1


def test_without_a_seed_every_request_draws_one(client: openai.OpenAI) -> None:
    assert len({text(client) for _ in range(8)}) > 1


def test_n_choices_differ_and_the_first_is_that_of_a_request_for_one(
    client: openai.OpenAI,
) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, seed=1, n=8)
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == list(range(8))
    assert texts[0] == text(client, seed=1)
    assert texts[3] == text(client, seed=choice_seed(1, 3))
    assert len(set(texts)) > 1


def test_the_prompt_of_n_choices_is_counted_once(client: openai.OpenAI) -> None:
    usage = client.chat.completions.create(model=MODEL, messages=HELLO, n=3).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (2, 9)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_the_answer(server: Served, name: str) -> None:
    choice = server.chat(**{name: 2})[1]["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("I choose", "length")


@pytest.mark.parametrize("stop", [" choose", ["zebra", " choose"]])
def test_a_stop_sequence_ends_the_answer_before_itself(
    client: openai.OpenAI, stop: str | list[str]
) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, stop=stop)
    assert answer.choices[0].message.content == "I"
    assert answer.choices[0].finish_reason == "stop"


def test_logprobs_come_per_token_and_only_when_asked_for(client: openai.OpenAI) -> None:
    asked = client.chat.completions.create(
        model=MODEL, messages=HELLO, logprobs=True, top_logprobs=1, max_tokens=1
    )
    assert asked.choices[0].logprobs is not None
    assert asked.choices[0].logprobs.content is not None
    token = asked.choices[0].logprobs.content[0]
    assert (token.token, token.logprob, token.bytes) == ("I", 0.0, [73])
    assert [rival.token for rival in token.top_logprobs] == ["I"]
    plain = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert plain.choices[0].logprobs is None


def test_a_stream_tells_the_same_answer_piece_by_piece(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, seed=1, stream=True)
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == text(client, seed=1)
    assert len(pieces) == 5
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 4 + ["stop"]
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_ends_with_the_usage_when_asked(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        stream=True,
        n=2,
        stream_options={"include_usage": True},
    )
    *told, last = list(stream)
    ChatCompletionChunk.model_validate(last.model_dump())
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in told)
    assert {chunk.choices[0].index for chunk in told} == {0, 1}
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 6


def test_text_parts_and_developer_turns_are_read(server: Served) -> None:
    parts = [{"type": "text", "text": "one two"}, {"type": "text", "text": " three"}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    status, body = server.chat(messages=messages)
    assert (status, body["usage"]["prompt_tokens"]) == (200, 5)


NEUTRAL: dict[str, object] = {
    "user": "me",
    "metadata": {"a": "b"},
    "store": False,
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "logit_bias": {},
    "response_format": {"type": "json_object"},
    "chat_template_kwargs": {"enable_thinking": False},
    "tools": [{"type": "function", "function": {"name": "choose"}}],
    "tool_choice": "none",
    "modalities": ["text"],
    "temperature": None,
    "seed": None,
    "stop": None,
    "n": None,
}


def test_fields_that_ask_for_nothing_special_are_taken(server: Served) -> None:
    status, body = server.chat(**NEUTRAL)
    assert status == 200, body


REFUSED: list[tuple[dict[str, object], str | None, str | None]] = [
    ({"temperture": 1}, "temperture", "unknown_parameter"),
    ({"temperature": 3}, "temperature", "decimal_above_max_value"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"top_p": -1}, "top_p", "decimal_below_min_value"),
    ({"n": 0}, "n", "integer_below_min_value"),
    ({"n": 129}, "n", "integer_above_max_value"),
    ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_parameter_combination"),
    ({"stop": ["a"] * 5}, "stop", "array_above_max_length"),
    ({"stop": ""}, "stop", "string_below_min_length"),
    ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
    ({"stream_options": {}}, "stream_options", "invalid_value"),
    ({"frequency_penalty": 1}, "frequency_penalty", "unsupported_parameter"),
    ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
    ({"messages": []}, "messages", "array_below_min_length"),
    ({"messages": "hi"}, "messages", "invalid_type"),
    ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [*HELLO, {"role": "robot", "content": ""}]}, "messages[1].role", "invalid_value"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
    ),
    ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages", "invalid_value"),
    (
        {"messages": [{"role": "user", "content": "word " * 3000}]},
        "messages",
        "context_length_exceeded",
    ),
    ({"model": 3}, "model", "invalid_type"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
def test_a_wrong_field_is_named_in_openais_shape(
    server: Served, fields: dict[str, object], param: str | None, code: str | None
) -> None:
    status, body = server.chat(**fields)
    assert status == 400
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"] == "invalid_request_error"
    assert (body["error"]["param"], body["error"]["code"]) == (param, code)


def test_an_unknown_model_is_404_for_the_sdk(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-nothing", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "gpt-nothing" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"model": "\\ud800"}', b'{"n": NaN}', b"[" * 100_000],
)
def test_a_body_that_is_no_request_gets_400(server: Served, body: bytes) -> None:
    status, answer = server.request("POST", "/v1/chat/completions", body)
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"


def test_a_body_above_the_limit_gets_413(server: Served) -> None:
    status, answer = server.request("POST", "/v1/chat/completions", b" " * (8 * 2**20 + 1))
    assert (status, answer["error"]["code"]) == (413, "request_too_large")


def test_unknown_paths_and_methods_are_refused_in_openais_shape(server: Served) -> None:
    assert server.request("GET", "/v1/nothing")[1]["error"]["code"] == "unknown_url"
    status, body = server.request("GET", "/v1/chat/completions")
    assert (status, body["error"]["code"]) == (405, "method_not_supported")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(ChatRequest.__struct_fields__)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_json_is_read_or_refused(fields: dict[str, object]) -> None:
    body = json.dumps({"model": MODEL, "messages": HELLO, **fields}).encode()
    try:
        assert read_chat(body).prompts()
    except RequestError as refusal:
        assert refusal.status == 400


@settings(max_examples=100, deadline=None)
@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        read_chat(body)


STATE = {"names": ["A", "B"], "output": "action_tool", "counts": [1, 0], "sums": [0.5, 0.0]}


@pytest.fixture(scope="module")
def players(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    with served(tmp_path_factory.mktemp("players"), "--engine", "players") as one:
        yield openai.OpenAI(base_url=one.base_url, api_key="none", max_retries=0)


@pytest.mark.parametrize("reasoned", [False, True])
def test_a_streamed_tool_call_is_one_to_the_clients_own_reader(
    players: openai.OpenAI, reasoned: bool
) -> None:
    told = cast("list[ChatCompletionToolParam]", tools("action_tool", ("A", "B"), reasoned))
    seen = {"visible_state": {**STATE, "reasoned": reasoned}}

    def whole() -> ChatCompletion:
        return players.chat.completions.create(
            model="scripted-ucb1", messages=HELLO, tools=told, n=2, seed=3, extra_body=seen
        )

    with players.chat.completions.stream(
        model="scripted-ucb1", messages=HELLO, tools=told, n=2, seed=3, extra_body=seen
    ) as stream:
        kinds = {event.type for event in stream}
        read = stream.get_final_completion()
    assert "tool_calls.function.arguments.delta" in kinds
    for one, other in zip(read.choices, whole().choices, strict=True):
        assert one.finish_reason == other.finish_reason == "tool_calls"
        (call,) = one.message.tool_calls or []
        (expected,) = other.message.tool_calls or []
        assert isinstance(expected, ChatCompletionMessageFunctionToolCall)
        assert (call.id, call.type) == (expected.id, "function")
        assert call.function.name == expected.function.name == "choose"
        assert json.loads(call.function.arguments) == json.loads(expected.function.arguments)
        assert (one.message.content or "").strip() == (other.message.content or "").strip()


@given(
    words=st.text("ab <\n", max_size=12),
    calls=st.booleans(),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=40),
)
def test_however_it_is_cut_a_streamed_reply_with_tools_says_what_the_whole_one_says(
    words: str, calls: bool, sizes: list[int]
) -> None:
    call = call_text("choose", '{"answer": "A"}') if calls else ""
    text, pieces, start = words + call, list[str](), 0
    for size in itertools.cycle(sizes):
        if start >= len(text):
            break
        pieces.append(text[start : start + size])
        start += size
    sampled = SampledText(tuple(pieces), "stop", 3, len(pieces))
    stream = chat_answer.Stream("c", 1, "m", 1, False, offers_tools=True)
    first = pieces[: len(pieces) // 2]
    early = b"".join(stream.piece(0, n, AnswerToken(one)) for n, one in enumerate(first))
    events = early + stream.rest([sampled])
    deltas: list[dict[str, Any]] = [
        json.loads(line[6:])["choices"][0]["delta"]
        for line in events.split(b"\n\n")
        if line.startswith(b"data: {")
    ]
    content = "".join(delta.get("content") or "" for delta in deltas)
    called: list[dict[str, Any]] = [one for delta in deltas for one in delta.get("tool_calls", [])]
    arguments = "".join(str(one["function"]["arguments"]) for one in called)
    assert content.strip() == words.strip()
    assert arguments == ('{"answer": "A"}' if calls else "")
