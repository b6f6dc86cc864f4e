"""Relative paths of a run file: they start at the file's own folder, wherever a command is given.

What is typed on a command line (`--set`) starts at the working folder, as in any shell.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from rmft_api.core import resources

DIVIDED, NAMED = 2, 3
RULES = NAMED
"""How scenarios are drawn now. 1: rows of a file served every split, and the columns of a user's
own class kept their places. 2: rows are divided among splits, and the columns change places.
3: the actions of a log are called what the log calls them."""

GGUF = ".gguf"
"""How the names of files of llama.cpp's format end."""
SECTIONS = ("rollouts", "validation", "test", "warm_up")


class Origin(NamedTuple):
    """What a run file does not say of itself, and its journal keeps."""

    folder: Path
    """Where its relative paths and its classes are looked for."""
    rules: int = RULES
    """How its scenarios are drawn."""


Table = dict[str, Any]


def made_absolute(raw: Table, folder: Path) -> Table:
    """Replace each relative path that exists in `folder`; `raw` is changed and handed back."""

    def absolute(value: Any) -> Any:
        if isinstance(value, list):
            return [absolute(one) for one in cast("list[Any]", value)]
        if not isinstance(value, str) or not value or Path(value).is_absolute():
            return value
        return _found(value, folder)

    for table, key in _paths(raw):
        table[key] = absolute(table[key])
    return raw


def settled(raw: Table, folder: Path, working: Path) -> Table:
    """Find what a run file may have in either folder: a checkpoint, and a prompt set.

    A checkpoint is often made in the working folder for a run file that ships; its name may be an
    id at the hub too, so only a folder or a GGUF file that exists is taken.
    """
    _settle(raw, ("model", "checkpoint"), (folder, working))
    if not _is_dir(folder, _value(raw, "prompts", "set")):
        _settle(raw, ("prompts", "set"), (working,))
    return raw


def _settle(raw: Table, place: tuple[str, str], folders: tuple[Path, ...]) -> None:
    section, key = place
    value = _value(raw, section, key)
    if value is None or (key == "set" and _ships(value)):
        return
    for folder in folders:
        if _is_dir(folder, value) or (value.endswith(GGUF) and _is_file(folder, value)):
            raw[section][key] = str((folder / value).resolve())
            return


def _is_dir(folder: Path, value: str | None) -> bool:
    try:
        return bool(value) and (folder / str(value)).is_dir()
    except OSError:  # too long for a name
        return False


def _is_file(folder: Path, value: str) -> bool:
    try:
        return (folder / value).is_file()
    except OSError:  # too long for a name
        return False


def _value(raw: Table, section: str, key: str) -> str | None:
    inside = raw.get(section)
    value: Any = cast("Table", inside).get(key) if isinstance(inside, dict) else None
    return value if isinstance(value, str) else None


def _ships(name: str) -> bool:
    return (resources.prompts_dir() / name).is_dir()


def _paths(raw: Table) -> Iterator[tuple[Table, str]]:
    """Every place of a run or suite file that may hold a path, as a table and its key."""
    named = (("prompts", "set"), ("prompts", "examples_file"), ("model", "checkpoint"))
    for section, key in named:
        value = _value(raw, section, key)
        if value is not None and not (key == "set" and _ships(value)):
            yield raw[section], key
    for table in (raw, *(raw.get(section) for section in SECTIONS)):
        for problem in _problems(table):
            if _may_be_story(problem.get("story")):
                yield problem, "story"
            options = problem.get("options")
            if isinstance(options, dict):
                inside = cast("Table", options)
                yield from ((inside, key) for key in inside if _may_be_path(key, inside[key]))


def _may_be_story(value: Any) -> bool:
    """Whether a file holds the stories, or one of several does: its name ends in .toml."""
    if isinstance(value, list):
        return any(_may_be_story(one) for one in cast("list[Any]", value))
    return isinstance(value, str) and value.endswith(".toml")


def _may_be_path(key: str, value: Any) -> bool:
    """Whether an option names a file: a word such as a column's name never does."""
    if isinstance(value, list):
        return any(_may_be_path(key, one) for one in cast("list[Any]", value))
    return key == "path" or (isinstance(value, str) and _looks_like_file(value))


def _looks_like_file(value: str) -> bool:
    """Whether it has a suffix or a slash."""
    return bool(Path(value).suffix) or "/" in value


def _problems(table: Any) -> Iterator[Table]:
    if not isinstance(table, dict):
        return
    problems = cast("Table", table).get("problems")
    if isinstance(problems, dict):  # a dotted key, which is set in every problem or in one
        inside = cast("Table", problems)
        found: list[Any] = [inside, *inside.values()]
    else:
        found = cast("list[Any]", problems) if isinstance(problems, list) else []
    yield from (cast("Table", problem) for problem in found if isinstance(problem, dict))


def own_options(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options of a user's own class, names of files in `folder` made absolute.

    What looks like a file (it has a suffix or a slash) and is there is one.
    """
    return {key: _file(value, folder) for key, value in options.items()}


def _file(value: Any, folder: Path) -> Any:
    if not isinstance(value, str) or not _looks_like_file(value):
        return value
    return _found(value, folder)


def _found(value: str, folder: Path) -> str:
    """The absolute path of what is there in the folder; else the value as it stands."""
    try:
        found = folder / value
        return str(found.resolve()) if found.exists() else value
    except (OSError, ValueError):  # too long, or a NUL: no name of a file
        return value
