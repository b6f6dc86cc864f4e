"""Reading a training file by OpenAI's rules; the first mistake is named by its line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from rmft_api.core.answer_forms import texts_of_calls
from rmft_api.local_server.engine import ChatMessage, ChatPair, ExampleError
from rmft_api.local_server.jsonl import rows

FEWEST = 10
"""Examples of a training file at least."""
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

Chat = tuple[ChatMessage, ...]
T = TypeVar("T")


class TrainingFileError(ValueError):
    """A training file that cannot be trained on; the text names the line (from 1) and why."""


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _Turn(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    weight: int | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Line(msgspec.Struct):
    messages: list[_Turn]
    tools: list[object] = []
    functions: list[object] = []


class _Input(msgspec.Struct):
    messages: list[_Turn]
    tools: list[object] = []
    parallel_tool_calls: bool = True


class _PairLine(msgspec.Struct):
    input: _Input
    preferred_output: list[_Turn]
    non_preferred_output: list[_Turn]


_LINE = msgspec.json.Decoder(_Line)
_PAIR_LINE = msgspec.json.Decoder(_PairLine)


def read_examples(path: Path, check: Callable[[Sequence[ChatMessage]], int]) -> list[Chat]:
    """All examples of a file. `check` is the engine's. Raises TrainingFileError."""
    return _read(path, read_example, lambda example: (example,), check)


def read_pairs(path: Path, check: Callable[[Sequence[ChatMessage]], int]) -> list[ChatPair]:
    """All pairs of a file of preferences. `check` is the engine's. Raises TrainingFileError."""
    return _read(path, read_pair, ChatPair.chats, check)


def _read(
    path: Path,
    read: Callable[[bytes], T],
    chats: Callable[[T], Sequence[Chat]],
    check: Callable[[Sequence[ChatMessage]], int],
) -> list[T]:
    def checked(number: int, line: bytes) -> T:
        try:
            example = read(line)
            for chat in chats(example):
                check(chat)
        except (ValueError, RecursionError) as error:
            raise TrainingFileError(f"Invalid file format. Line {number}: {error}") from error
        return example

    try:
        with path.open("rb") as file:
            examples = [checked(number, line) for number, line in rows(file)]
    except UnicodeError as error:
        raise TrainingFileError(f"Invalid file format. Line 1: {error}") from error
    if len(examples) < FEWEST:
        raise TrainingFileError(
            f"Training file has {len(examples)} example(s), but must have at least {FEWEST} "
            "examples"
        )
    return examples


def read_example(line: bytes) -> Chat:
    """One line. Raises ValueError that says what is wrong with it."""
    decoded = _LINE.decode(line)
    if decoded.functions:
        raise ExampleError("functions are not supported by the models of this server; use tools")
    if not decoded.messages:
        raise ExampleError("'messages' is empty")
    turns = [one for one in enumerate(decoded.messages) if one[1].role != "tool"]
    chat = tuple(_message(turn, place) for place, turn in turns)
    if chat[-1].role != "assistant":
        raise ExampleError(f"the last message must be from the assistant, not the {chat[-1].role}")
    if not any(message.weight for message in chat if message.role == "assistant"):
        raise ExampleError("no assistant message has weight 1, so there is nothing to learn")
    return chat


def read_pair(line: bytes) -> ChatPair:
    """One line of preferences: one turn each way. Raises ValueError."""
    decoded = _PAIR_LINE.decode(line)
    if decoded.input.tools:
        raise ExampleError("tools are not supported by the models of this server")
    messages = tuple(_message(turn, place) for place, turn in enumerate(decoded.input.messages))
    if not messages or messages[-1].role == "assistant":
        raise ExampleError("'input.messages' must end with a user message")
    return ChatPair(
        messages,
        _output("preferred_output", decoded.preferred_output),
        _output("non_preferred_output", decoded.non_preferred_output),
    )


def _output(name: str, turns: Sequence[_Turn]) -> str:
    messages = [_message(turn, place) for place, turn in enumerate(turns)]
    if len(messages) != 1 or messages[0].role != "assistant":
        raise ExampleError(f"'{name}' must hold exactly one assistant message")
    return messages[0].content


def _message(turn: _Turn, place: int) -> ChatMessage:
    if turn.role not in _ROLES:
        known = ", ".join(_ROLES)
        raise ExampleError(f"messages[{place}] has role {turn.role!r}; use one of: {known}")
    content = turn.content
    text = "".join(part.text for part in content) if isinstance(content, list) else content
    if turn.tool_calls:
        called = texts_of_calls(turn.tool_calls)
        text = f"{text}\n{called}" if text else called
    if not text:
        raise ExampleError(f"messages[{place}] has no content")
    if turn.weight is not None and (turn.role != "assistant" or turn.weight not in (0, 1)):
        raise ExampleError(
            f"messages[{place}] has weight {turn.weight}; it is 0 or 1, on assistant messages only"
        )
    return ChatMessage(_ROLES[turn.role], text, 1 if turn.weight is None else turn.weight)
