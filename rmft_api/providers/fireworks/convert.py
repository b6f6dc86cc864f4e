"""What a dataset must hold: checked line by line, before it is sent.

Source: docs.fireworks.ai/fine-tuning/fine-tuning-models ("Prepare a dataset"): at least 3 examples,
each with messages of the roles system (only the first), user and assistant, whose content is text,
and whose weight is 0 or 1.
"""

from typing import Any, cast

import msgspec

from rmft_api.core.errors import DataError

_ROLES = ("user", "assistant")


def checked(content: bytes) -> bytes:
    """The same bytes: chats have the format of OpenAI.

    Raises DataError for what the server would refuse, with its line.
    """
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip() and (mistake := _mistake(line)):
            raise DataError(f"line {number} of the dataset {mistake}")
    return content


def count(content: bytes) -> int:
    """How many examples there are."""
    return sum(1 for line in content.split(b"\n") if line.strip())


def _mistake(line: bytes) -> str:
    """What is wrong with a line; empty where nothing is."""
    try:
        row = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"is no JSON object: {error}"
    answer = row.get("messages")
    messages = cast("list[Any]", answer) if isinstance(answer, list) else []
    if not messages or not all(isinstance(message, dict) for message in messages):
        return "has no messages; Fireworks trains on chats alone here"
    first, *others = [_role(message) for message in messages]
    turns = others if first == "system" else [first, *others]
    if odd := next((role for role in turns if role not in _ROLES), None):
        return f"has a message of the role {odd!r} where only user and assistant may speak"
    if "assistant" not in turns:
        return "has nothing that the assistant says"
    mistakes = (_message_mistake(message) for message in messages)
    return next((mistake for mistake in mistakes if mistake), "")


def _role(message: Any) -> str:
    entry = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
    return str(entry.get("role"))


def _message_mistake(message: dict[str, Any]) -> str:
    if not isinstance(message.get("content"), str):
        return "has a message whose content is no text"
    return "" if message.get("weight", 1) in (0, 1) else "has a weight that is neither 0 nor 1"
