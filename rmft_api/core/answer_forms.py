"""The forms that an answer can have: what it says, and how it is written.

    tag     <Answer>...</Answer> at the end of the reply (docs/design.md 8)
    json    the whole reply is one JSON object: {"answer": ...}, or {"policy": [...]}
    tool    the arguments of one call of the tool `choose` are that object

A tool call is kept as text, as Hermes and Qwen models write it:
<tool_call>{"name": "choose", "arguments": {...}}</tool_call>, so that journals and prompts hold one
kind of message. Where an endpoint takes tool calls, `wire_turns` makes them of it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal, cast

Way = str
"""How it is written: one of WAYS, or a form of one's own (`prompts/own_forms.py`)."""
WAYS = ("tag", "json", "tool")
Kind = Literal["action", "distribution", "policy"]
AnswerForm = Literal[
    "action",
    "distribution",
    "policy",
    "action_json",
    "distribution_json",
    "policy_json",
    "action_tool",
    "distribution_tool",
    "policy_tool",
]
"""What is said; written as a tag where nothing more is asked for."""
TOOL = "choose"
CALL, END_OF_CALL = "<tool_call>", "</tool_call>"
DONE = "ok"
"""What stands for a tool's result: what the choice earned is in the next message."""
_CALL = re.compile(rf"{CALL}(.*?){END_OF_CALL}\s*\Z", re.DOTALL)


def form_of(kind: Kind, way: Way) -> AnswerForm:
    """The form of an answer that says `kind`, written by `way`."""
    return cast("AnswerForm", kind if way == "tag" else f"{kind}_{way}")


@cache
def kind_of(form: AnswerForm) -> Kind:
    """What it says."""
    return cast("Kind", form.partition("_")[0])


@cache
def way_of(form: AnswerForm) -> Way:
    """How it is written."""
    return form.partition("_")[2] or "tag"


@lru_cache(maxsize=64)
def is_own(form: AnswerForm) -> bool:
    """Whether it is written in a form of one's own."""
    return way_of(form) not in WAYS


@lru_cache(maxsize=1024)
def schema(form: AnswerForm, names: tuple[str, ...], reasoned: bool) -> dict[str, Any]:
    """The JSON schema of an answer's object, as OpenAI's strict mode wants it."""
    kind, said = kind_of(form), dict[str, Any]()
    if reasoned:
        said["reasoning"] = {"type": "string"}
    if kind == "action":
        said["answer"] = {"type": "string", "enum": list(names)}
    elif kind == "distribution":
        said["answer"] = _object({name: {"type": "number"} for name in names})
    else:
        said["policy"] = {"type": "array", "items": {"type": "number"}}
    return _object(said)


def tools(form: AnswerForm, names: tuple[str, ...], reasoned: bool) -> list[dict[str, Any]]:
    """The one tool of an answer that is a call."""
    function = {
        "name": TOOL,
        "description": "Make the decision of this round.",
        "parameters": schema(form, names, reasoned),
    }
    return [{"type": "function", "function": function}]


@lru_cache(maxsize=1024)
def instructions(form: AnswerForm, names: tuple[str, ...], reasoned: bool) -> str:
    """What an endpoint reads of the form beside the messages: the tool, or the schema, as JSON.

    Empty where the words of the messages alone say the form.
    """
    if way_of(form) == "tool":
        return json.dumps(tools(form, names, reasoned), separators=(",", ":"))
    if way_of(form) == "json":
        return json.dumps(schema(form, names, reasoned), separators=(",", ":"))
    return ""


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def call_text(name: str, arguments: str) -> str:
    """A tool call as text; `arguments` as they came, right or wrong."""
    return f'{CALL}{{"name": {json.dumps(name)}, "arguments": {arguments}}}{END_OF_CALL}'


def texts_of_calls(calls: Any) -> str:
    """The tool calls of a message on the wire, as text; whatever else stands there, as it is."""
    listed = cast("list[Any]", calls) if isinstance(calls, list) else [calls]
    return "".join(_text_of_call(call) for call in listed)


def _text_of_call(call: Any) -> str:
    table = cast("dict[str, Any]", call) if isinstance(call, dict) else {}
    function = cast("dict[str, Any]", table.get("function") or table)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return call_text("", json.dumps(call, default=str))
    shown = function.get("arguments")
    return call_text(function["name"], shown if isinstance(shown, str) else json.dumps(shown))


def wire_turns(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages as an endpoint with tools takes them; each call but the last has a result."""
    turns: list[dict[str, Any]] = []
    shown = list(messages)
    for place, message in enumerate(shown):
        call = _CALL.search(message["content"]) if message["role"] == "assistant" else None
        if call is None:
            turns.append(message)
            continue
        turn, number = _with_call(message, call, place), f"call_{place}"
        turns.append(turn)
        if place < len(shown) - 1:
            turns.append({"role": "tool", "tool_call_id": number, "content": DONE})
    return turns


def _with_call(message: dict[str, Any], call: re.Match[str], place: int) -> dict[str, Any]:
    try:
        table = json.loads(call[1])
        function = {"name": table["name"], "arguments": json.dumps(table["arguments"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        return message  # no call that a wire could carry: it goes as the text that it is
    words = message["content"][: call.start()].strip()
    calls = [{"id": f"call_{place}", "type": "function", "function": function}]
    content = {"content": words} if words else {}
    return (
        {**message, **content, "tool_calls": calls}
        if words
        else {
            **{key: value for key, value in message.items() if key != "content"},
            "tool_calls": calls,
        }
    )


def messages_of_wire(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `wire_turns` was made of."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.get("role") == "tool":
            continue
        calls = turn.get("tool_calls")
        if not calls:
            messages.append(turn)
            continue
        words, text = turn.get("content") or "", texts_of_calls(calls)
        rest = {key: value for key, value in turn.items() if key != "tool_calls"}
        messages.append({**rest, "content": f"{words}\n{text}" if words else text})
    return messages
