"""Chats and datasets in Gemini's words: `systemInstruction`, and `contents` of user and model."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rmft_api.core.records import Message
from rmft_api.providers.dataset_chats import whole_chats

Content = dict[str, Any]
_ROLES = {"user": "user", "assistant": "model"}


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
    chats = whole_chats(content, "Gemini")
    return b"".join(msgspec.json.encode(contents(chat)) + b"\n" for _, chat in chats)
