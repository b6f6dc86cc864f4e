"""Keys of run and suite files that had another name in an earlier version.

For one version an old name is still understood, with a warning that says what to write instead. A
journal keeps the settings of its run as they were written, so they are translated when it is read.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

Table = dict[str, Any]

_KEYS = {
    ("prompts", "scenario"): ("prompts", "story"),
    ("selection", "floor"): ("selection", "min_pulls"),
    ("selection", "valid"): ("selection", "min_valid"),
    ("selection", "form"): ("selection", "regret_form"),
    ("rollouts", "concurrency"): ("requests", "concurrency"),
    ("rollouts", "transport"): ("requests", "transport"),
}
_OF_PROBLEMS = {"context": "story"}
_ENVIRONMENTS = {"logged": "table"}
_WITH_PROBLEMS = ("rollouts", "validation", "test")


class _Old(NamedTuple):
    """One old name: where it stands, and what stands there now."""

    table: Table
    key: str
    section: str
    """The dotted section that `table` is; empty: the file itself."""
    new_section: str
    new_key: str
    value: Any
    """As it is written now."""

    def in_words(self) -> str:
        line = f"{self.new_key} = {_toml(self.value)}"
        if self.key == self.new_key and self.section == self.new_section:
            return f"{self.key} = {_toml(self.table[self.key])} is now {line}"
        place = f" in {_heading(self.new_section)}" if self.new_section else ""
        old, new = _dotted(self.section, self.key), _dotted(self.new_section, self.new_key)
        return f"{old} is now {new}: write {line}{place}"


def advice(raw: Mapping[str, Any]) -> str:
    """What to write in place of the old names in a file, in one line; empty: it has none."""
    return "; ".join(dict.fromkeys(old.in_words() for old in _found(raw)))


def clash(raw: Mapping[str, Any]) -> str:
    """Why a file cannot be understood that has a key under both its names; empty: it has none."""
    for old in _found(raw):
        section = old.table
        if old.new_section != old.section:
            section = _table(raw.get(old.new_section)) or {}
        if old.key != old.new_key and old.new_key in section and section[old.new_key] != old.value:
            was, now = _dotted(old.section, old.key), _dotted(old.new_section, old.new_key)
            return f"{now} is set, and so is {was}, its old name; leave out {was}"
    return ""


def translated(raw: Mapping[str, Any]) -> Table:
    """A copy of recorded settings with today's names."""
    new = copy.deepcopy(dict(raw))
    for old in list(_found(new)):
        del old.table[old.key]
        place = old.table
        if old.new_section != old.section:
            place = new.setdefault(old.new_section, {})
        place[old.new_key] = old.value
    return new


def translated_comparison(raw: Mapping[str, Any]) -> Table:
    """As `translated`, for the recorded settings of an evaluation."""
    new = copy.deepcopy(dict(raw))
    new["run"] = translated(new["run"])
    for player in new["players"]:
        trained = _table(player.get("trained")) or {}
        if "problem" in trained:
            trained["problem"] = [_axis(value) for value in trained["problem"]]
    return new


def _axis(value: str) -> str:
    environment, space, rest = value.partition(" ")
    return f"{_ENVIRONMENTS.get(environment, environment)}{space}{rest}"


def _found(raw: Mapping[str, Any]) -> Iterator[_Old]:
    for (section, key), (new_section, new_key) in _KEYS.items():
        table = _table(raw.get(section))
        if table is not None and key in table:
            yield _Old(table, key, section, new_section, new_key, table[key])
    for section in ("", *_WITH_PROBLEMS):
        table = _table(raw.get(section) if section else raw)
        for problem in _problems(table):
            yield from _in_problem(problem, _dotted(section, "problems"))


def _in_problem(problem: Table, section: str) -> Iterator[_Old]:
    for key, new_key in _OF_PROBLEMS.items():
        if key in problem:
            yield _Old(problem, key, section, section, new_key, problem[key])
    environment = problem.get("environment")
    if isinstance(environment, str) and environment in _ENVIRONMENTS:
        now = _ENVIRONMENTS[environment]
        yield _Old(problem, "environment", section, section, "environment", now)


def _problems(table: Table | None) -> list[Table]:
    found: Any = (table or {}).get("problems")
    tables = map(_table, cast("list[Any]", found) if isinstance(found, list) else [])
    return [one for one in tables if one is not None]


def _table(value: Any) -> Table | None:
    return cast("Table", value) if isinstance(value, dict) else None


def _dotted(section: str, key: str) -> str:
    return f"{section}.{key}" if section else key


def _toml(value: Any) -> str:
    """A value as a file writes it: JSON's way is TOML's, but for tables and dates."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _heading(section: str) -> str:
    return f"[[{section}]]" if section.endswith("problems") else f"[{section}]"
