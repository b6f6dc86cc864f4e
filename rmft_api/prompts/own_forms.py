"""Forms of an answer of one's own: `module:Class`, or an entry point of another package.

A class says in `words` how to answer (a template: $actions, $K, $T), in `pattern` what one answer
looks like (a regular expression whose first group holds the action's name), and in `write(name)`
how an action is answered. A reply is read only where the pattern stands in it once and nothing
follows it: strictness is kept here, whatever the class is.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rmft_api.core.answer_forms import WAYS, AnswerForm, way_of
from rmft_api.core.errors import ConfigError
from rmft_api.environments import loading
from rmft_api.prompts.json_answers import FormError, without_end_tokens

GROUP = "rmft_api.answers"
"""The entry-point group that other packages name their forms in."""
_AFTER = " \t\r\n.!\"'`*"


class Found(NamedTuple):
    """The one answer of a reply."""

    start: int
    end: int
    name: str


class OwnForm:
    """A class of somebody else, whose answers are looked at before they count."""

    def __init__(self, spec: str, made: Any) -> None:
        self._spec, self._made = spec, made
        words, pattern = getattr(made, "words", None), getattr(made, "pattern", None)
        if not isinstance(words, str) or not words.strip():
            raise ConfigError(f"answer {spec!r}: words is {words!r}; a text expected")
        try:
            self._pattern = re.compile(str(pattern) if isinstance(pattern, str) else "")
        except re.error as error:
            raise ConfigError(f"answer {spec!r}: pattern {pattern!r}: {error}") from error
        if self._pattern.groups < 1:
            raise ConfigError(
                f"answer {spec!r}: pattern is {pattern!r}; a regular expression expected whose "
                "first group holds the name"
            )
        self.words: str = words

    def write(self, name: str) -> str:
        """How this action is answered. Raises ConfigError that names what came."""
        what = f"answer {self._spec!r}: write({name!r})"
        try:
            found = self._made.write(name)
        except Exception as error:
            raise ConfigError(f"{what} raised {type(error).__name__}: {error}") from error
        if not isinstance(found, str):
            raise ConfigError(f"{what} returned {found!r}; a text expected")
        return found

    def find(self, text: str) -> Found:
        """The one answer, which is last. Raises FormError."""
        whole = without_end_tokens(text)
        if not whole.strip():
            raise FormError("the reply is empty", "empty")
        matches = [one for one in self._pattern.finditer(whole) if one.group(0)]
        if not matches:
            raise FormError(f"nothing is of the form {self._pattern.pattern!r}", "no_answer")
        if len(matches) > 1:
            why = f"{len(matches)} answers of the form {self._pattern.pattern!r}, one was expected"
            raise FormError(why, "several_answers")
        (match,) = matches
        if after := whole[match.end() :].strip(_AFTER):
            raise FormError(f"text follows the answer: {after[:60]!r}", "text_after")
        return Found(match.start(), match.end(), match.group(1) or "")

    def check(self, names: Sequence[str]) -> None:
        """Whether what is written for each action is read as that action. Raises ConfigError."""
        for name in names:
            answer = self.write(name)
            for reply in (answer, f"I think so.\n{answer}"):
                self._check_read(reply, name)

    def _check_read(self, reply: str, name: str) -> None:
        what = f"answer {self._spec!r}: write({name!r}) returned {reply!r}"
        try:
            found = self.find(reply)
        except FormError as error:
            raise ConfigError(f"{what}, which its own pattern does not read: {error}") from error
        if found.name.strip() != name:
            raise ConfigError(f"{what}, in which its pattern reads {found.name!r}")


def load(spec: str, folder: Path | None) -> OwnForm:
    """The form, from now on known by its name. Raises ConfigError."""
    found = loading.own("answer", GROUP, spec, folder, WAYS)
    if not callable(found):
        raise ConfigError(f"answer {spec!r} is {found!r}, not a class")
    known = _LOADED.get(spec)
    if known is not None and known[0] is not found:
        raise ConfigError(
            f"answer {spec!r} was loaded from another folder before; give one of them another name"
        )
    if known is None:
        try:
            made = found()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise ConfigError(f"answer {spec!r}: {spec}() raised {problem}") from error
        known = _LOADED[spec] = (found, OwnForm(spec, made))
    return known[1]


_LOADED: dict[str, tuple[Any, OwnForm]] = {}


def of(form: AnswerForm) -> OwnForm:
    """The form by its name; one that no prompt set has loaded is looked for in the working folder.

    Raises ConfigError.
    """
    known = _LOADED.get(way_of(form))
    return known[1] if known else load(way_of(form), None)


@lru_cache(maxsize=1024)
def written(form: AnswerForm, names: tuple[str, ...]) -> tuple[str, ...]:
    """Each action's answer. Raises ConfigError."""
    return tuple(of(form).write(name) for name in names)


@lru_cache(maxsize=1024)
def checked(form: AnswerForm, names: tuple[str, ...]) -> None:
    """Let the form write and read these names once. Raises ConfigError."""
    of(form).check(names)
