"""Request bodies, encoded straight from records; a growing chat is not encoded again each round."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec

from rmft_api.core import answer_forms
from rmft_api.core.answer_forms import way_of, wire_turns
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import AnswerFormat, ChatRequest, Message, VisibleState
from rmft_api.providers.capabilities import ChatCapabilities

_LONG = 8
"""Chats from this many messages are worth remembering."""
_REMEMBERED_BYTES = 64 * 2**20
"""What all remembered chats may take together."""


class _Body(msgspec.Struct, omit_defaults=True):
    model: str
    messages: msgspec.Raw
    temperature: float
    top_p: float | None = None
    n: int = 1
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    seed: int | None = None
    stop: Sequence[str] = ()
    prompt_cache_key: str | None = None
    visible_state: VisibleState | None = None
    response_format: msgspec.Raw | None = None
    tools: msgspec.Raw | None = None
    tool_choice: msgspec.Raw | None = None


class RequestEncoder:
    """Encodes each `ChatRequest` for an endpoint. Raises ConfigError for what it cannot take."""

    def __init__(self, traits: ChatCapabilities) -> None:
        self._traits = traits
        self._encoder = msgspec.json.Encoder()
        self._chats = MessageEncoder()
        self._extra = self._encoder.encode(traits.extra)[1:] if traits.extra else b""

    def encode(self, request: ChatRequest, model: str | None = None) -> bytes:
        """The JSON body of one request, to `model` where that answers for the one that is asked."""
        traits, sampling = self._traits, request.sampling
        if request.n > traits.n:
            raise ConfigError(f"n={request.n} choices in one request, but chat.n={traits.n} there")
        body = _Body(
            model=model or request.model,
            messages=msgspec.Raw(self._chats.encode(request.messages)),
            temperature=sampling.temperature,
            top_p=sampling.top_p if sampling.top_p != 1 else None,
            n=request.n,
            seed=request.seed if traits.seed else None,
            stop=sampling.stop,
            prompt_cache_key=cache_key(request.messages) if traits.prompt_cache_key else None,
            visible_state=request.visible_state,
        )
        if request.answer is not None:
            self._add_answer(body, request, request.answer)
        if traits.max_tokens_field == "max_tokens":
            body.max_tokens = sampling.max_tokens
        else:
            body.max_completion_tokens = sampling.max_tokens
        encoded = self._encoder.encode(body)
        return encoded[:-1] + b"," + self._extra if self._extra else encoded

    def _add_answer(self, body: _Body, request: ChatRequest, answer: AnswerFormat) -> None:
        """Send the endpoint the answer's form, as far as it supports that."""
        if way_of(answer.form) == "tool":
            if not self._traits.tools:
                raise ConfigError("prompts.answer = 'tool', but chat.tools is false there")
            turns = wire_turns([{"role": m.role, "content": m.content} for m in request.messages])
            body.messages = msgspec.Raw(self._encoder.encode(turns))
            body.tools, body.tool_choice = _tools(answer), _CHOICE
        elif self._traits.json_answers != "none":
            body.response_format = _response_format(answer, self._traits.json_answers)


class MessageEncoder:
    """Encodes lists of messages; one that continues a list it knows costs only what is new.

    A known list is found by its last message *object*, then compared as a whole, which is fast
    because the objects are the same. So it helps callers that keep their messages, and is right
    for all others.
    """

    def __init__(self, remembered_bytes: int = _REMEMBERED_BYTES) -> None:
        self._encoder = msgspec.json.Encoder()
        self._known: OrderedDict[int, tuple[tuple[Message, ...], bytes]] = OrderedDict()
        self._most = self._room = remembered_bytes

    @property
    def remembered_bytes(self) -> int:
        """What the remembered chats take."""
        return self._most - self._room

    def encode(self, messages: tuple[Message, ...]) -> bytes:
        """The messages as a JSON array."""
        if len(messages) < _LONG:
            return self._encoder.encode(messages)
        known, start = self._beginning(messages)
        rest = self._encoder.encode(messages[known:])
        encoded = start[:-1] + b"," + rest[1:] if known else rest
        self._remember(messages, encoded)
        return encoded

    def _beginning(self, messages: tuple[Message, ...]) -> tuple[int, bytes]:
        """How many messages are known already, and their encoding. A round adds two."""
        for length in (len(messages) - 2, len(messages) - 1):
            found = self._known.pop(id(messages[length - 1]), None)
            if found and found[0] == messages[:length]:
                self._room += len(found[1])
                return length, found[1]
            if found:
                self._room += len(found[1])
        return 0, b""

    def _remember(self, messages: tuple[Message, ...], encoded: bytes) -> None:
        key = id(messages[-1])
        before = self._known.pop(key, None)
        self._room += len(before[1]) if before else 0
        self._known[key] = (messages, encoded)
        self._room -= len(encoded)
        while self._room < 0 and self._known:
            _, (_, oldest) = self._known.popitem(last=False)
            self._room += len(oldest)


def cache_key(messages: tuple[Message, ...]) -> str:
    """Steers prompts with the same start to one cache: a grown chat to its own, others by topic.

    A growing chat shares its whole history with its last round, so its first two messages name it;
    chats of one round share only their standing instructions.
    """
    return _name_of(messages[:2] if len(messages) > 2 else messages[:1])


@lru_cache(maxsize=2**14)
def _name_of(messages: tuple[Message, ...]) -> str:
    digest = blake2b(digest_size=12)
    for message in messages:
        digest.update(message.content.encode("utf-8", "replace"))
        digest.update(b"\0")
    return digest.hexdigest()


_CHOICE = msgspec.Raw(
    msgspec.json.encode({"type": "function", "function": {"name": answer_forms.TOOL}})
)


@lru_cache(maxsize=1024)
def _tools(answer: AnswerFormat) -> msgspec.Raw:
    tools = answer_forms.tools(answer.form, answer.names, answer.reasoned)
    return msgspec.Raw(msgspec.json.encode(tools))


@lru_cache(maxsize=1024)
def _response_format(answer: AnswerFormat, kind: str) -> msgspec.Raw:
    if kind == "object":
        return msgspec.Raw(b'{"type":"json_object"}')
    schema = answer_forms.schema(answer.form, answer.names, answer.reasoned)
    named = {"name": "answer", "strict": True, "schema": schema}
    return msgspec.Raw(msgspec.json.encode({"type": "json_schema", "json_schema": named}))
