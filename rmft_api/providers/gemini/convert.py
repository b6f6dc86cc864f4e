"""Chats and datasets in Gemini's words: `systemInstruction`, and `contents` of user and model."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rmft_api.core.errors import DataError
from rmft_api.core.records import Message

Content = dict[str, Any]
_ROLES = {"user": "user", "assistant": "model"}


class _Line(msgspec.Struct):
    """A line of our dataset, as `dataset.py` writes it."""

    messages: list[dict[str, Any]]


def contents(messages: Iterable[Mapping[str, Any]]) -> Content:
    """The part of a request or of a training example that holds the messages.

    System messages become the one instruction. Neighbours of one role become parts of one turn,
    because turns must alternate.
    """
    contents: list[Content] = []
    system: list[Content] = []
    for message in messages:
        part = {"text": str(message["content"])}
        if message["role"] == "system":
            system.append(part)
            continue
        role = _ROLES[str(message["role"])]
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].append(part)
        else:
            contents.append({"role": role, "parts": [part]})
    instruction: Content = {"systemInstruction": {"parts": system}} if system else {}
    return {**instruction, "contents": contents}


def of_chat(messages: Iterable[Message]) -> Content:
    """As `contents`, of records."""
    return contents({"role": one.role, "content": one.content} for one in messages)


def dataset(content: bytes) -> bytes:
    """A dataset in chat format as one in Gemini's; line by line, in the same order.

    Raises DataError for what cannot be said there: turns that are kept out of the loss.
    """
    lines = [line for line in content.splitlines() if line.strip()]
    return b"".join(_line(number, line) + b"\n" for number, line in enumerate(lines, 1))


def _line(number: int, line: bytes) -> bytes:
    try:
        messages = msgspec.json.decode(line, type=_Line).messages
    except msgspec.MsgspecError as error:
        raise DataError(f"line {number} of the dataset is no chat: {error}") from error
    if any(message.get("weight") == 0 for message in messages):
        raise DataError(
            f"line {number} of the dataset keeps a turn out of the loss, which Gemini cannot; "
            "set prompts.conversation = 'single_turn', and no prompts.examples"
        )
    return msgspec.json.encode(contents(messages))
