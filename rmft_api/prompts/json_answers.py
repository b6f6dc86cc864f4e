"""Answers that are JSON: the whole reply is one object, or the arguments of one tool call are.

The object holds `answer` (a name, or a weight for each name) or `policy`, and nothing else but
`reasoning`. A key that stands twice, a second object or call, and words after it are two answers or
none: such replies are unreadable.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, NoReturn, cast

from rmft_api.core.answer_forms import (
    CALL,
    END_OF_CALL,
    TOOL,
    AnswerForm,
    call_text,
    kind_of,
    way_of,
)

Cause = Literal["no_answer", "several_answers", "text_after", "wrong_form", "empty"]
_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL | re.IGNORECASE)
_LARGEST = 1e300


class FormError(Exception):
    """The answer breaks the form; its text says how."""

    def __init__(self, why: str, cause: Cause = "wrong_form") -> None:
        super().__init__(why)
        self.cause: Cause = cause


class JsonAnswer(NamedTuple):
    """The value that decides, and where the answer stands in the reply."""

    value: object
    start: int
    end: int
    reasoning: str


def value_of(text: str, form: AnswerForm) -> JsonAnswer:
    """The one answer of a reply. Raises FormError."""
    if not text.strip():
        raise FormError("the reply is empty", "empty")
    start, end, table, before = _located(text, form)
    key = "policy" if kind_of(form) == "policy" else "answer"
    reasoning = table.pop("reasoning", "")
    if key not in table:
        raise FormError(f"the object has no {key!r}", "no_answer")
    value = table.pop(key)
    if table:
        raise FormError(f"the object holds {', '.join(map(repr, sorted(table)))} beside {key!r}")
    if not isinstance(reasoning, str):
        raise FormError("its 'reasoning' is no text")
    return JsonAnswer(value, start, end, before or reasoning)


def reasoning(text: str, form: AnswerForm) -> str | None:
    """What a reply says before its answer; None where there is no answer."""
    try:
        return value_of(text, form).reasoning
    except FormError:
        return None


def render(
    action: int, policy: Sequence[float], names: Sequence[str], form: AnswerForm, why: str
) -> str:
    """A reply of this form."""
    kind = kind_of(form)
    if kind == "action":
        said: dict[str, Any] = {"answer": names[action]}
    elif kind == "distribution":
        said = {"answer": dict(zip(names, policy, strict=True))}
    else:
        said = {"policy": list(policy)}
    return _written(said, form, why)


def alone(text: str, form: AnswerForm, why: str) -> str:
    """The answer of a readable reply, with `why` in the place of its reasoning."""
    found = value_of(text, form)
    key = "policy" if kind_of(form) == "policy" else "answer"
    return _written({key: found.value}, form, why)


def weights(value: object) -> Iterator[tuple[str, float]]:
    """Names and their weights, 0 or more. Raises FormError."""
    if not isinstance(value, dict):
        raise FormError("the answer is not an object of names and weights")
    for name, weight in cast("dict[str, Any]", value).items():
        number = _number(weight)
        if number < 0:
            raise FormError(f"the weight of {name!r} is {weight}")
        yield name, number


def numbers(value: object) -> list[float]:
    """A list of numbers. Raises FormError."""
    if not isinstance(value, list):
        raise FormError("the policy is not a list of numbers")
    return [_number(one) for one in cast("list[Any]", value)]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormError(f"{str(value)[:60]!r} is no number")
    if not -_LARGEST < value < _LARGEST:
        raise FormError("a number is too large")
    return float(value)


def _written(said: dict[str, Any], form: AnswerForm, why: str) -> str:
    whole = {"reasoning": why, **said} if why else said
    text = json.dumps(whole, ensure_ascii=False)
    return call_text(TOOL, text) if way_of(form) == "tool" else text


def _located(text: str, form: AnswerForm) -> tuple[int, int, dict[str, Any], str]:
    """Where the answer stands, its object, and the words before it."""
    if way_of(form) == "tool":
        return _called(text)
    whole = without_end_tokens(text)
    start = len(whole) - len(whole.lstrip())
    inside = whole.strip()
    fenced = _FENCE.match(inside)
    return start, start + len(inside), _object(fenced[1] if fenced else inside), ""


def _called(text: str) -> tuple[int, int, dict[str, Any], str]:
    opened, closed = text.count(CALL), text.count(END_OF_CALL)
    if opened != 1 or closed != 1:
        if not opened and not closed:
            raise FormError(f"the tool {TOOL!r} was not called", "no_answer")
        several = opened > 1 or closed > 1
        why = "tools were called more than once" if several else "the tool call is not whole"
        raise FormError(why, "several_answers" if several else "no_answer")
    start, end = text.index(CALL), text.index(END_OF_CALL) + len(END_OF_CALL)
    if end - len(END_OF_CALL) < start:
        raise FormError("the tool call is not whole", "no_answer")
    if after := without_end_tokens(text[end:]).strip():
        raise FormError(f"text follows the tool call: {after[:60]!r}", "text_after")
    call = _object(text[start + len(CALL) : end - len(END_OF_CALL)])
    if set(call) != {"name", "arguments"}:
        raise FormError(f"a tool call has name and arguments, not {', '.join(sorted(call))}")
    if call["name"] != TOOL:
        raise FormError(f"the tool {call['name']!r} was called, {TOOL!r} was offered")
    arguments = call["arguments"]
    table = _object(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(table, dict):
        raise FormError("the tool's arguments are not an object")
    return start, end, cast("dict[str, Any]", table), text[:start].strip()


def _object(text: str) -> dict[str, Any]:
    """One JSON object, no key twice, no NaN. Raises FormError."""
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise FormError(f"not one JSON object: {error}", "no_answer") from None
    if not isinstance(found, dict):
        raise FormError("it is JSON, and no object")
    return cast("dict[str, Any]", found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise FormError("the answer repeats a key", "several_answers")
    return table


def _no_number(word: str) -> NoReturn:
    raise FormError(f"{word} is no number")


_END_TOKENS = re.compile(
    r"(?:\s*(?:<\|(?:im_end|endoftext|eot_id|eom_id|end|end_of_text|return|eos)\|>"
    r"|</s>|<eos>|<end_of_turn>|<\uff5cend\u2581of\u2581sentence\uff5c>))+\s*\Z"
)
"""End-of-turn tokens of the known families, at the very end."""
_LAST = ("|>", "</s>", "<eos>", "_turn>", "\uff5c>")
"""How they end: a quick look, for few replies hold one."""


def without_end_tokens(text: str) -> str:
    """The text before end-of-turn tokens that a server left at its end."""
    return _END_TOKENS.sub("", text) if text.rstrip().endswith(_LAST) else text
