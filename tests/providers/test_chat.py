"""What the chat adapter sends, and what it makes of replies of every kind."""

import asyncio
import json
from typing import Any

import pytest

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, Choice, Message, Sampling, Usage
from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import Profile, load
from rmft_api.requests.pacing import Pacer
from tests.providers.conftest import CANARY, ENVIRON
from tests.providers.stub import Meets, StubProvider

MODEL = "gpt-4.1-mini"
MESSAGES = (Message("system", "Choose."), Message("user", "Which?"))


def ask(n: int = 1, model: str = MODEL, messages: tuple[Message, ...] = MESSAGES) -> ChatRequest:
    return ChatRequest("test/0/0/0/0", model, messages, n, 7, Sampling(max_tokens=16, stop=("\n",)))


def reply(**changes: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [choice(0)],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
        **changes,
    }


def choice(index: int, content: str | None = "blue", finish: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


async def fault_of(chat: ChatModel, asked: ChatRequest | None = None) -> ProviderFault:
    with pytest.raises(ProviderFault) as caught:
        await chat.reply(asked or ask())
    assert "\n" not in str(caught.value)
    assert CANARY not in repr(caught.value) + str(caught.value)
    return caught.value


async def test_the_request_holds_what_was_asked_and_nothing_else(
    connection: Connection, stub: StubProvider
) -> None:
    await connection.chat.reply(ask(n=3))
    (seen,) = stub.asked("chat")
    body = seen.json
    assert len(body.pop("prompt_cache_key")) == 24
    assert body == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Choose."},
            {"role": "user", "content": "Which?"},
        ],
        "temperature": 1.0,
        "n": 3,
        "max_completion_tokens": 16,
        "seed": 7,
        "stop": ["\n"],
    }
    assert seen.headers["authorization"] == f"Bearer {CANARY}"


async def test_a_profile_decides_which_fields_are_sent(stub: StubProvider) -> None:
    profile = load("openai-compatible").at(stub.url)
    async with connect(profile, environ={}) as connection:
        await connection.chat.reply(ask())
    (seen,) = stub.asked("chat")
    assert seen.json["max_tokens"] == 16
    assert seen.json.keys().isdisjoint({"n", "max_completion_tokens", "prompt_cache_key"})
    assert "authorization" not in seen.headers


async def test_more_choices_than_the_endpoint_gives_are_refused_here(
    stub: StubProvider,
) -> None:
    profile = load("openai-compatible").at(stub.url)
    async with connect(profile, environ={}) as connection:
        with pytest.raises(ConfigError, match=r"n=2.*chat\.n=1"):
            await connection.chat.reply(ask(n=2))
    assert not stub.seen


async def test_project_and_organisation_reach_their_own_endpoint_alone(
    profile: Profile, stub: StubProvider
) -> None:
    environ = {**ENVIRON, "OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-1"}
    for one in (profile, load("openai-compatible").at(stub.url)):
        async with connect(one, environ=environ) as connection:
            await connection.chat.reply(ask())
    first, second = stub.asked("chat")
    assert first.headers["openai-project"] == "proj-1"
    assert first.headers["openai-organization"] == "org-1"
    assert "openai-project" not in second.headers


async def test_a_growing_chat_is_sent_whole_in_every_round(
    connection: Connection, stub: StubProvider
) -> None:
    messages = MESSAGES
    for t in range(8):
        await connection.chat.reply(ask(messages=messages))
        messages = (*messages, Message("assistant", f"a{t}"), Message("user", f'"{t}"\n'))
        told = stub.asked("chat")[-1].json["messages"]
        assert len(told) == 2 * t + 2
    final = stub.asked("chat")[-1].json["messages"]
    assert final == [{"role": m.role, "content": m.content} for m in messages[:-2]]


async def test_choices_come_in_order_whatever_order_they_were_sent_in(
    connection: Connection, stub: StubProvider
) -> None:
    stub.plan("chat", Meets(body=reply(choices=[choice(1, "b"), choice(0, "a")])))
    answered = await connection.chat.reply(ask(n=2))
    assert answered.choices == (Choice("a", "stop"), Choice("b", "stop"))
    assert answered.usage == Usage(9, 2, 0)


async def test_a_refusal_is_an_answer(connection: Connection, stub: StubProvider) -> None:
    message = {"role": "assistant", "content": None, "refusal": "No."}
    stub.plan("chat", Meets(body=reply(choices=[{**choice(0), "message": message}])))
    (only,) = (await connection.chat.reply(ask())).choices
    assert only == Choice(None, "stop", "No.")


@pytest.mark.parametrize("finish", ["length", "content_filter", "tool_calls"])
async def test_how_an_answer_ended_is_passed_on(
    connection: Connection, stub: StubProvider, finish: str
) -> None:
    stub.plan("chat", Meets(body=reply(choices=[choice(0, "", finish)])))
    assert (await connection.chat.reply(ask())).choices[0].finish_reason == finish


async def test_a_dated_snapshot_may_answer_for_its_name(
    connection: Connection, stub: StubProvider
) -> None:
    stub.alias[MODEL] = f"{MODEL}-2025-04-14"
    assert (await connection.chat.reply(ask())).model == f"{MODEL}-2025-04-14"


async def test_another_model_may_answer_only_where_the_profile_says_so(
    profile: Profile, stub: StubProvider
) -> None:
    stub.alias[MODEL] = "gpt-4.1-mini-turbo"
    async with connect(profile, environ=ENVIRON) as connection:
        fault = await fault_of(connection.chat)
    assert fault.kind is FaultKind.NO_ANSWER
    assert "gpt-4.1-mini-turbo" in str(fault)
    lax = profile.model_copy(
        update={"chat": profile.chat.model_copy(update={"check_model": False})}
    )
    async with connect(lax, environ=ENVIRON) as connection:
        assert (await connection.chat.reply(ask())).model == "gpt-4.1-mini-turbo"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": "nine", "completion_tokens": 1},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": 9, "completion_tokens": 10**12},
        {
            "prompt_tokens": 9,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 99},
        },
    ],
)
async def test_a_usage_that_cannot_be_true_is_none(
    connection: Connection, stub: StubProvider, usage: Any
) -> None:
    stub.plan("chat", Meets(body=reply(usage=usage)))
    answered = await connection.chat.reply(ask())
    assert answered.usage is None
    assert answered.choices[0].content == "blue"


async def test_cached_tokens_are_counted(connection: Connection, stub: StubProvider) -> None:
    usage = {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "prompt_tokens_details": {"cached_tokens": 1920},
    }
    stub.plan("chat", Meets(body=reply(usage=usage)))
    assert (await connection.chat.reply(ask())).usage == Usage(2006, 300, 1920)


@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (b'"half \\ud800 pair"', "half \ufffd pair"),
        (b'"\\udfff"', "\ufffd"),
        (b'"bad \xff byte"', "bad \ufffd byte"),
        (b'"whole \\ud83d\\ude00 pair"', "whole 😀 pair"),
        (b'"nul \\u0000"', "nul \x00"),
    ],
)
async def test_text_that_cannot_be_stored_is_mended(
    connection: Connection, stub: StubProvider, raw: bytes, content: str
) -> None:
    body = json.dumps(reply()).encode().replace(b'"blue"', raw)
    stub.plan("chat", Meets(body=body))
    assert (await connection.chat.reply(ask())).choices[0].content == content


async def test_a_logprob_that_is_no_number_does_not_matter(
    connection: Connection, stub: StubProvider
) -> None:
    body = json.dumps(reply()).encode().replace(b'"logprobs": null', b'"logprobs": NaN')
    stub.plan("chat", Meets(body=body))
    assert (await connection.chat.reply(ask())).choices[0].content == "blue"


MALFORMED: dict[str, bytes | dict[str, Any]] = {
    "html": b"<html><body>Please log in</body></html>",
    "empty": b"",
    "empty object": {},
    "half of it": b'{"id": "x", "choices": [{',
    "a list": b"[]",
    "no choices": reply(choices=None),
    "choices empty": reply(choices=[]),
    "content is a number": reply(choices=[choice(0) | {"message": {"content": 5}}]),
    "error in a 200": {"error": {"message": "upstream failed", "type": "server_error"}},
    "error as text": {"error": "upstream failed"},
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_reply_that_is_no_answer_is_told_from_one_that_was_lost(
    connection: Connection, stub: StubProvider, name: str
) -> None:
    stub.plan("chat", Meets(body=MALFORMED[name]))
    assert (await fault_of(connection.chat)).kind is FaultKind.NO_ANSWER


async def test_duplicate_places_are_not_a_reply(connection: Connection, stub: StubProvider) -> None:
    stub.plan("chat", Meets(body=reply(choices=[choice(0), choice(0)])))
    fault = await fault_of(connection.chat, ask(n=2))
    assert fault.kind is FaultKind.NO_ANSWER


async def test_an_endpoint_that_ignores_n_is_named(
    connection: Connection, stub: StubProvider
) -> None:
    stub.plan("chat", Meets(body=reply()))
    assert "chat.n = 1" in str(await fault_of(connection.chat, ask(n=4)))


@pytest.mark.parametrize("manner", ["reset", "truncated", "after"])
async def test_a_lost_reply_may_have_been_billed(
    connection: Connection, stub: StubProvider, manner: Any
) -> None:
    stub.plan("chat", Meets(manner=manner))
    assert (await fault_of(connection.chat)).kind is FaultKind.AMBIGUOUS


@pytest.mark.parametrize(
    "meets",
    [Meets(manner="reset"), Meets(manner="truncated"), Meets(500, b"oops"), Meets(408, b"")],
)
async def test_a_reply_that_is_lost_where_nobody_bills_is_simply_asked_for_again(
    profile: Profile, stub: StubProvider, meets: Meets
) -> None:
    stub.plan("chat", meets)
    free = profile.model_copy(update={"paid": False})
    async with connect(free, environ=ENVIRON) as connection:
        assert (await fault_of(connection.chat)).kind is FaultKind.SAFE


async def test_a_reply_that_makes_no_sense_is_not_asked_for_again_and_again_though_it_is_free(
    profile: Profile, stub: StubProvider
) -> None:
    stub.plan("chat", Meets(body=reply(choices=None)))
    free = profile.model_copy(update={"paid": False})
    async with connect(free, environ=ENVIRON) as connection:
        assert (await fault_of(connection.chat)).kind is FaultKind.NO_ANSWER


async def test_nothing_is_sent_twice_by_itself(connection: Connection, stub: StubProvider) -> None:
    stub.plan("chat", Meets(500, b"oops"), Meets(manner="reset"), Meets(409, b""))
    for _ in range(3):
        await fault_of(connection.chat)
    assert len(stub.asked("chat")) == 3


@pytest.mark.parametrize("manner", ["hang", "drip"])
async def test_a_silent_or_endless_reply_is_given_up(
    profile: Profile, stub: StubProvider, manner: Any
) -> None:
    waits = profile.timeouts.model_copy(update={"chat_s": 0.2})
    stub.plan("chat", Meets(manner=manner))
    impatient = profile.model_copy(update={"timeouts": waits})
    async with asyncio.timeout(5), connect(impatient, environ=ENVIRON) as connection:
        assert (await fault_of(connection.chat)).kind is FaultKind.AMBIGUOUS


async def test_a_closed_port_was_certainly_not_reached(profile: Profile) -> None:
    async with connect(profile.at("http://127.0.0.1:9/v1"), environ=ENVIRON) as connection:
        fault = await fault_of(connection.chat)
    assert fault.kind is FaultKind.SAFE
    assert "no connection" in str(fault)


async def test_an_unknown_host_was_certainly_not_reached(profile: Profile) -> None:
    there = profile.at("https://no-such-host.invalid/v1")
    async with connect(there, environ=ENVIRON) as connection:
        assert (await fault_of(connection.chat)).kind is FaultKind.SAFE


async def test_a_redirect_is_not_followed_with_the_key(
    connection: Connection, stub: StubProvider
) -> None:
    stub.plan("chat", Meets(302, b"", {"location": f"{stub.url}/files"}))
    assert (await fault_of(connection.chat)).kind is FaultKind.STOP
    assert len(stub.seen) == 1


async def test_a_new_model_that_is_not_found_is_waited_for(
    connection: Connection,
) -> None:
    fault = await fault_of(connection.chat, ask(model="ft:gpt-4.1-mini:org::x"))
    assert fault.kind is FaultKind.WAIT


async def test_the_pacer_hears_of_every_end(profile: Profile, stub: StubProvider) -> None:
    stub.plan("chat", Meets(429, b"{}"), Meets(manner="reset"), Meets(body={}))
    pacer = Pacer(4)
    async with connect(profile, environ=ENVIRON, pacer=pacer) as connection:
        for _ in range(3):
            await pacer(ask())
            assert pacer.under_way == 1
            await fault_of(connection.chat)
            assert pacer.under_way == 0
        await pacer(ask())
        await connection.chat.reply(ask())
    assert pacer.under_way == 0


async def test_a_request_never_waits_for_another_ones_reply(
    connection: Connection, stub: StubProvider
) -> None:
    stub.plan("chat", *[Meets(manner="hang")] * 200)
    slow = [asyncio.create_task(connection.chat.reply(ask())) for _ in range(200)]
    async with asyncio.timeout(20):
        await stub.reached("chat", 200)
        assert (await connection.chat.reply(ask())).choices
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_a_missing_key_is_told_before_anything_is_sent(profile: Profile) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        connect(profile, environ={})
