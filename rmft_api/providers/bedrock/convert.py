"""Chats and datasets in Converse's words: `system`, and `messages` of blocks that alternate."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from rmft_api.core.errors import DataError
from rmft_api.core.records import Message
from rmft_api.providers.dataset_chats import whole_chats

SCHEMA = "bedrock-conversation-2024"
_ROLES = ("user", "assistant")


def conversation(messages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The part of a request or of a training example that holds the messages.

    Turns must alternate, so neighbours of one role become one turn of several blocks. A blank text
    is refused there, and says nothing: it is left out.
    """
    system: list[dict[str, str]] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role, text = str(message["role"]), str(message["content"])
        if not text.strip():
            continue
        if role not in _ROLES:
            system.append({"text": text})
        elif turns and turns[-1]["role"] == role:
            turns[-1]["content"].append({"text": text})
        else:
            turns.append({"role": role, "content": [{"text": text}]})
    return {**({"system": system} if system else {}), "messages": turns}


def of_chat(messages: Iterable[Message]) -> dict[str, Any]:
    """The same of records."""
    return conversation({"role": one.role, "content": one.content} for one in messages)


def dataset(content: bytes, reserved: Sequence[str] = ()) -> bytes:
    """A dataset in chat format as one in Bedrock's; line by line, in the same order.

    Raises DataError for what cannot be said there: turns that are kept out of the loss, and texts
    that fail a job.
    """
    chats = whole_chats(content, "Bedrock")
    return b"".join(_line(number, chat, reserved) + b"\n" for number, chat in chats)


def _line(number: int, messages: Sequence[Mapping[str, Any]], reserved: Sequence[str]) -> bytes:
    texts = [str(message.get("content")) for message in messages]
    if word := next((word for word in reserved for text in texts if word in text), None):
        raise DataError(
            f"line {number} of the dataset holds {word!r}, which is reserved: Bedrock would fail "
            "the job; leave the line out, or change the prompts that hold it"
        )
    stated = conversation(messages)
    roles = [turn["role"] for turn in stated["messages"]]
    if roles[:1] != ["user"] or roles[-1] != "assistant":
        raise DataError(
            f"line {number} of the dataset must begin with what the user says and end with what "
            "the model says"
        )
    return msgspec.json.encode({"schemaVersion": SCHEMA, **stated})
