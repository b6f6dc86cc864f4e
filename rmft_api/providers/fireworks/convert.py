"""What a dataset must hold: checked line by line, before it is sent.

Sources: docs.fireworks.ai/fine-tuning, fine-tuning-models ("Prepare a dataset"): at least 3
examples, each with messages of the roles system (only the first), user and assistant, whose content
is text, and whose weight is 0 or 1. The same, dpo-fine-tuning: preferences are chats that end with
the user, with one answer of the assistant each in preferred_output and non_preferred_output.
"""

from typing import Any, cast

import msgspec

from rmft_api.core.errors import DataError

_ROLES = ("user", "assistant")
_ANSWERS = ("preferred_output", "non_preferred_output")


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
    return _pair_mistake(row) if "preferred_output" in row else _chat_mistake(row.get("messages"))


def _chat_mistake(chat: Any) -> str:
    messages = _messages(chat)
    if not messages:
        return "has no messages; Fireworks trains on chats alone here"
    if mistake := _messages_mistake(messages):
        return mistake
    answers = any(_role(message) == "assistant" for message in messages)
    return "" if answers else "has nothing that the assistant says"


def _pair_mistake(row: dict[str, Any]) -> str:
    """One chat, and two answers to it."""
    asked = cast("dict[str, Any]", row["input"]) if isinstance(row.get("input"), dict) else {}
    messages = _messages(asked.get("messages"))
    if not messages or _role(messages[-1]) != "user":
        return "must end its input.messages with what the user says"
    for name in _ANSWERS:
        answers = _messages(row.get(name))
        if len(answers) != 1 or _role(answers[0]) != "assistant":
            return f"must hold one message of the assistant in {name!r}"
        messages += answers
    return _messages_mistake(messages)


def _messages(chat: Any) -> list[dict[str, Any]]:
    """A chat's messages; none where one of them is no object."""
    entries = cast("list[Any]", chat) if isinstance(chat, list) else []
    whole = all(isinstance(entry, dict) for entry in entries)
    return cast("list[dict[str, Any]]", entries) if whole else []


def _messages_mistake(messages: list[dict[str, Any]]) -> str:
    """Who speaks, and what."""
    first, *others = [_role(message) for message in messages]
    turns = others if first == "system" else [first, *others]
    if odd := next((role for role in turns if role not in _ROLES), None):
        return f"has a message of the role {odd!r} where only user and assistant may speak"
    mistakes = (_message_mistake(message) for message in messages)
    return next((mistake for mistake in mistakes if mistake), "")


def _role(message: dict[str, Any]) -> str:
    return str(message.get("role"))


def _message_mistake(message: dict[str, Any]) -> str:
    if not isinstance(message.get("content"), str):
        return "has a message whose content is no text"
    return "" if message.get("weight", 1) in (0, 1) else "has a weight that is neither 0 nor 1"
