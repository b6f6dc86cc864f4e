"""What every form of an answer of one's own keeps, as tests that a user's own inherits.

    class TestMine(AnswerContract):
        form = "mine:Mine"

Run it with pytest; this module itself needs nothing but the package.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from rmft_api.core.answer_forms import AnswerForm, form_of
from rmft_api.prompts import own_forms, reader
from rmft_api.prompts.reader import ParsedReply

TWICE = "two answers were read as one: {reply!r}"
AFTER = "words after an answer may take it back, and were read over: {reply!r}"
NO_ANSWER = "an action was read in a reply without an answer: {reply!r}"


class AnswerContract:
    """Inherit, name the `form`, and run pytest."""

    form: str = ""
    """`module:Class`."""
    folder: Path | None = None
    """Where its module lies; absent: the working folder."""
    names: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("A", "B"),
        ("blue", "green", "red button"),
        ("order 0", "order 2", "order 4"),
        ("Café", "naïve-1", "x_2"),
    )
    """Names of actions to try, as problems have them."""

    def test_what_is_written_is_read_as_the_same_action(self) -> None:
        """A training file teaches what the rollout did."""
        for names, action, reply in self._replies():
            for said in (reply, f"Some reasons.\n{reply}", f"{reply}\n"):
                found = self._read(said, names)
                assert isinstance(found, ParsedReply), found
                assert found.action == action

    def test_two_answers_are_none(self) -> None:
        """Nothing is guessed at."""
        for names, _, reply in self._replies():
            other = self._write(names[0])
            for said in (f"{reply}\n{reply}", f"{other}\nOr rather:\n{reply}"):
                assert not isinstance(self._read(said, names), ParsedReply), TWICE.format(
                    reply=said
                )

    def test_nothing_may_follow_an_answer(self) -> None:
        """It may take the answer back."""
        for names, _, reply in self._replies():
            said = f"{reply}\nNo, wait, the other one"
            assert not isinstance(self._read(said, names), ParsedReply), AFTER.format(reply=said)

    def test_a_reply_without_an_answer_is_unreadable(self) -> None:
        """A name alone, silence, and a name that no action has."""
        for names, _, _ in self._replies():
            for said in ("", "I do not know.", self._write("nobody's name")):
                found = self._read(said, names)
                assert not isinstance(found, ParsedReply), NO_ANSWER.format(reply=said)

    def _form(self) -> AnswerForm:
        own_forms.load(self.form, self.folder)
        return form_of("action", self.form)

    def _write(self, name: str) -> str:
        return own_forms.of(self._form()).write(name)

    def _read(self, said: str, names: tuple[str, ...]) -> reader.ParsedReply | object:
        return reader.read(said, "stop", None, names, self._form())

    def _replies(self) -> Iterator[tuple[tuple[str, ...], int, str]]:
        form = self._form()
        for names in self.names:
            for action in range(len(names)):
                policy = [1.0 if one == action else 0.0 for one in range(len(names))]
                yield names, action, reader.render(action, policy, names, form)
