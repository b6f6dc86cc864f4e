"""A chat that came as server-sent events without a request for a stream, as one reply."""

import json
from typing import Any, cast

Table = dict[str, Any]
_FIELDS = ("data:", "event:", "id:", "retry:", ":")


def is_stream(text: str) -> bool:
    """Whether a body that is no JSON begins as a stream of events does."""
    return text.lstrip().startswith(_FIELDS)


def whole(text: str) -> Table | None:
    """The reply that the events make up; None where one is no JSON or the stream breaks off.

    A stream is whole once it says `[DONE]`, or how its choices ended.
    """
    reply: Table = {"choices": []}
    choices: dict[int, Table] = {}
    done = False
    for data in _events(text):
        if data.strip() == "[DONE]":
            done = True
            continue
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if isinstance(chunk, dict):
            _add(reply, choices, cast(Table, chunk))
    reply["choices"] = [choices[place] for place in sorted(choices)]
    ended = bool(choices) and all(choice.get("finish_reason") for choice in choices.values())
    return reply if done or ended or reply.get("error") else None


def _events(text: str) -> list[str]:
    """The data of every event."""
    found: list[str] = []
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
        elif not line.strip() and lines:
            found.append("\n".join(lines))
            lines = []
    return found


def _add(reply: Table, choices: dict[int, Table], chunk: Table) -> None:
    for name in ("id", "model", "usage", "error"):
        if chunk.get(name):
            reply[name] = chunk[name]
    choice = chunk.get("choices")
    for one in cast("list[Any]", choice) if isinstance(choice, list) else []:
        if isinstance(one, dict):
            _add_choice(choices, cast(Table, one))


def _add_choice(choices: dict[int, Table], chunk: Table) -> None:
    index = chunk.get("index")
    index = index if isinstance(index, int) else 0
    choice = choices.setdefault(index, {"index": index, "message": {}})
    for name in ("finish_reason", "native_finish_reason", "error"):
        if chunk.get(name):
            choice[name] = chunk[name]
    part = chunk.get("delta") or chunk.get("message")
    if isinstance(part, dict):
        _add_message(choice["message"], cast(Table, part))


def _add_message(message: Table, part: Table) -> None:
    """Texts are joined; everything else comes once."""
    for name, value in part.items():
        before = message.get(name)
        if isinstance(value, str) and isinstance(before, str) and name != "role":
            message[name] = before + value
        elif isinstance(value, list) and isinstance(before, list):
            message[name] = [*cast("list[Any]", before), *cast("list[Any]", value)]
        elif value is not None:
            message[name] = value
