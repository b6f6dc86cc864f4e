"""Endpoints that reply otherwise than their profile says: each advice is followed to its end."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.fakes.loop import Ended, Loop, talk
from tests.providers.stub import ROUTES, Serving, StubProvider

BASE = "gpt-4.1-mini"
QUICK = """\
[openai.training]
poll_every_s = 0.02
quarantine_s = 0.2
list_lag_s = 0
"""
Reply = dict[str, Any]
ROUTE = {name: handler for name, _, _, handler in ROUTES}


@dataclass
class Odd(StubProvider):
    """Changes every reply to a chat before it is sent."""

    change: Callable[[Reply, int], None] = lambda reply, number: None
    replies: int = 0
    """To chats, so far."""


async def _chat(stub: StubProvider, request: web.Request, body: bytes) -> web.StreamResponse:
    assert isinstance(stub, Odd)
    answered = await ROUTE["chat"](stub, request, body)
    assert isinstance(answered, web.Response) and isinstance(answered.body, bytes)
    if answered.status != 200:
        return answered
    stub.replies += 1
    reply: Reply = json.loads(answered.body)
    stub.change(reply, stub.replies)
    return web.json_response(reply)


ODD = tuple(
    (name, method, path, _chat if name == "chat" else handler)
    for name, method, path, handler in ROUTES
)


def ignores_n(reply: Reply, number: int) -> None:
    del reply["choices"][1:]


def another_name(reply: Reply, number: int) -> None:
    reply["model"] = "the-model"


def own_word(reply: Reply, number: int) -> None:
    for choice in reply["choices"]:
        choice["finish_reason"] = "done"


def all_thoughts(reply: Reply, number: int) -> None:
    for choice in reply["choices"]:
        message = choice["message"]
        message["reasoning_content"], message["content"] = message["content"], None


def thinks_aloud(reply: Reply, number: int) -> None:
    for choice in reply["choices"]:
        message = choice["message"]
        message["content"] = f"<think>Hm, A or B?</think>\n{message['content']}"


def breaks_off(reply: Reply, number: int) -> None:
    if number % 3 == 0:
        for choice in reply["choices"]:
            choice["message"]["content"] = choice["message"]["content"][:9]
            choice["finish_reason"] = "abort"
        reply["usage"] = None


def loop(stub: StubProvider, path: Path, chat: str = "") -> Loop:
    environ = {"OPENAI_API_KEY": "sk-0123456789abcdef", "OPENAI_BASE_URL": stub.url}
    own = f"{QUICK}[openai.chat]\n{chat}\n"
    return Loop(path, environ, "openai", BASE, iterations=1, own=own)


def lines(ended: Ended) -> str:
    assert "Traceback" not in ended.err
    return ended.err


@pytest.mark.parametrize(
    ("change", "advice", "key"),
    [
        (ignores_n, "set chat.n = 1 in its profile", "n = 1"),
        (another_name, "set chat.check_model = false in its profile", "check_model = false"),
        (
            own_word,
            'set chat.finish_reasons = { "done" = "stop" } in its profile',
            'finish_reasons = { "done" = "stop" }',
        ),
    ],
)
async def test_a_reply_of_the_same_wrong_form_ends_the_run_with_the_key_that_mends_it(
    tmp_path: Path, change: Callable[[Reply, int], None], advice: str, key: str
) -> None:
    async with Serving(Odd(talk=talk, change=change), ODD) as stub:
        stub.models.add(BASE)
        ended = await loop(stub, tmp_path).run()
        assert ended.code == 78
        assert advice in lines(ended)
        assert "resume case` continues" in ended.err
        assert len(stub.asked("chat")) <= 20
        mended = loop(stub, tmp_path, key)
        mended.write()
        again = await mended.resume()
        assert again.code == 0, again.err


async def test_a_run_of_thoughts_alone_is_mended_by_reading_them(tmp_path: Path) -> None:
    async with Serving(Odd(talk=talk, change=all_thoughts), ODD) as stub:
        stub.models.add(BASE)
        ended = await loop(stub, tmp_path).run()
        assert ended.code == 65
        assert "chat.thoughts = 'fallback'" in lines(ended)
        assert len(stub.asked("chat")) <= 20
        mended = loop(stub, tmp_path, 'thoughts = "fallback"')
        mended.write()
        again = await mended.command("resume", "case", "--ask-again")
        assert again.code == 0, again.err


async def test_replies_that_break_off_are_asked_for_again_and_never_scored(tmp_path: Path) -> None:
    async with Serving(Odd(talk=talk, change=breaks_off), ODD) as stub:
        stub.models.add(BASE)
        ended = await loop(stub, tmp_path).run()
        assert ended.code == 0, ended.err
        assert "100.0% of replies valid" in ended.out + ended.err


@pytest.mark.parametrize(("rule", "trained_on"), [("separate", False), ("inline", True)])
async def test_thoughts_are_trained_on_only_where_the_profile_says_so(
    tmp_path: Path, rule: str, trained_on: bool
) -> None:
    async with Serving(Odd(talk=talk, change=thinks_aloud), ODD) as stub:
        stub.models.add(BASE)
        ended = await loop(stub, tmp_path, f'thoughts = "{rule}"').run()
        assert ended.code == 0, ended.err
        assert "100.0% of replies valid" in ended.out + ended.err
        (content,) = stub.contents.values()
        assert (b"think>" in content) is trained_on
        journal = (tmp_path / "runs" / "case" / "journal.sqlite").read_bytes()
        assert b"Hm, A or B?" in journal
