"""A generator of chat completions, right, odd and malformed, that knows what each one is.

Every reply is drawn field by field. What it is follows from the draws, not from our reader: an
answer that names an action, words of the model that name none, or no answer at all.
"""

import codecs
import gzip
import json
import zlib
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, cast

NAMES = ("red", "blue")
MODEL = "m-base"
Truth = Literal["answer", "words", "none"]
Table = dict[str, Any]
MISSING = object()


@dataclass
class Drawn:
    """A reply of HTTP 200, and what a person would make of it."""

    n: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    truth: Truth = "answer"
    actions: list[int] = field(default_factory=list[int])
    """Of an answer: what each choice names."""
    profile: Table = field(default_factory=dict[str, Any])
    notes: list[str] = field(default_factory=list[str])
    tokens: tuple[int, int] | None = None
    """What it says it was billed for, where a person would believe it."""

    def never(self, why: str) -> None:
        """It is no answer."""
        self.truth = "none"
        self.notes.append(why)


def drawn(seed: int) -> Drawn:
    """The reply of a seed."""
    chance = Random(seed)
    reply = Drawn(n=chance.choice([1, 1, 1, 1, 3]))
    if chance.random() < 0.5:
        reply.profile["check_model"] = False
    if chance.random() < 0.08:
        return _no_completion(chance, reply)
    choices = [_choice(chance, reply, place) for place in range(reply.n)]
    told: Table = {
        **_named(chance, "id", ["chatcmpl-1"], [None, "", 7, MISSING]),
        "object": "chat.completion",
        **_named(chance, "created", [1], [None, "now", 1.5]),
        "model": MODEL,
        "choices": choices,
        **_named(chance, "system_fingerprint", [None], ["fp", {"a": 1}]),
    }
    _model(chance, reply, told)
    _usage(chance, reply, told)
    _errors(chance, reply, told)
    _numbers(chance, reply, told)
    return _sent(chance, reply, told)


def _named(chance: Random, name: str, usual: list[Any], odd: list[Any]) -> Table:
    value = chance.choice(odd if chance.random() < 0.3 else usual)
    return {} if value is MISSING else {name: value}


ENDS = ("stop", "eos", "end_turn", "stop_sequence", "length", "MAX_TOKENS", "STOP", "tool_calls")
BREAKS = (
    "error",
    "abort",
    "insufficient_system_resource",
    "network_error",
    "cancelled",
    "OTHER",
    "weird",
    "half-done",
    7,
    True,
    ["stop"],
)


NO_ERRORS: tuple[Any, ...] = (None, {}, "", {"code": None, "message": ""})


def _choice(chance: Random, reply: Drawn, place: int) -> Table:
    action = chance.randrange(2)
    reply.actions.append(action)
    message = _message(chance, reply, f"I take it. <Answer>{NAMES[action]}</Answer>")
    choice: Table = {"index": place, "message": message, "logprobs": None}
    has_words = bool(message["content"] or message.get("refusal"))
    _ending(chance, reply, choice, has_words=has_words)
    if chance.random() < 0.05:
        choice["error"] = {"code": 502, "message": "Upstream error"}
        reply.never("an error in a choice")
    elif chance.random() < 0.1:
        choice["error"] = chance.choice(NO_ERRORS)
    return choice


def _ending(chance: Random, reply: Drawn, choice: Table, *, has_words: bool) -> None:
    draw = chance.random()
    if draw < 0.15:
        choice["finish_reason"] = chance.choice(BREAKS)
        reply.never(f"ended with {choice['finish_reason']}")
    elif draw < 0.25:
        if chance.random() < 0.5:
            choice["finish_reason"] = chance.choice([None, ""])
        if not has_words:
            reply.never("neither words nor an end")
    else:
        choice["finish_reason"] = "stop" if draw < 0.7 else chance.choice(ENDS)
    if chance.random() < 0.1:
        choice["native_finish_reason"] = chance.choice(["stop", "STOP", None, "completed"])
    elif chance.random() < 0.06:
        choice["native_finish_reason"] = chance.choice(["network_error", "abort", "ERROR"])
        reply.never("its provider broke off")


def _message(chance: Random, reply: Drawn, said: str) -> Table:
    thought = "The form is <Answer>red</Answer>. Or <Answer>blue</Answer>?"
    draw = chance.random()
    content: Any = said
    more: Table = {}
    if draw < 0.1:
        content = chance.choice(
            [
                [{"type": "text", "text": said}],
                [{"type": "text", "text": said[:9]}, {"type": "output_text", "text": said[9:]}],
                [{"type": "thinking", "thinking": thought}, {"type": "text", "text": said}],
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": thought}]},
                    {"type": "text", "text": said},
                ],
                [{"type": "reasoning", "text": thought}, said],
                {"type": "text", "text": said},
                [{"text": said}, {"type": "image_url", "image_url": {"url": "x"}}],
            ]
        )
    elif draw < 0.22:
        block = chance.choice(["think", "thinking", "thought", "seed:think"])
        content = chance.choice(
            [
                f"<{block}>{thought}</{block}>\n{said}",
                f"\n<{block}>\n{thought}\n</{block}>\n\n{said}",
                f"{thought}</{block}>{said}",
                f"[THINK]{thought}[/THINK]{said}",
            ]
        )
    elif draw < 0.3:
        name = chance.choice(["reasoning_content", "reasoning", "thinking"])
        more = {name: chance.choice([thought, None, "", [{"type": "text", "text": thought}]])}
    elif draw < 0.45:
        content, more = _no_answer(chance, reply, thought)
    elif draw < 0.5:
        content = chance.choice([5, True, 0.5])
        reply.never("content that is no text")
    return {
        "role": "assistant",
        **_named(chance, "refusal", [None], ["", False, MISSING]),
        **_named(chance, "tool_calls", [MISSING], [None, []]),
        "content": content,
        **more,
    }


def _no_answer(chance: Random, reply: Drawn, thought: str) -> tuple[Any, Table]:
    """Words of the model that name no action: its play, and no answer to read."""
    if reply.truth == "answer":
        reply.truth = "words"
    return chance.choice(
        [
            ("I do not know.", {}),
            (None, {}),
            ("", {"reasoning_content": thought}),
            (None, {"reasoning": thought}),
            (f"<think>{thought}", {}),
            (f"<think>{thought}</think>", {}),
            (thought, {}),
            ([], {}),
            ([{"type": "refusal", "refusal": "No."}], {}),
            (None, {"refusal": "No."}),
        ]
    )


def _model(chance: Random, reply: Drawn, told: Table) -> None:
    draw = chance.random()
    if draw < 0.1:
        told["model"] = chance.choice([None, "", 5])
    elif draw < 0.15:
        del told["model"]
    elif draw < 0.2:
        told["model"] = f"{MODEL}-2026-01-01"
    elif draw < 0.28:
        told["model"] = "another"
        if reply.profile.get("check_model", True):
            reply.never("another model")


def _usage(chance: Random, reply: Drawn, told: Table) -> None:
    told["usage"] = {"prompt_tokens": 50, "completion_tokens": 12, "total_tokens": 62}
    reply.tokens = (50, 12)
    draw = chance.random()
    if draw < 0.12:
        whole = {"prompt_tokens": 50.0, "completion_tokens": "12"}
        details = chance.choice([None, {}, {"cached_tokens": None}, {"cached_tokens": "x"}, []])
        told["usage"] = {**whole, "prompt_tokens_details": details}
    elif draw < 0.35:
        reply.tokens = None
        told["usage"] = chance.choice(
            [
                None,
                {},
                [],
                "much",
                {"prompt_tokens": -1, "completion_tokens": 3},
                {"prompt_tokens": 1.5, "completion_tokens": 3},
                {"prompt_tokens": 10**15, "completion_tokens": 3},
                {"prompt_tokens": None, "completion_tokens": None, "total_tokens": 0},
                {
                    "prompt_tokens": 5,
                    "completion_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 64},
                },
            ]
        )
        if chance.random() < 0.2:
            del told["usage"]


ERRORS: tuple[Any, ...] = (
    {"code": 429, "message": "Provider returned error", "metadata": {"raw": "error code: 1015"}},
    {"code": 502, "message": "Upstream"},
    {"message": "Rate limit reached. Please try again in 2s.", "type": "rate_limit_error"},
    {"type": "overloaded_error", "message": "Overloaded"},
    {"message": None, "code": "server_error"},
    "upstream failed",
    ["upstream failed"],
    True,
)


def _errors(chance: Random, reply: Drawn, told: Table) -> None:
    draw = chance.random()
    if draw < 0.1:
        told["error"] = chance.choice(ERRORS)
        reply.never("an error beside its choices")
        if chance.random() < 0.5:
            told["choices"] = chance.choice([None, []])
    elif draw < 0.2:
        told["error"] = chance.choice(NO_ERRORS)


def _numbers(chance: Random, reply: Drawn, told: Table) -> None:
    """How the choices are numbered, and how many came."""
    choices: list[Table] | None = told["choices"]
    if not choices:
        return
    draw = chance.random()
    if draw < 0.15:
        for choice in choices:
            choice["index"] = None
            if draw < 0.07:
                del choice["index"]
    elif draw < 0.2:
        for choice in choices:
            choice["index"] += 1
    elif draw < 0.25:
        choices.append({**choices[0], "index": len(choices)})
    elif draw < 0.3 and reply.n > 1:
        told["choices"] = choices[:1]
        reply.never("n was ignored")
    elif draw < 0.35 and reply.n > 1:
        for choice in choices:
            choice["index"] = 0
        reply.never("choices of one number")
    elif draw < 0.4:
        told["choices"] = []
        reply.never("no choices")
    elif draw < 0.5:
        choices.reverse()


def _sent(chance: Random, reply: Drawn, told: Table) -> Drawn:
    body = json.dumps(told).encode()
    draw = chance.random()
    if draw < 0.06:
        body = codecs.BOM_UTF8 + body
    elif draw < 0.12:
        body = body.replace(b'"logprobs": null', b'"logprobs": NaN')
    elif draw < 0.18:
        body, reply.headers = gzip.compress(body), {"content-encoding": "gzip"}
    elif draw < 0.24:
        wrapped = chance.choice([zlib.compress(body), zlib.compress(body)[2:-4]])
        body, reply.headers = wrapped, {"content-encoding": "deflate"}
    elif draw < 0.28:
        body = body[: len(body) // 2]
        reply.never("half of it")
    elif draw < 0.32:
        reply.headers = {"content-encoding": chance.choice(["identity", "gzip", ""])}
    elif draw < 0.36:
        body, reply.headers = b"\x0b\x02\x80" + body[::-1], {"content-encoding": "br"}
        reply.never("an encoding that no library here undoes")
    reply.body = body
    return reply


def _no_completion(chance: Random, reply: Drawn) -> Drawn:
    reply.never("no completion")
    reply.body = chance.choice(
        [
            b"",
            b"<html><body>Please log in</body></html>",
            b"OK",
            b"{}",
            b"[]",
            b"null",
            b'"text"',
            b'{"detail": "Not found"}',
            b'{"code": 429, "message": "Too many requests, retry in 3 s"}',
            b'{"errors": [{"code": 7, "message": "Gateway"}], "success": false}',
            b'{"message": {"role": "assistant", "content": "<Answer>red</Answer>"}, "done": true}',
            b'{"choices": {}}',
            b'{"choices": [5]}',
            b"data: {\n\ndata: [DONE]\n\n",
            b"[" * 100_000,
            b"\xff\xfe\x00",
            b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
        ]
    )
    return reply


def mutated(seed: int) -> bytes:
    """A right reply with a few of its values, anywhere, replaced by others or left out."""
    chance = Random(seed)
    message: Table = {"role": "assistant", "content": "<Answer>red</Answer>", "refusal": None}
    choice: Table = {"index": 0, "message": message, "finish_reason": "stop", "error": None}
    usage: Table = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {}}
    told: Any = {"id": "c", "model": MODEL, "choices": [choice], "usage": usage, "error": None}
    for _ in range(chance.randint(1, 3)):
        _mutate(chance, told)
    return json.dumps(told).encode()


VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    10**30,
    "",
    "x",
    "\ud800",
    [],
    [None],
    [[]],
    {},
    {"": {}},
    {"type": "text"},
    {"type": "thinking", "thinking": [[1]]},
    {"code": 429},
    ["text", {"text": ["a", {"value": "b"}]}],
)


def _mutate(chance: Random, told: Any) -> None:
    """Replace or remove one value, anywhere."""
    place: Any = told
    while True:
        keys = _keys(place)
        if not keys:
            return
        key = chance.choice(keys)
        if _keys(place[key]) and chance.random() < 0.7:
            place = place[key]
        elif chance.random() < 0.2:
            del place[key]
            return
        else:
            place[key] = deepcopy(chance.choice(VALUES))
            return


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast(Table, value))
    return list(range(len(cast("list[Any]", value)))) if isinstance(value, list) else []


def stream_of(seed: int) -> tuple[bytes, str]:
    """A whole answer as events, and its text."""
    chance = Random(seed)
    text = f"I take it. <Answer>{chance.choice(NAMES)}</Answer>"
    cut = sorted(chance.sample(range(1, len(text)), 3))
    parts = [text[a:b] for a, b in zip([0, *cut], [*cut, len(text)], strict=True)]
    chunks: list[Table] = [
        {"id": "c", "model": MODEL, "choices": [{"index": 0, "delta": {"content": part}}]}
        for part in parts
    ]
    end: Table = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks.append({"id": "c", "model": MODEL, "choices": [end]})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([": ping\n\n", *lines, "data: [DONE]\n\n"]).encode(), text
