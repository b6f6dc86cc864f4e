"""What a training file must hold: checked line by line, before it is sent.

Sources: docs.together.ai/docs/fine-tuning/data-preparation (a conversation begins with the system
or the user and alternates from there; the server refuses a file of two formats), and `check_file`
of the vendor's package (UTF-8, one JSON object a line).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import msgspec

from rmft_api.core.errors import DataError

_ROLES = ("system", "user", "assistant", "tool")
_CHAT = "messages"
_PAIR = ("input", "preferred_output", "non_preferred_output")
_FORMATS = {_CHAT, "text", "prompt", "input"}


def checked(content: bytes) -> bytes:
    """The same bytes: chats and preference pairs have OpenAI's form there.

    Raises DataError for what the server would refuse, with its line.
    """
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip() and (mistake := _mistake(line)):
            raise DataError(f"line {number} of the dataset {mistake}")
    return content


def _mistake(line: bytes) -> str:
    """What is wrong with a line; empty where nothing is."""
    try:
        row = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"is no JSON object: {error}"
    formats = sorted(_FORMATS & row.keys())
    if len(formats) != 1:
        return f"must be of one format, and has {' and '.join(formats) or 'none'}"
    if formats == [_CHAT]:
        return _chat_mistake(row[_CHAT])
    return _pair_mistake(row) if formats == ["input"] else ""


def _pair_mistake(row: dict[str, Any]) -> str:
    """Two answers to one chat."""
    if missing := [name for name in _PAIR if name not in row]:
        return f"has no {missing[0]!r}"
    for name in _PAIR[1:]:
        answers = _messages(row[name])
        if len(answers) != 1 or answers[0].get("role") != "assistant":
            return f"must hold one message of the assistant in {name!r}"
    asked = cast("dict[str, Any]", row["input"]) if isinstance(row["input"], dict) else {}
    return _roles_mistake(_messages(asked.get(_CHAT)), last="user")


def _chat_mistake(chat: Any) -> str:
    return _roles_mistake(_messages(chat), last="assistant")


def _roles_mistake(messages: Sequence[dict[str, Any]], last: str) -> str:
    """The roles alternate after what the system says, and end with `last`."""
    roles = [str(message.get("role")) for message in messages]
    if odd := next((role for role in roles if role not in _ROLES), None):
        return f"has a message of the role {odd!r}"
    if any(not isinstance(message.get("content", ""), str) for message in messages):
        return "has a message whose content is no text"
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns[:1] != ["user"] or turns[-1] != last:
        return f"must begin with what the user says and end with what the {last} says"
    if "tool" not in turns and any(a == b for a, b in pairwise(turns)):
        return (
            "has two messages of one role in a row, which Together refuses; set "
            "prompts.conversation = 'single_turn'"
        )
    return ""


def _messages(chat: Any) -> list[dict[str, Any]]:
    entries = cast("list[Any]", chat) if isinstance(chat, list) else []
    return [cast("dict[str, Any]", one) for one in entries if isinstance(one, dict)]
