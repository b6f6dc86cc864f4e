"""Contexts: a library of real-world stories, `contexts/DOMAIN.toml` of a prompt set.

    [hay-fever]                     a name within the domain: `medicine/hay-fever`
    options = "nasal sprays"        what is chosen among, plural
    setting = "..."                 who decides, and what a round is
    reward = "..."                  how the outcome becomes a number in [0, 1], large is good
    loss = "..."                    the same as a loss: 1 - reward
    actions = ["Sorvel", ...]       names without a meaning: every scenario draws its own K of them
    task = "..."                    shown in place of `contexts/task.md`, with its fields

`contexts/task.md` (`full.md`, `task_context.md`) puts $setting, $options and $stake into a task.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Record
from rmft_api.environments import loading
from rmft_api.prompts.templates import Fields, Folder

WORDS: Fields = frozenset({"setting", "options", "stake"})
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
ALL = "all"
STATE = "state"
"""The domain of problems with state: no other problem fits its stories, so `ALL` leaves it out."""
_NOT_IN_ACTIONS = re.compile(r"[<>,:\"'`*\x00-\x1f]")


class Story(Record, frozen=True):
    """One story."""

    options: str
    setting: str
    reward: str
    loss: str
    actions: tuple[str, ...]
    task: str = ""
    """The whole task, where it is not worded as others are: problems with state."""

    def words(self, stakes: Literal["reward", "loss"]) -> dict[str, str]:
        """The values of `WORDS`."""
        stake = self.reward if stakes == "reward" else self.loss
        return {"setting": self.setting, "options": self.options, "stake": stake}


Domain = Mapping[str, Story]


def found(folder: Folder, word: str) -> tuple[str, ...]:
    """The full names that a word of a run file stands for. Raises ConfigError, DataError."""
    if word == ALL:
        return tuple(
            name for domain in _domains(folder) if domain != STATE for name in found(folder, domain)
        )
    domain, _, name = (word, "", "") if word.endswith(".toml") else word.rpartition("/")
    domain, name = (domain, name) if domain else (name, "")
    stories = _domain(folder, domain)
    if name and name not in stories:
        raise ConfigError(f"no context {word!r}; {domain} has {', '.join(stories)}")
    return (word,) if name else tuple(f"{domain}/{story}" for story in stories)


def read(folder: Folder, words: Sequence[str]) -> dict[str, Story]:
    """Every story that the words stand for, by its full name. Raises ConfigError, DataError."""
    stories: dict[str, Story] = {}
    for name in (name for word in words for name in found(folder, word)):
        domain, _, story = name.rpartition("/")
        stories[name] = _domain(folder, domain)[story]
    return stories


def check_actions(where: str, names: Sequence[str]) -> None:
    """Refuse names that answers could not distinguish. Raises DataError."""
    for action in names:
        if not action.strip() or _NOT_IN_ACTIONS.search(action):
            raise DataError(
                f"{where}: the action name {action!r} is empty or has a character that answers "
                "need for themselves; use letters, digits, spaces and - . _"
            )
    if len({action.casefold() for action in names}) < len(names):
        raise DataError(f"{where}: two actions have names that differ only in case")


def _domains(folder: Folder) -> list[str]:
    return folder.stems("contexts", ".toml")


def _domain(folder: Folder, domain: str) -> Domain:
    """The stories of a domain: of the set's own library, or of a file of the user's."""
    if ":" in domain:
        return dict(_checked(domain, _of_module(folder, domain)))
    own = domain.endswith(".toml")
    name = str((folder.beside / domain).resolve()) if own else f"contexts/{domain}.toml"
    text = folder.text(name) if own or NAME.fullmatch(domain) else None
    if text is None:
        known = ", ".join(_domains(folder)) or "none"
        raise ConfigError(
            f"no contexts {domain!r} for {folder.root}; known: {known}, {ALL!r} for every one; "
            "or name a .toml file, or module:name of your own"
        )
    where = domain if own else str(folder.root / name)
    try:
        return dict(_checked(where, tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{where}: {error}") from None


def _of_module(folder: Folder, spec: str) -> Mapping[str, object]:
    """The stories of `module:name`: tables by their names, as a file has them. Raises ConfigError.

    They are kept with the texts of the set, so a change is seen and a decider needs no module.
    """
    place = f"stories {spec}"
    folder.texts[place] = _text_of(folder, spec) if folder.kept is None else folder.kept[place]
    return msgspec.json.decode(folder.texts[place], type=dict[str, object])


def _text_of(folder: Folder, spec: str) -> str:
    found = loading.imported("story", spec, folder.beside)
    if not isinstance(found, Mapping) or not found:
        raise ConfigError(
            f"story {spec!r} is {found!r}; a dict of stories expected, each name with a dict of "
            "options, setting, reward, loss and actions"
        )
    try:
        return msgspec.json.encode(found, order="sorted").decode()
    except TypeError as error:
        raise ConfigError(f"story {spec!r}: {error}; write texts and lists of texts") from None


def _checked(where: str, stories: Mapping[str, object]) -> Iterator[tuple[str, Story]]:
    if not stories:
        raise DataError(f"{where}: holds no context; write one as a table, [its-name]")
    for name, raw in stories.items():
        if not NAME.fullmatch(name):
            raise DataError(f"{where}: {name!r} must be lower-case letters, digits and -")
        yield name, _story(f"{where}: {name}", raw)


def _story(where: str, raw: object) -> Story:
    try:
        story = msgspec.convert(raw, type=Story)
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: {error}") from None
    _check_story(where, story)
    return story


def _check_story(where: str, story: Story) -> None:
    for key in ("options", "setting", "reward", "loss"):
        if not str(getattr(story, key)).strip():
            raise DataError(f"{where}: {key} is empty")
    if len(story.actions) < 2:
        raise DataError(f"{where}: {len(story.actions)} actions; at least two are needed")
    check_actions(where, story.actions)
