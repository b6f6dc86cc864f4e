"""A chat completion as it is asked for: OpenAI's fields, checked, as prompts for an engine."""

import os
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rmft_api.core.answer_forms import texts_of_calls
from rmft_api.core.records import VisibleState
from rmft_api.core.seeds import number
from rmft_api.local_server.engine import ChatMessage, Prompt
from rmft_api.local_server.refusals import RequestError, decode, invalid, unsupported

MAX_TOKENS = 1024
"""Of an answer that names no limit; the context may end it earlier."""
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

Tokens = Annotated[int, Meta(ge=1, le=1_000_000)]
Stop = Annotated[str, Meta(min_length=1, max_length=1000)]


class Part(msgspec.Struct):
    """A piece of a message; only text can be read here."""

    type: str
    text: str | None = None


class Turn(msgspec.Struct):
    """A message of the chat."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: object = None


class StreamOptions(msgspec.Struct):
    """What a stream also sends."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ResponseFormat(msgspec.Struct):
    """The form that the reply should have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class ChatRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: Annotated[list[Turn], Meta(min_length=1)]
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Stop | Annotated[list[Stop], Meta(max_length=4)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    """Taken, and not enforced: no engine here samples by a grammar."""
    tool_choice: object = None
    tools: list[dict[str, Any]] | None = None
    visible_state: VisibleState | None = None
    """This project's own: for scripted players."""

    # Taken and without effect: they name the caller, or how a provider bills and caches.
    user: object = None
    metadata: object = None
    store: object = None
    service_tier: object = None
    safety_identifier: object = None
    prompt_cache_key: object = None
    prompt_cache_options: object = None
    prompt_cache_retention: object = None
    parallel_tool_calls: object = None

    # Taken where they ask for nothing special (`_NEUTRAL`).
    audio: object = None
    chat_template_kwargs: object = None
    frequency_penalty: object = None
    function_call: object = None
    functions: object = None
    logit_bias: object = None
    modalities: object = None
    moderation: object = None
    prediction: object = None
    presence_penalty: object = None
    reasoning_effort: object = None
    verbosity: object = None
    web_search_options: object = None

    @property
    def offers_tools(self) -> bool:
        """Whether a tool call in the reply is sent as one."""
        return bool(self.tools) and self.tool_choice != "none"

    @property
    def includes_usage(self) -> bool:
        """Whether the stream ends with the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def prompts(self) -> list[Prompt]:
        """One prompt per choice. Raises Refusal for what no engine here can follow."""
        self._refuse_unsupported()
        turns = [(place, turn) for place, turn in enumerate(self.messages) if turn.role != "tool"]
        messages = tuple(_message(turn, place) for place, turn in turns)
        seed = int.from_bytes(os.urandom(8), "big") if self.seed is None else self.seed
        return [
            Prompt(
                messages,
                choice_seed(seed, choice),
                1.0 if self.temperature is None else self.temperature,
                1.0 if self.top_p is None else self.top_p,
                self.max_tokens or self.max_completion_tokens or MAX_TOKENS,
                (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
                (self.top_logprobs or 0) if self.logprobs else None,
                self.visible_state,
            )
            for choice in range(self.n or 1)
        ]

    def _refuse_unsupported(self) -> None:
        for name, taken in _NEUTRAL:
            value = getattr(self, name)
            if value is not None and value not in taken:
                raise unsupported(name)
        if self.max_tokens and self.max_completion_tokens:
            raise invalid(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
                "supported.",
                "max_tokens",
                "invalid_parameter_combination",
            )
        if self.top_logprobs is not None and not self.logprobs:
            message = "'top_logprobs' is only allowed when 'logprobs' is true."
            raise invalid(message, "top_logprobs")
        if self.stream_options is not None and not self.stream:
            message = "'stream_options' is only allowed when 'stream' is true."
            raise invalid(message, "stream_options")


_NEUTRAL: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("audio", ()),
    ("chat_template_kwargs", ({}, {"enable_thinking": False})),
    ("frequency_penalty", (0,)),
    ("function_call", ("none", "auto")),
    ("functions", ([],)),
    ("logit_bias", ({},)),
    ("modalities", (["text"],)),
    ("moderation", ()),
    ("prediction", ()),
    ("presence_penalty", (0,)),
    ("reasoning_effort", ("none",)),
    ("verbosity", ()),
    ("web_search_options", ()),
)


def choice_seed(seed: int, choice: int) -> int:
    """Seed of one of the n choices; the first is what a request for one choice gets."""
    return number(seed, "choice", choice) if choice else seed % 2**63


def _message(turn: Turn, place: int) -> ChatMessage:
    if turn.role not in _ROLES:
        known = ", ".join(map(repr, _ROLES))
        message = f"Invalid value: {turn.role!r}. Supported values are: {known}."
        raise invalid(message, f"messages[{place}].role")
    if turn.function_call:
        raise unsupported(f"messages[{place}].function_call")
    if turn.tool_calls:
        words = turn.content if isinstance(turn.content, str) else ""
        called = texts_of_calls(turn.tool_calls)
        return ChatMessage(_ROLES[turn.role], f"{words}\n{called}" if words else called)
    if isinstance(turn.content, str):
        return ChatMessage(_ROLES[turn.role], turn.content)
    return ChatMessage(_ROLES[turn.role], _joined(turn.content, f"messages[{place}].content"))


def _joined(parts: list[Part] | None, where: str) -> str:
    if parts is None:
        message = f"Invalid value for '{where}': expected a string, got null."
        raise invalid(message, where, "invalid_type")
    for place, part in enumerate(parts):
        if part.type != "text" or part.text is None:
            message = f"Invalid value: {part.type!r}. Supported values are: 'text'."
            raise invalid(message, f"{where}[{place}].type")
    return "".join(part.text or "" for part in parts)


_DECODER = msgspec.json.Decoder(ChatRequest)


def read_chat(body: bytes) -> ChatRequest:
    """Read a request's body. Raises Refusal that names the field at fault."""
    return decode(_DECODER, body)


def too_long(reason: str) -> RequestError:
    """A chat that does not fit the model's context."""
    return invalid(f"{reason.rstrip('.')}.", "messages", "context_length_exceeded")


def unreadable(reason: str) -> RequestError:
    """A chat that the model cannot take, for a reason of its own."""
    return invalid(f"Invalid 'messages': {reason}.", "messages")
