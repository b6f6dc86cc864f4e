"""A chat completion of the OpenAI wire, strict where it counts and lenient where nothing depends.

`decode` takes what the wire documents in one pass. What it refuses is read again by hand, as a
person would: with a byte order mark, half surrogate pairs or bad UTF-8, as a stream of events,
with counts that are no integers, with content in typed parts.
"""

import json
import re
from typing import Any, cast

import msgspec

from rmft_api.core.errors import Mismatch
from rmft_api.core.records import Usage
from rmft_api.providers import event_stream
from rmft_api.providers import usage as usages

Table = dict[str, Any]


class ParsedUsage(msgspec.Struct):
    """The tokens as billed."""

    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: "CachedTold | None" = None


class CachedTold(msgspec.Struct):
    """The part of the prompt that a cache held."""

    cached_tokens: int | None = None


class ParsedMessage(msgspec.Struct):
    """What was said."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    error: Any = None
    tool_calls: Any = None
    function_call: Any = None


class ParsedChoice(msgspec.Struct):
    """One of the replies."""

    message: ParsedMessage
    index: int | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    error: Any = None


class Completion(msgspec.Struct):
    """A reply of the right form, right or wrong."""

    choices: list[ParsedChoice]
    id: str = ""
    model: str = ""
    usage: ParsedUsage | None = None
    error: Any = None

    def billed(self) -> Usage | None:
        """The tokens as billed; None where they are missing or cannot be true."""
        raw = self.usage
        if raw is None:
            return None
        details = raw.prompt_tokens_details
        cached = (details.cached_tokens if details else None) or 0
        return usages.possible(Usage(raw.prompt_tokens, raw.completion_tokens, cached))


class OddReplyError(Exception):
    """A body that is no completion."""

    def __init__(self, why: str, mismatch: Mismatch | None = None) -> None:
        super().__init__(why)
        self.mismatch = mismatch


_CHECK = "check that base_url leads to an OpenAI-compatible endpoint (most end in /v1)"
_decode = msgspec.json.Decoder(Completion).decode


def decode(raw: bytes) -> Completion:
    """The completion that a body holds. Raises OddReplyError."""
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _completion(parsed(raw))


def parsed(raw: bytes) -> Table:
    """The object that a body holds, in JSON or as a stream of events. Raises OddReplyError."""
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _streamed(text, error)
    if isinstance(found, list) and found:
        found = cast("list[Any]", found)[0]
    if isinstance(found, dict):
        return cast(Table, found)
    raise OddReplyError(f"it is JSON, and no object; {_CHECK}", Mismatch("no object", False))


def _streamed(text: str, error: Exception) -> Table:
    if not text:
        raise OddReplyError(f"it is empty; {_CHECK}", Mismatch("nothing", False))
    if event_stream.is_stream(text):
        if (found := event_stream.whole(text)) is not None:
            return found
        raise OddReplyError("it is a stream of events that breaks off")
    if text[0] in "{[":
        raise OddReplyError(f"its JSON is broken ({error})")
    what = "HTML" if text[0] == "<" else "text"
    raise OddReplyError(f"it is {what}, and no JSON; {_CHECK}", Mismatch(what, False))


def _completion(raw: Table) -> Completion:
    choices = raw.get("choices")
    if isinstance(choices, dict):
        choices = [cast(Table, choices)]
    error = raw.get("error") or (None if "choices" in raw else _error_of(raw))
    if "choices" not in raw and not error:
        fields = ", ".join(sorted(raw)[:6]) or "nothing"
        why = f"it holds no choices, but {fields}; {_CHECK}"
        raise OddReplyError(why, Mismatch(f"object of {fields}", False))
    if choices is not None and not isinstance(choices, list):
        raise OddReplyError("its choices are no list")
    return Completion(
        [_choice(one) for one in cast("list[Any]", choices or [])],
        _text_of(raw.get("id")),
        _text_of(raw.get("model")),
        _usage(raw.get("usage")),
        error,
    )


def _error_of(raw: Table) -> Any:
    """An error that stands where the whole reply should, without its name."""
    if isinstance(errors := raw.get("errors"), list) and errors:
        return cast("list[Any]", errors)[0]
    return raw if any(isinstance(raw.get(name), str) for name in _SAYS) else None


_SAYS = ("message", "detail", "msg", "error_msg")


def _choice(raw: Any) -> ParsedChoice:
    if not isinstance(raw, dict):
        raise OddReplyError(f"one of its choices is {_shown(raw)}")
    choice = cast(Table, raw)
    message = choice.get("message") or choice.get("delta")
    if message is None and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}
    index = choice.get("index")
    reason = choice.get("finish_reason")
    if isinstance(reason, dict):  # as SGLang's own endpoint sends it
        reason = cast(Table, reason).get("type")
    native = choice.get("native_finish_reason")
    return ParsedChoice(
        _message(message),
        int(index) if isinstance(index, (int, float)) and index == index // 1 else None,
        reason if isinstance(reason, str) or reason is None else _shown(reason),
        native if isinstance(native, str) else None,
        choice.get("error"),
    )


def _message(raw: Any) -> ParsedMessage:
    if isinstance(raw, str):
        raw = {"content": raw}
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise OddReplyError(f"one of its messages is {_shown(raw)}")
    message = cast(Table, raw)
    content = _Words()
    content.add(message.get("content"))
    refusal, thoughts = _Words(), _Words()
    refusal.add(_text_like(message.get("refusal")))
    for name in ("reasoning_content", "reasoning", "thinking", "thoughts", "reasoning_details"):
        if not thoughts.all:
            thoughts.add(_text_like(message.get(name)))
    return ParsedMessage(
        _repaired(content.said),
        _repaired(content.refused + refusal.all) or None,
        _repaired(content.thought + thoughts.all) or None,
        None,
        message.get("error"),
        message.get("tool_calls"),
        message.get("function_call"),
    )


def _text_like(raw: Any) -> Any:
    """Without what can hold no text, where that does not matter; `true` says so itself."""
    if raw is True:
        return "true"
    return cast(Any, raw) if isinstance(raw, (str, list, dict)) else None


_SAID = frozenset(("text", "output_text", "input_text"))
_THOUGHTS = frozenset(("thinking", "reasoning", "reasoning_text", "thought", "redacted_thinking"))
_TEXTS = ("text", "content", "value", "parts", "thinking", "reasoning", "summary", "refusal")


class _Words:
    """A content in any of its forms: a text, a part, or a list of both."""

    def __init__(self) -> None:
        self.said: str | None = None
        self.thought = ""
        self.refused = ""

    @property
    def all(self) -> str:
        """Everything, whatever it is."""
        return (self.said or "") + self.thought + self.refused

    def add(self, raw: Any, kind: str = "text") -> None:
        """Take a content in. Raises OddReplyError for one of an undocumented form."""
        if raw is None or raw is False:
            return
        if isinstance(raw, str):
            self._take(raw, kind)
        elif isinstance(raw, list):
            for part in cast("list[Any]", raw):
                self.add(part, kind)
        elif isinstance(raw, dict):
            self._part(cast(Table, raw), kind)
        else:
            why = f"its content is {_shown(raw)}, and no text; {_CHECK}"
            raise OddReplyError(why, Mismatch(f"content of type {type(raw).__name__}"))

    def _part(self, part: Table, kind: str) -> None:
        named = part.get("type")
        named = named.partition(".")[0] if isinstance(named, str) else "text"
        if part.get("thought") is True or named in _THOUGHTS:
            kind = "thought"
        elif named == "refusal":
            kind = "refusal"
        elif named not in _SAID:  # a picture, a call of a tool
            return
        words = next((part[name] for name in _TEXTS if part.get(name)), None)
        if words is not None and not isinstance(words, (int, float)):
            self.add(words, kind)

    def _take(self, text: str, kind: str) -> None:
        if kind == "thought":
            self.thought += text
        elif kind == "refusal":
            self.refused += text
        else:
            self.said = (self.said or "") + text


def _usage(raw: Any) -> ParsedUsage | None:
    """Counts in any form; None where they are missing or cannot be true."""
    if usages.is_reported_zero(raw):
        return ParsedUsage(0, 0)
    usage = usages.of_openai(raw)
    if usage is None:
        return None
    return ParsedUsage(
        usage.prompt_tokens, usage.completion_tokens, CachedTold(usage.cached_tokens)
    )


_SURROGATES = re.compile("[\ud800-\udfff]")


def _repaired(text: str | None) -> str | None:
    return text and _SURROGATES.sub("\ufffd", text)


def _text_of(value: Any) -> str:
    return _SURROGATES.sub("\ufffd", value) if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    return repr(value)[:60]
