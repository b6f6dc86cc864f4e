"""A chat completion as it is answered: one JSON body, or a stream of server-sent events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rmft_api.core import answer_forms
from rmft_api.local_server.engine import AnswerToken, SampledText, TokenLogprob

FINGERPRINT = "fp_local"


class Message(msgspec.Struct):
    """What the model said."""

    content: str | None
    role: str = "assistant"
    refusal: None = None
    tool_calls: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


class Rival(msgspec.Struct):
    """A token that could have been sampled."""

    token: str
    logprob: float
    bytes: list[int]


class Token(msgspec.Struct):
    """A token that was sampled."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[Rival]


class Logprobs(msgspec.Struct):
    """Of one choice, token by token."""

    content: list[Token]
    refusal: None = None


class Choice(msgspec.Struct):
    """One of the n answers."""

    index: int
    message: Message
    finish_reason: str
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    """Nothing is cached across requests."""

    cached_tokens: int = 0
    audio_tokens: int = 0


class CompletionDetails(msgspec.Struct, frozen=True):
    """All tokens are of the answer itself."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(msgspec.Struct):
    """Tokens of all choices; the prompt counts once."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails = PromptDetails()
    completion_tokens_details: CompletionDetails = CompletionDetails()


class ChatCompletion(msgspec.Struct):
    """The whole answer."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    object: str = "chat.completion"
    service_tier: str = "default"
    system_fingerprint: str = FINGERPRINT


class Delta(msgspec.Struct, omit_defaults=True):
    """What a chunk adds to a choice."""

    role: str | None = None
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChunkChoice(msgspec.Struct):
    """A choice as a chunk continues it."""

    index: int
    delta: Delta
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Chunk(msgspec.Struct):
    """One event of a stream."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET
    """Unset unless asked for; then null in every chunk but the last."""
    object: str = "chat.completion.chunk"
    service_tier: str = "default"
    system_fingerprint: str = FINGERPRINT


_ENCODER = msgspec.json.Encoder()


def usage(completions: Sequence[SampledText]) -> Usage:
    """The usage of one request."""
    asked = completions[0].prompt_tokens
    answered = sum(completion.completion_tokens for completion in completions)
    return Usage(asked, answered, asked + answered)


def body(
    name: str,
    created: int,
    model: str,
    completions: Sequence[SampledText],
    *,
    offers_tools: bool = False,
) -> bytes:
    """The answer as one JSON body; `name` is its id. A call in its text is one, with tools."""
    choices = [
        _choice(index, completion, offers_tools) for index, completion in enumerate(completions)
    ]
    return _ENCODER.encode(ChatCompletion(name, created, model, choices, usage(completions)))


def _choice(index: int, completion: SampledText, offers_tools: bool) -> Choice:
    odds = _logprobs(completion.logprobs)
    if offers_tools:
        turn = _turn(completion.text)
        if calls := turn.get("tool_calls"):
            message = Message(turn.get("content"), tool_calls=calls)
            return Choice(index, message, "tool_calls", odds)
    return Choice(index, Message(completion.text), completion.finish_reason, odds)


def _turn(text: str) -> dict[str, Any]:
    """A reply as its message: a call in its text is one."""
    (turn, *_) = answer_forms.wire_turns([{"role": "assistant", "content": text}])
    return turn


class Stream:
    """The answer as server-sent events, one piece each, in whatever order its choices grow.

    Where tools are offered, pieces that may belong to a call wait for the end of their choice.
    """

    def __init__(
        self,
        name: str,
        created: int,
        model: str,
        choices: int,
        with_usage: bool,
        *,
        offers_tools: bool = False,
    ) -> None:
        self._about = (name, created, model)
        self._with_usage = with_usage
        self._streamed = [0] * choices
        """Pieces of each choice."""
        self._sent = [""] * choices
        """Their texts, as far as they were sent."""
        self._held: list[list[AnswerToken]] | None = (
            [[] for _ in range(choices)] if offers_tools else None
        )

    def opening(self) -> bytes:
        """The chunks that begin the choices."""
        start = Delta(role="assistant", content="")
        return b"".join(self._chunk(ChunkChoice(n, start)) for n in range(len(self._streamed)))

    def piece(self, choice: int, place: int, piece: AnswerToken) -> bytes:
        """The next piece of a choice; nothing for one that was sent before."""
        if place != self._streamed[choice]:
            return b""
        self._streamed[choice] += 1
        if self._held is None:
            return self._content(choice, piece)
        held = self._held[choice]
        held.append(piece)
        if "<" in "".join(one.text for one in held) or piece.text.isspace():
            return b""
        return self._released(choice)

    def _released(self, choice: int) -> bytes:
        """What waited, as content."""
        assert self._held is not None
        held, self._held[choice] = self._held[choice], []
        return b"".join(self._content(choice, one) for one in held)

    def _content(self, choice: int, piece: AnswerToken) -> bytes:
        self._sent[choice] += piece.text
        odds = None if piece.logprob is None else _logprobs([piece.logprob])
        return self._chunk(ChunkChoice(choice, Delta(content=piece.text), None, odds))

    def rest(self, completions: Sequence[SampledText]) -> bytes:
        """What was not sent yet, and the end."""
        events = [self._ending(choice, one) for choice, one in enumerate(completions)]
        if self._with_usage:
            events.append(_event(Chunk(*self._about, [], usage(completions))))
        return b"".join((*events, b"data: [DONE]\n\n"))

    def _ending(self, choice: int, completion: SampledText) -> bytes:
        odds = completion.logprobs
        later = [
            self.piece(choice, place, AnswerToken(text, None if odds is None else odds[place]))
            for place, text in enumerate(completion.pieces)
        ]
        reason = completion.finish_reason
        if self._held is not None:
            turn = _turn(completion.text)
            if calls := turn.get("tool_calls"):
                reason = "tool_calls"
                words = turn.get("content") or ""
                end = completion.text.find(words) + len(words)
                later += self._called(choice, completion.text[len(self._sent[choice]) : end], calls)
            else:
                later.append(self._released(choice))
        return b"".join((*later, self._chunk(ChunkChoice(choice, Delta(), reason))))

    def _called(self, choice: int, rest: str, calls: Sequence[dict[str, Any]]) -> Iterator[bytes]:
        """The rest of what stands before the calls, then each: who is called, and with what."""
        if rest:
            yield self._chunk(ChunkChoice(choice, Delta(content=rest)))
        for index, call in enumerate(calls):
            function = call["function"]
            opened = {**call, "index": index, "function": {**function, "arguments": ""}}
            arguments_delta = {"index": index, "function": {"arguments": function["arguments"]}}
            for one in (opened, arguments_delta):
                yield self._chunk(ChunkChoice(choice, Delta(tool_calls=[one])))

    def _chunk(self, choice: ChunkChoice) -> bytes:
        unless_asked = None if self._with_usage else msgspec.UNSET
        return _event(Chunk(*self._about, [choice], unless_asked))


def failure(error: Mapping[str, str | None]) -> bytes:
    """The event of an answer that fails on the way."""
    return b"data: " + msgspec.json.encode({"error": error}) + b"\n\n"


def _event(chunk: Chunk) -> bytes:
    return b"data: " + _ENCODER.encode(chunk) + b"\n\n"


def _logprobs(tokens: Sequence[TokenLogprob] | None) -> Logprobs | None:
    if tokens is None:
        return None
    return Logprobs([_token(token) for token in tokens])


def _token(token: TokenLogprob) -> Token:
    rivals = [Rival(text, logprob, list(text.encode())) for text, logprob in token.top]
    return Token(token.token, token.logprob, list(token.token.encode()), rivals)
