"""Reading a training file by OpenAI's rules; the first mistake is named by its line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from rmft_api.local_server.engine import ChatMessage, ExampleError

FEWEST = 10
"""Examples of a training file at least."""
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

Chat = tuple[ChatMessage, ...]


class TrainingFileError(ValueError):
    """A training file that cannot be trained on; the text names the line (from 1) and why."""


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _Turn(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    weight: int | None = None


class _Line(msgspec.Struct):
    messages: list[_Turn]
    tools: list[object] = []
    functions: list[object] = []


_LINE = msgspec.json.Decoder(_Line)


def read_examples(path: Path, check: Callable[[Sequence[ChatMessage]], int]) -> list[Chat]:
    """All examples of a file. `check` is the engine's. Raises TrainingFileError."""
    examples: list[Chat] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                example = read_example(line)
                check(example)
            except (ValueError, RecursionError) as error:
                raise TrainingFileError(f"Invalid file format. Line {number}: {error}") from error
            examples.append(example)
    if len(examples) < FEWEST:
        raise TrainingFileError(
            f"Training file has {len(examples)} example(s), but must have at least {FEWEST} "
            "examples"
        )
    return examples


def read_example(line: bytes) -> Chat:
    """One line. Raises ValueError that says what is wrong with it."""
    decoded = _LINE.decode(line)
    if decoded.tools or decoded.functions:
        raise ExampleError("tools and functions are not supported by the models of this server")
    if not decoded.messages:
        raise ExampleError("'messages' is empty")
    chat = tuple(_message(turn, place) for place, turn in enumerate(decoded.messages))
    if chat[-1].role != "assistant":
        raise ExampleError(f"the last message must be from the assistant, not the {chat[-1].role}")
    if not any(message.weight for message in chat if message.role == "assistant"):
        raise ExampleError("no assistant message has weight 1, so there is nothing to learn")
    return chat


def _message(turn: _Turn, place: int) -> ChatMessage:
    if turn.role not in _ROLES:
        known = ", ".join(_ROLES)
        raise ExampleError(f"messages[{place}] has role {turn.role!r}; use one of: {known}")
    content = turn.content
    text = "".join(part.text for part in content) if isinstance(content, list) else content
    if not text:
        raise ExampleError(f"messages[{place}] has no content")
    if turn.weight is not None and (turn.role != "assistant" or turn.weight not in (0, 1)):
        raise ExampleError(
            f"messages[{place}] has weight {turn.weight}; it is 0 or 1, on assistant messages only"
        )
    return ChatMessage(_ROLES[turn.role], text, 1 if turn.weight is None else turn.weight)
