"""Words as tokens, for models that have no tokenizer of their own."""

from collections.abc import Sequence

from rmft_api.local_server.engine import ChatMessage


def pieces(text: str) -> list[str]:
    """The words of a text, each but the first with the space before it."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def tokens_of(messages: Sequence[ChatMessage]) -> int:
    """Words of a chat."""
    return sum(len(message.content.split()) for message in messages)
