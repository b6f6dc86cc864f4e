"""The one reader of replies: strict, and never inventing an action (docs/design.md 8).

A reply may reason as it likes and must end with one answer:

    action        <Answer>NAME</Answer>
    distribution  <Answer>NAME:3,OTHER:1</Answer>       any weights; missing names weigh 0
    policy        <Answer>{"policy":[0.75,0.25]}</Answer>, or that JSON as the whole reply

The rule: `<Answer>` and `</Answer>` stand in the reply exactly once each, spelt so, and no word
follows them. Two answers are two actions, and words after an answer may take it back: such replies
are unreadable, not guessed at.
"""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from rmft_api.core.records import Record, ReplyStatus

Output = Literal["action", "distribution", "policy"]
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
]
"""Why a reply cannot be read, in a word: what to change differs with it.

`only_thoughts`: a reasoning model's thoughts came, and nothing after them. `no_answer`: there is no
whole `<Answer>...</Answer>`. `several_answers`: more than one. `wrong_form`: one answer, which
names no action, or gives no distribution.
"""

OPENING, CLOSING = "<Answer>", "</Answer>"
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


class _Unreadable(Exception):  # noqa: N818 - `read` turns it into an `UnreadableReply`
    """The answer breaks the form; its text says how."""

    def __init__(self, why: str, cause: Cause = "wrong_form") -> None:
        super().__init__(why)
        self.cause: Cause = cause


def read(
    text: str | None,
    finish_reason: str,
    refusal: str | None,
    names: Sequence[str],
    output: Output,
    thoughts: str | None = None,
) -> ParsedReply | UnreadableReply:
    """Read one reply to a scenario whose K actions are called `names`. Never raises.

    `thoughts` that came beside the reply are not read; they only tell why a reply is empty.
    """
    if refusal:
        return UnreadableReply("refused", f"refused: {_shown(refusal)}", "refused")
    if finish_reason == "content_filter":
        return UnreadableReply("filtered", "stopped by the provider's content filter", "filtered")
    if finish_reason == "lost":
        why = "its reply was lost so often that it is not asked for again"
        return UnreadableReply("lost", why, "lost")
    said = clean(text or "")
    try:
        return _answer(said, tuple(names), output)
    except _Unreadable as error:
        why, cause = str(error), error.cause
        if thoughts and not said.strip():
            why, cause = f"{why}, all that came are thoughts: {_shown(thoughts)}", "only_thoughts"
        if finish_reason == "length":
            return UnreadableReply("cut", f"cut at the token limit: {why}", "cut")
        return UnreadableReply("unreadable" if said.strip() else "empty", why, cause)


def render(action: int, policy: Sequence[float], names: Sequence[str], output: Output) -> str:
    """The answer of this form: it names `action`, or gives the K probabilities of `policy`."""
    if output == "action":
        return render_action(action, names)
    return render_distribution(policy, names) if output == "distribution" else render_policy(policy)


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
    try:
        start, end = _span(clean(text), bare=output == "policy")
    except _Unreadable as error:
        return str(error)
    inside = text[start:end].removeprefix(OPENING).removesuffix(CLOSING)
    if output == "policy":
        return None
    if not inside.strip(_QUOTES) or (output == "distribution" and ":" not in inside):
        return f"{_shown(inside)} is not {'NAME' if output == 'action' else 'NAME:weight'}"
    return None


def clean(text: str) -> str:
    """The text with NUL and lone surrogates, which no wire carries faithfully, made U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSPEAKABLE.sub("\ufffd", text)


def reason(reply: str) -> str:
    """The last line with words before the answer: what the model said it was thinking."""
    before, tag, _ = reply.partition(OPENING)
    words = (line.strip() for line in reversed(before.split("\n")))
    return next(filter(None, words), "") if tag else ""


def _answer(text: str, names: tuple[str, ...], output: Output) -> ParsedReply:
    start, end = _span(text, bare=output == "policy")
    inside = text[start:end].removeprefix(OPENING).removesuffix(CLOSING)
    if output == "action":
        action = _index(inside, names)
        return ParsedReply(action, _one_hot(action, len(names)), start, end)
    policy = _weights(inside, names) if output == "distribution" else _policy(inside, len(names))
    return ParsedReply(None, policy, start, end)


def _span(text: str, *, bare: bool) -> tuple[int, int]:
    """Where the one answer stands. `bare`: a reply without tags is all answer."""
    opened, closed = text.count(OPENING), text.count(CLOSING)
    if bare and not opened and not closed and text.strip():
        return len(text) - len(text.lstrip()), len(text.rstrip())
    if opened != 1 or closed != 1:
        raise (
            _miscount(opened, closed)
            if text.strip()
            else _Unreadable("the reply is empty", "empty")
        )
    start, end = text.index(OPENING), text.index(CLOSING) + len(CLOSING)
    if end - len(CLOSING) < start:
        raise _Unreadable(f"{CLOSING} stands before {OPENING}", "no_answer")
    if after := text[end:].strip(_NEITHER_WORD_NOR_MARK):
        raise _Unreadable(f"text follows the answer: {_shown(after)}", "text_after")
    return start, end


def _miscount(opened: int, closed: int) -> _Unreadable:
    if not opened and not closed:
        return _Unreadable(f"there is no {OPENING}", "no_answer")
    why = f"{opened} {OPENING} and {closed} {CLOSING} stand in the reply, one each was asked for"
    return _Unreadable(why, "several_answers" if opened > 1 or closed > 1 else "no_answer")


def _index(said: str, names: tuple[str, ...]) -> int:
    """The action of this name: exactly, else without quotes, else whatever its case."""
    exact, folded = _lookup(names)
    bare = said.strip(_QUOTES)
    spaced = " ".join(bare.split())
    for index in (exact.get(said.strip()), exact.get(bare), folded.get(spaced.casefold())):
        if index is not None:
            return index
    raise _Unreadable(f"{_shown(bare)} is not one action of {', '.join(names)}")


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
            raise _Unreadable(f"{_shown(part)} is not NAME:number")
        action = _index(name, names)
        if action in weights:
            raise _Unreadable(f"{names[action]!r} is given two weights")
        weights[action] = weight = float(number.removesuffix("%"))
        if weight:
            units.add(number.endswith("%"))
    if len(units) > 1:
        raise _Unreadable(f"some weights have a % and some have none: {_shown(said)}")
    total = sum(weights.values())
    if not 0 < total < math.inf:
        raise _Unreadable(f"the weights sum to {total}")
    return tuple(weights.get(action, 0.0) / total for action in range(len(names)))


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
        raise _Unreadable(f'not {{"policy":[{K} numbers]}}: {error}') from None
    if len(policy) != K or said.count('"policy"') != 1:
        raise _Unreadable(f"one policy of {K} numbers was asked for, got {_shown(said)}")
    total = sum(policy)
    if not abs(total - 1) <= _SUM_TOLERANCE or not all(_LEAST <= p <= 2 for p in policy):
        raise _Unreadable(f"not probabilities: {_shown(said)}")
    positive = [max(p, 0.0) for p in policy]
    return tuple(p / sum(positive) for p in positive)


def _plain(number: float) -> str:
    """All its digits, without an exponent."""
    return f"{Decimal(repr(float(number))):f}"


def _shown(text: str) -> str:
    """A short, one-line quotation for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
