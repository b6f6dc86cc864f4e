"""The one reader of replies: strict, and never inventing an action (docs/design.md 8).

A reply may reason as it likes and must end with one answer:

    action        <Answer>NAME</Answer>
    distribution  <Answer>NAME:3,OTHER:1</Answer>       any weights; missing names weigh 0
    policy        <Answer>{"policy":[0.75,0.25]}</Answer>, or that JSON as the whole reply

The rule: `<Answer>` and `</Answer>` stand in the reply exactly once each, in whatever letter case,
and no word follows them. Two answers are two actions, and words after an answer may take it back:
such replies are unreadable, not guessed at. Answers that are JSON objects or calls of a tool are
read by `json_answers.py`, those of a form of one's own by `own_forms.py`. What cannot be mistaken
is forgiven in every form: quotes, letter case, a full stop behind a name, and end-of-turn tokens
that a server left at a reply's end.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from rmft_api.core.answer_forms import AnswerForm, Kind, is_own, kind_of, way_of
from rmft_api.core.records import Record, ReplyStatus
from rmft_api.prompts import json_answers, own_forms
from rmft_api.prompts.json_answers import FormError, without_end_tokens

Output = AnswerForm
Cause = Literal[
    "refused",
    "filtered",
    "lost",
    "cut",
    "only_thoughts",
    "empty",
    "no_answer",
    "several_answers",
    "text_after",
    "wrong_form",
    "tool_call",
]
"""Why a reply cannot be read, in a word: what to change differs with it.

`only_thoughts`: a reasoning model's thoughts came, and nothing after them. `no_answer`: there is no
whole `<Answer>...</Answer>`. `several_answers`: more than one. `wrong_form`: one answer, which
names no action, or gives no distribution. `tool_call`: a tool was called, and none was offered.
"""

OPENING, CLOSING = "<Answer>", "</Answer>"
_TAGS = re.compile(r"<(/?)answer>", re.IGNORECASE | re.ASCII)
_SIGNS = 2
"""Each tag has one "<"."""
_AFTER_NAMES = ".,;:!"
_UNSEEN = "\u00a0\u00ad\u2028\u2029\u202f\u205f\u2060\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x2010))
)
"""No-break, thin and zero-width spaces, and marks of direction."""
_QUOTES = " \t\r\n\"'`*\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d" + _UNSEEN
_NEITHER_WORD_NOR_MARK = _QUOTES + ".!"
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s?%?")
_FENCED = re.compile(r"\Ajson\s+", re.IGNORECASE)
_UNSPEAKABLE = re.compile("[\x00\ud800-\udfff]")
_LEAST, _SUM_TOLERANCE = -1e-9, 1e-3


class ParsedReply(Record, frozen=True):
    """What a readable reply decides."""

    action: int | None
    """Index of the named action; None where the reply gives a distribution to draw from."""
    policy: tuple[float, ...]
    """K probabilities; one-hot for a named action."""
    start: int
    end: int
    """The answer is `clean(reply)[start:end]`, its tags included."""


class UnreadableReply(Record, frozen=True):
    """Why a reply decides nothing."""

    status: ReplyStatus
    """Never "read"."""
    why: str
    cause: Cause


def read(
    text: str | None,
    finish_reason: str,
    refusal: str | None,
    names: Sequence[str],
    output: Output,
    thoughts: str | None = None,
) -> ParsedReply | UnreadableReply:
    """Read one reply to a scenario whose K actions are called `names`. Never raises.

    `thoughts` that came beside the reply are not read; they only explain why a reply is empty.
    """
    if refusal:
        return UnreadableReply("refused", f"refused: {_shown(refusal)}", "refused")
    if finish_reason == "content_filter":
        return UnreadableReply("filtered", "stopped by the provider's content filter", "filtered")
    if finish_reason == "lost":
        why = "its reply was lost too often to be requested again"
        return UnreadableReply("lost", why, "lost")
    said = clean(text or "")
    try:
        return _answer(said, tuple(names), output)
    except FormError as error:
        why, cause = str(error), error.cause
        if finish_reason == "tool_calls" and way_of(output) != "tool":
            why, cause = f"a tool was called though none was offered, and {why}", "tool_call"
        if thoughts and not said.strip():
            why, cause = (
                f"{why}, the reply holds only thoughts:  {_shown(thoughts)}",
                "only_thoughts",
            )
        if finish_reason == "length":
            return UnreadableReply("cut", f"cut at the token limit: {why}", "cut")
        return UnreadableReply("unreadable" if said.strip() else "empty", why, cause)


def render(
    action: int, policy: Sequence[float], names: Sequence[str], output: Output, why: str = ""
) -> str:
    """A reply of this form: it names `action`, or gives the K probabilities of `policy`.

    `why` is the reasoning that stands before the answer.
    """
    kind, way = kind_of(output), way_of(output)
    if is_own(output):
        answer = own_forms.of(output).write(names[action])
        return f"{why}\n{answer}" if why else answer
    if way != "tag":
        return json_answers.render(action, policy, names, output, why)
    if kind == "action":
        answer = render_action(action, names)
    elif kind == "distribution":
        answer = render_distribution(policy, names)
    else:
        answer = render_policy(policy)
    return f"{why}\n{answer}" if why else answer


def alone(text: str, read: ParsedReply, output: Output, why: str = "") -> str:
    """The answer of a reply without its reasoning, or with `why` in its place."""
    if way_of(output) != "tag" and not is_own(output):
        return json_answers.alone(text, output, why)
    said = text[read.start : read.end]
    return f"{why}\n{said}" if why else said


def render_action(action: int, names: Sequence[str]) -> str:
    """The answer that names action `action`."""
    return f"{OPENING}{names[action]}{CLOSING}"


def render_distribution(policy: Sequence[float], names: Sequence[str]) -> str:
    """The answer that gives every action its probability, in plain digits."""
    weights = (f"{name}:{_plain(p)}" for name, p in zip(names, policy, strict=True))
    return f"{OPENING}{','.join(weights)}{CLOSING}"


def render_policy(policy: Sequence[float]) -> str:
    """The answer that lists the K probabilities as JSON."""
    return f"{OPENING}{msgspec.json.encode({'policy': list(policy)}).decode()}{CLOSING}"


def form_mistake(text: str, output: Output) -> str | None:
    """Why no scenario could read the reply, whatever its actions are called; None: one could."""
    kind = kind_of(output)
    try:
        if is_own(output):
            own_forms.of(output).find(clean(text))
            return None
        if way_of(output) != "tag":
            json_answers.value_of(clean(text), output)
            return None
        _, _, inside = _span(clean(text), bare=kind == "policy")
    except FormError as error:
        return str(error)
    if kind == "policy":
        return None
    if not inside.strip(_QUOTES) or (kind == "distribution" and ":" not in inside):
        return f"{_shown(inside)} is not {'NAME' if kind == 'action' else 'NAME:weight'}"
    return None


def clean(text: str) -> str:
    """The text with NUL and lone surrogates, which no wire carries faithfully, made U+FFFD."""
    if "\0" not in text:
        if text.isascii():
            return text
        try:
            text.encode()  # several times as fast as a search for surrogates
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSPEAKABLE.sub("\ufffd", text)


def reason(reply: str, output: Output = "action") -> str:
    """The last line with words before the answer: what the model said it was thinking."""
    if is_own(output):
        before = _before_own(reply, output) or ""
    elif way_of(output) != "tag":
        before = json_answers.reasoning(reply, output) or ""
    else:
        start = reply.find("<")
        if start >= 0 and not reply.startswith(OPENING, start):
            tag = _TAGS.search(reply, start)
            start = tag.start() if tag else -1
        before = reply[:start] if start > 0 else ""
    return before.rstrip().rpartition("\n")[2].strip()


def _before_own(reply: str, output: Output) -> str | None:
    try:
        return reply[: own_forms.of(output).find(reply).start]
    except FormError:
        return None


def _answer(text: str, names: tuple[str, ...], output: Output) -> ParsedReply:
    kind = kind_of(output)
    if is_own(output):
        start, end, name = own_forms.of(output).find(text)
        action = _index(name, names)
        return ParsedReply(action, _one_hot(action, len(names)), start, end)
    if way_of(output) != "tag":
        found = json_answers.value_of(text, output)
        action, policy = _decided(found.value, names, kind)
        return ParsedReply(action, policy, found.start, found.end)
    start, end, inside = _span(text, bare=kind == "policy")
    if kind == "action":
        action = _index(inside, names)
        return ParsedReply(action, _one_hot(action, len(names)), start, end)
    policy = _weights(inside, names) if kind == "distribution" else _policy(inside, len(names))
    return ParsedReply(None, policy, start, end)


def _decided(
    value: object, names: tuple[str, ...], kind: Kind
) -> tuple[int | None, tuple[float, ...]]:
    """What the object of a JSON answer decides: an action, or K probabilities."""
    if kind == "action":
        if not isinstance(value, str):
            raise FormError(f"the answer {_shown(repr(value))} is not a name")
        action = _index(value, names)
        return action, _one_hot(action, len(names))
    if kind == "policy":
        return None, _probabilities(json_answers.numbers(value), len(names))
    weights: dict[int, float] = {}
    for name, weight in json_answers.weights(value):
        action = _index(name, names)
        if action in weights:
            raise FormError(f"{names[action]!r} is given two weights")
        weights[action] = weight
    return None, _shares(weights, len(names))


_Span = tuple[int, int, str]
"""Where the one answer starts and ends, and what its tags hold."""


def _span(text: str, *, bare: bool) -> _Span:
    """Where the one answer stands. `bare`: a reply without tags is all answer."""
    opening = text.find(OPENING)
    closing = text.find(CLOSING, opening)
    if closing > opening >= 0 and text.count("<") == _SIGNS:  # so no tag of other letters is there
        return _closed(text, opening, closing + len(CLOSING), opening + len(OPENING), closing)
    tags = list(_TAGS.finditer(text))
    opened = sum(not tag[1] for tag in tags)
    closed = len(tags) - opened
    whole = without_end_tokens(text) if bare and not tags else ""
    if whole.strip():
        return len(whole) - len(whole.lstrip()), len(whole.rstrip()), whole.strip()
    if opened != 1 or closed != 1:
        raise (
            _miscount(opened, closed) if text.strip() else FormError("the reply is empty", "empty")
        )
    first, last = tags
    if first[1]:
        raise FormError(f"{CLOSING} stands before {OPENING}", "no_answer")
    return _closed(text, first.start(), last.end(), first.end(), last.start())


def _closed(text: str, start: int, end: int, begins: int, ends: int) -> _Span:
    """The span of an answer that nothing follows; what its tags hold begins and ends so."""
    if end < len(text):
        after = without_end_tokens(text[end:]).strip(_NEITHER_WORD_NOR_MARK)
        if after:
            raise FormError(f"text follows the answer: {_shown(after)}", "text_after")
    return start, end, text[begins:ends]


def _miscount(opened: int, closed: int) -> FormError:
    if not opened and not closed:
        return FormError(f"there is no {OPENING}", "no_answer")
    why = f"{opened} {OPENING} and {closed} {CLOSING} are in the reply, one of each was expected"
    return FormError(why, "several_answers" if opened > 1 or closed > 1 else "no_answer")


def _index(said: str, names: tuple[str, ...]) -> int:
    """The action of this name: exactly, else without quotes, else whatever its case."""
    exact, folded = _lookup(names)
    if (index := exact.get(said.strip())) is not None:
        return index
    bare = said.strip(_QUOTES)
    for name in (bare, bare.rstrip(_AFTER_NAMES).strip(_QUOTES)):
        spaced = " ".join(name.split()).casefold()
        for index in (exact.get(name), folded.get(spaced)):
            if index is not None:
                return index
    raise FormError(f"{_shown(bare)} is not one action of {', '.join(names)}")


@lru_cache(maxsize=1024)
def _lookup(names: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int]]:
    """Index by name, and by case-folded name where only one action has it."""
    exact = {name: index for index, name in enumerate(names)}
    keys = [" ".join(name.split()).casefold() for name in names]
    return exact, {key: index for index, key in enumerate(keys) if keys.count(key) == 1}


@lru_cache(maxsize=1024)
def _one_hot(action: int, K: int) -> tuple[float, ...]:
    return tuple(1.0 if index == action else 0.0 for index in range(K))


def _weights(said: str, names: tuple[str, ...]) -> tuple[float, ...]:
    """Normalise "A:3,B:1"."""
    weights: dict[int, float] = {}
    units: set[bool] = set()
    for part in said.strip(_QUOTES).split(","):
        name, colon, number = part.rpartition(":")
        if not colon or not _NUMBER.fullmatch(number := number.strip(_QUOTES)):
            raise FormError(f"{_shown(part)} is not NAME:number")
        action = _index(name, names)
        if action in weights:
            raise FormError(f"{names[action]!r} is given two weights")
        weights[action] = weight = float(number.removesuffix("%"))
        if weight:
            units.add(number.endswith("%"))
    if len(units) > 1:
        raise FormError(f"some weights have a % and some have none: {_shown(said)}")
    return _shares(weights, len(names))


def _shares(weights: Mapping[int, float], K: int) -> tuple[float, ...]:
    total = sum(weights.values())
    if not 0 < total < math.inf:
        raise FormError(f"the weights sum to {total}")
    return tuple(weights.get(action, 0.0) / total for action in range(K))


class _Policy(msgspec.Struct, forbid_unknown_fields=True):
    policy: list[float]


_decode = msgspec.json.Decoder(_Policy).decode


def _policy(said: str, K: int) -> tuple[float, ...]:
    """Read {"policy":[...]}: K probabilities up to rounding, made exactly that.

    It may stand between quotes, or in a block of code as Markdown writes it.
    """
    try:
        policy = _decode(_FENCED.sub("", said.strip(_QUOTES))).policy
    except (msgspec.DecodeError, RecursionError) as error:
        raise FormError(f'not {{"policy":[{K} numbers]}}: {error}') from None
    if said.count('"policy"') != 1:
        raise FormError(f"one policy of {K} numbers was expected, got {_shown(said)}")
    return _probabilities(policy, K)


def _probabilities(policy: Sequence[float], K: int) -> tuple[float, ...]:
    """K probabilities up to rounding, made exactly that."""
    if len(policy) != K:
        raise FormError(f"one policy of {K} numbers was expected, got {len(policy)}")
    total = sum(policy)
    if not abs(total - 1) <= _SUM_TOLERANCE or not all(_LEAST <= p <= 2 for p in policy):
        raise FormError(f"not probabilities: {_shown(str(list(policy)))}")
    positive = [max(p, 0.0) for p in policy]
    return tuple(p / sum(positive) for p in positive)


def _plain(number: float) -> str:
    """All its digits, without an exponent."""
    return f"{Decimal(repr(float(number))):f}"


def _shown(text: str) -> str:
    """A short, one-line quotation for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
