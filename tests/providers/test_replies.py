"""Replies of every form: read as a person would, asked for again, or a stop that helps."""

import asyncio
import codecs
import gzip
import json
import re
import sys
import tomllib
from collections.abc import Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from rmft_api.core.errors import (
    ConfigError,
    FaultKind,
    Mismatch,
    ProviderFault,
    RmftError,
)
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Sampling,
    Usage,
)
from rmft_api.prompts import reader
from rmft_api.providers.profile import Profile, checked
from rmft_api.providers.replies import Replies
from rmft_api.requests.retries import NO_ANSWERS, Retries
from tests.providers import odd_replies
from tests.providers.odd_replies import MODEL, NAMES, Drawn
from tests.virtual import VirtualTime

SWEEP = range(1500)
AT_ONCE = 4
"""Requests under way when the first of them stops the run."""
ANSWER = "I take it. <Answer>red</Answer>"
Table = dict[str, Any]


def replies(**chat: Any) -> Replies:
    return Replies(profile(chat))


def profile(chat: Mapping[str, Any]) -> Profile:
    told = {"name": "odd", "base_url": "http://127.0.0.1:9/v1", "chat": {"n": 8, **chat}}
    return checked("odd", told)


def ask(n: int = 1) -> ChatRequest:
    return ChatRequest("k", MODEL, (Message("user", "Which?"),), n, 7, Sampling())


def told(message: Any = None, *, choice: Table | None = None, **more: Any) -> bytes:
    said = {"content": ANSWER} if message is None else message
    one = {"index": 0, "message": said, "finish_reason": "stop", **(choice or {})}
    usage = {"prompt_tokens": 50, "completion_tokens": 12}
    return json.dumps({"model": MODEL, "choices": [one], "usage": usage, **more}).encode()


def read(
    body: bytes, n: int = 1, headers: Mapping[str, str] | None = None, **chat: Any
) -> ChatResponse:
    return replies(**chat).read(ask(n), 200, headers or {}, body)


def only(body: bytes, **chat: Any) -> Choice:
    (choice,) = read(body, **chat).choices
    return choice


def fault_of(body: bytes, n: int = 1, **more: Any) -> ProviderFault:
    with pytest.raises(ProviderFault) as caught:
        read(body, n, **more)
    assert "\n" not in str(caught.value)
    return caught.value


def judged(choice: Choice) -> reader.ParsedReply | reader.UnreadableReply:
    return reader.read(
        choice.content, choice.finish_reason, choice.refusal, NAMES, "action", choice.thoughts
    )


def check(drawn: Drawn, reply: ChatResponse) -> None:
    """What was read is what a person would read."""
    assert drawn.truth != "none", drawn.notes
    assert len(reply.choices) == drawn.n
    found = [judged(choice) for choice in reply.choices]
    if drawn.truth == "answer":
        acted = [one.action for one in found if isinstance(one, reader.ParsedReply)]
        assert sorted(map(str, acted)) == sorted(map(str, drawn.actions))
    else:
        assert any(isinstance(one, reader.UnreadableReply) for one in found)
    known = drawn.tokens and Usage(*drawn.tokens)
    assert reply.usage == (known or None)


@pytest.mark.parametrize("part", range(10))
def test_no_reply_that_is_no_answer_is_read_and_no_answer_is_refused(part: int) -> None:
    faults = 0
    for seed in SWEEP[part::10]:
        drawn = odd_replies.drawn(seed)
        try:
            reply = read(drawn.body, drawn.n, drawn.headers, **drawn.profile)
        except ProviderFault as fault:
            faults += 1
            assert drawn.truth == "none", (seed, str(fault))
            assert fault.kind is not FaultKind.AMBIGUOUS
            assert "\n" not in str(fault)
            follow(drawn, fault)
        else:
            check(drawn, reply)
    assert 20 < faults < 130


def test_any_value_may_stand_anywhere_in_a_reply() -> None:
    """It is read or it is a fault, and what is read can be judged and kept."""
    faults = 0
    for seed in range(3000):
        body = odd_replies.mutated(seed)
        for rule in ("separate", "inline"):
            try:
                reply = read(body, thoughts=rule)
            except ProviderFault as fault:
                faults += 1
                assert "\n" not in str(fault)
            else:
                judged(reply.choices[0])
                assert msgspec.json.decode(msgspec.json.encode(reply), type=ChatResponse) == reply
    assert 1000 < faults < 4000


def follow(drawn: Drawn, fault: ProviderFault) -> None:
    """Do what the message advises: the same endpoint then gives no fault of that form."""
    said = str(fault)
    n, chat = drawn.n, dict(drawn.profile)
    if "set chat.n = 1" in said:
        n = 1
    elif "set chat.check_model = false" in said:
        chat["check_model"] = False
    elif found := re.search(r"set (chat\.finish_reasons = \{[^}]*\})", said):
        chat["finish_reasons"] = tomllib.loads(found[1])["chat"]["finish_reasons"]
    elif fault.mismatch is not None:
        assert "check that base_url" in said or "Content-Encoding" in said, said
        return
    else:
        return
    try:
        read(drawn.body, n, drawn.headers, **chat)
    except ProviderFault as further:
        assert further.mismatch != fault.mismatch


async def test_an_endpoint_that_never_answers_is_left_after_a_few_replies() -> None:
    """Whatever it replies instead: the run stops, or goes through what a fault allows."""
    bodies = {
        drawn.body: drawn for drawn in map(odd_replies.drawn, SWEEP[:600]) if drawn.truth == "none"
    }
    for drawn in bodies.values():
        met, error = await run_against(drawn)
        if met[-1].kind is FaultKind.NO_ANSWER:
            assert error is not None
            assert len(met) < NO_ANSWERS + AT_ONCE
        if met[-1].mismatch is not None:
            assert isinstance(error, ConfigError)
            assert len(met) <= 2 + AT_ONCE - 1


async def run_against(drawn: Drawn) -> tuple[list[ProviderFault], Exception | None]:
    """Four requests at a time until one stops the run, or twenty have ended."""
    time = VirtualTime()
    retries = Retries(clock=time.clock, sleep=time.sleep, jitter=lambda: 1.0)
    endpoint, met = replies(**drawn.profile), list[ProviderFault]()

    async def attempt() -> ChatResponse:
        await asyncio.sleep(0)
        try:
            return endpoint.read(ask(drawn.n), 200, drawn.headers, drawn.body)
        except ProviderFault as fault:
            met.append(fault)
            raise

    numbers = count()

    async def work() -> None:
        while next(numbers) < 20:
            try:
                await retries.send(attempt, "call")
            except ProviderFault:
                continue

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        error = errors.exceptions[0]
        assert isinstance(error, RmftError)
        return met, error
    return met, None


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_that_nobody_asked_for_is_read_as_one_reply(seed: int) -> None:
    body, text = odd_replies.stream_of(seed)
    assert only(body) == Choice(text, "stop")
    broken = fault_of(body[: len(body) // 2])
    assert (broken.kind, broken.mismatch) == (FaultKind.NO_ANSWER, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "Provider returned error"}, FaultKind.SAFE),
        ({"code": "429", "message": "x"}, FaultKind.SAFE),
        ({"status": "RESOURCE_EXHAUSTED", "message": "x"}, FaultKind.SAFE),
        ({"code": 402, "message": "Insufficient credits"}, FaultKind.STOP),
        ({"code": 401, "message": "No key"}, FaultKind.STOP),
        ({"code": "content_filter", "message": "x"}, FaultKind.REJECTED),
        ({"code": 502, "message": "x"}, FaultKind.NO_ANSWER),
        ("upstream failed", FaultKind.NO_ANSWER),
    ],
)
def test_an_error_in_a_reply_is_what_the_same_error_reply_is(error: Any, kind: FaultKind) -> None:
    instead = json.dumps({"error": error}).encode()
    beside = told(
        {"content": None}, error=error, usage={"prompt_tokens": 0, "completion_tokens": 0}
    )
    inside = told({"content": None}, choice={"error": error, "finish_reason": "error"})
    assert [fault_of(body).kind for body in (instead, beside, inside)] == [kind] * 3


def test_a_wait_that_an_error_in_a_reply_asks_for_is_honoured() -> None:
    error = {"code": 429, "message": "Rate limit reached. Please try again in 9.5s."}
    assert fault_of(told(error=error)).retry_after_s == 9.5
    assert fault_of(told(error=error), headers={"retry-after": "20"}).retry_after_s == 20


def test_a_reply_that_is_no_answer_costs_what_it_tells_or_keeps_its_reservation() -> None:
    zero = {"prompt_tokens": 0, "completion_tokens": 0}
    abort = {"finish_reason": "abort"}
    assert fault_of(told(choice=abort)).billed == (50, 12, 0)
    assert fault_of(told(choice=abort, usage=None)).billed is None
    assert fault_of(told(choice=abort, usage=zero)).billed is None
    assert fault_of(told({"content": None}, choice=abort, usage=zero)).billed == (0, 0, 0)
    assert fault_of(told(model="another")).billed is None
    started = fault_of(told(error={"code": 429, "message": "x"}, usage=None))
    assert (started.kind, started.billed) == (FaultKind.NO_ANSWER, None)


@pytest.mark.parametrize(
    ("content", "thoughts", "reply"),
    [
        ("<think>Hm.</think>\nYes.", "Hm.", "Yes."),
        ("<thinking>\nHm.\n</thinking>\n\nYes.", "Hm.", "Yes."),
        ("Hm.\n</think>\n\nYes.", "Hm.", "Yes."),
        ("<think>I close with </think>, then</think>Yes.", "I close with </think>, then", "Yes."),
        ("[THINK]Hm.[/THINK]Yes.", "Hm.", "Yes."),
        ("<Think>Hm.</Think>Yes.", "Hm.", "Yes."),
        ("Hm.</THINK>Yes.", "Hm.", "Yes."),
        ("\u25c1think\u25b7Hm.\u25c1/think\u25b7Yes.", "Hm.", "Yes."),
        ("<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Yes.", "Hm.", "Yes."),
        ("<|channel|>final<|message|>Yes.", None, "Yes."),
        ("<think>Hm", "Hm", None),
        ("<think></think>Yes.", None, "Yes."),
        ("Yes, I think.", None, "Yes, I think."),
        ("<table>x</table>", None, "<table>x</table>"),
    ],
)
def test_thoughts_are_kept_apart_from_the_reply(
    content: str, thoughts: str | None, reply: str | None
) -> None:
    assert only(told({"content": content})) == Choice(reply, "stop", None, thoughts)
    assert only(told({"content": content}), thoughts="inline").content == content


def test_thoughts_alone_are_the_reply_where_the_profile_says_so() -> None:
    for name in ("reasoning_content", "reasoning"):
        body = told({"content": None, name: ANSWER})
        assert only(body) == Choice(None, "stop", None, ANSWER)
        assert judged(only(body, thoughts="fallback")) == judged(Choice(ANSWER, "stop"))
    both = told({"content": "Yes.", "reasoning_content": "Hm."})
    assert only(both, thoughts="fallback") == Choice("Yes.", "stop", None, "Hm.")
    assert only(both, thoughts="inline").content == "<think>\nHm.\n</think>\n\nYes."


def test_a_word_of_the_endpoints_own_may_end_an_answer_where_the_profile_says_so() -> None:
    body = told(choice={"finish_reason": "all-done"})
    fault = fault_of(body)
    assert fault.mismatch == Mismatch("finish_reason all-done")
    assert 'set chat.finish_reasons = { "all-done" = "stop" } in its profile' in str(fault)
    assert only(body, finish_reasons={"all-done": "stop"}).finish_reason == "stop"


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_an_encoding_that_cannot_be_undone_is_named_with_its_header(encoding: str) -> None:
    fault = fault_of(b"\x0b\x02\x80\x03", headers={"content-encoding": encoding})
    assert f"Content-Encoding is '{encoding}'" in str(fault)
    assert "pip install" in str(fault)


@pytest.mark.parametrize(("encoding", "package"), [("br", "brotli"), ("zstd", "zstandard")])
def test_an_encoding_is_undone_once_the_package_that_the_message_names_is_installed(
    monkeypatch: pytest.MonkeyPatch, encoding: str, package: str
) -> None:
    body, headers = b"\x0b\x02\x80" + told()[::-1], {"content-encoding": encoding}
    assert f"`pip install {package}`" in str(fault_of(body, headers=headers))

    def undo(raw: bytes) -> bytes:
        return raw[3:][::-1]

    objects = SimpleNamespace(decompressobj=lambda: SimpleNamespace(decompress=undo))
    library = SimpleNamespace(decompress=undo, ZstdDecompressor=lambda: objects)
    monkeypatch.setitem(sys.modules, package, library)
    (choice,) = read(body, headers=headers).choices
    assert choice == Choice(ANSWER, "stop")


def test_a_refusal_that_came_compressed_is_still_read() -> None:
    body = gzip.compress(b'{"error": {"message": "slow down please"}}')
    with pytest.raises(ProviderFault, match="slow down please"):
        replies().read(ask(), 429, {"content-encoding": "gzip"}, body)


def test_what_came_before_the_json_is_no_part_of_it() -> None:
    assert only(codecs.BOM_UTF8 + told()) == Choice(ANSWER, "stop")
    assert only(b"\n\n" + told()) == Choice(ANSWER, "stop")
