"""The chats of a dataset, for wires that have a file format of their own."""

from collections.abc import Iterator
from typing import Any

import msgspec

from rmft_api.core.errors import DataError


class _Line(msgspec.Struct):
    """A line of our dataset, as `datasets/` writes it."""

    messages: list[dict[str, Any]]


def whole_chats(content: bytes, vendor: str) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Line number (from 1) and messages of each chat, in order.

    Raises DataError for what the vendor's format cannot say: turns that are kept out of the loss.
    """
    lines = [line for line in content.split(b"\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            messages = msgspec.json.decode(line, type=_Line).messages
        except msgspec.MsgspecError as error:
            raise DataError(f"line {number} of the dataset is not a chat: {error}") from error
        if any(message.get("weight") == 0 for message in messages):
            raise DataError(
                f"line {number} of the dataset keeps a turn out of the loss, which {vendor} "
                "cannot; set prompts.conversation = 'single_turn', and no prompts.examples"
            )
        yield number, messages
