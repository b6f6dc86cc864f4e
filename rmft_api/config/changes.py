"""Changes to a run file before it is read: `--set key=value`, a grid's `set`, Python's `overrides`.

A value from Python is made plain first: only what a file could say reaches the checks.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import BaseModel

from rmft_api.core import paths
from rmft_api.core.errors import ConfigError

Table = dict[str, Any]

MOST_PARTS = 16
"""Of a dotted key, and of sections and lists within each other."""
MOST_ENTRIES = 1_000_000
"""Of a list: more would only end in a machine without memory."""
MOST_BITS = 256
"""Of a whole number."""


class Change(NamedTuple):
    """A dotted key and its new value; relative paths in it start at the working folder."""

    key: str
    value: Any


def changed(raw: Table, changes: Iterable[str | Change]) -> Table:
    """The file with changes put in, `key=value` texts among them. Raises ConfigError."""
    for change in changes:
        key, value = _read(change) if isinstance(change, str) else change
        place(raw, key, value, Path.cwd())
    return raw


def place(raw: Table, key: str, value: Any, folder: Path) -> None:
    """Set a dotted key of an unchecked file. Raises ConfigError where it leads nowhere.

    Relative paths in `value` start at `folder`. In a list of tables the key is set in every one of
    them, or in the one that a number names: `rollouts.problems.K`, `rollouts.problems.0.K`.
    """
    parts = key.split(".")
    if not all(parts) or len(parts) > MOST_PARTS:
        raise ConfigError(f"{key!r:.80} is no key; write it with dots, as in rollouts.scenarios")
    alone: Table = {}
    _put(alone, parts, value, key)
    paths.made_absolute(alone, folder)
    for part in parts:
        alone = alone[part]
    _put(raw, parts, alone, key)


def _put(place: Table, parts: list[str], value: Any, key: str) -> None:
    name, *rest = parts
    if not rest:
        place[name] = value
        return
    if place.get(name) is None:
        place[name] = {}
    for table in _tables(place[name], name, rest, key):
        _put(table, rest, value, key)


def _tables(inner: Any, name: str, rest: list[str], key: str) -> list[Table]:
    """The tables that the rest of a key is set in; a number that names one is taken off `rest`."""
    found: list[Any] = [inner]
    if isinstance(inner, list):
        found = cast("list[Any]", inner)
        if len(rest) > 1 and rest[0].isdecimal():
            number = int(rest.pop(0)[:9])
            if number >= len(found):
                raise ConfigError(f"{key!r:.80}: {name!r} has {len(found)} entries, counted from 0")
            found = found[number : number + 1]
    if not found or not all(isinstance(table, dict) for table in found):
        raise ConfigError(f"{key!r:.80}: {name!r} is not a section")
    return found


def _read(override: str) -> Change:
    """What `--set` was given. Raises ConfigError."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            f"--set {override!r}: write it as key=value, e.g. --set rollouts.scenarios=8"
        )
    return Change(key.strip(), _value(text.strip()))


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word is a string, as a shell user means it


def from_python(overrides: object) -> tuple[Change, ...]:
    """The changes that a dict names. Raises ConfigError.

    A dict within it is the same as dotted keys: the rest of its section stays as it is. An empty
    one empties the section.
    """
    if overrides is None:
        return ()
    if not isinstance(overrides, Mapping):
        raise ConfigError(
            f"overrides must be a dict, as in {{'rollouts.scenarios': 8}} (got {shown(overrides)})"
        )
    table = plain(cast("Mapping[object, object]", overrides), "overrides")
    return tuple(_leaves(table, ""))


def _leaves(table: Table, prefix: str) -> Iterator[Change]:
    for key, value in table.items():
        if value and isinstance(value, dict):
            yield from _leaves(cast("Table", value), f"{prefix}{key}.")
        else:
            yield Change(f"{prefix}{key}", value)


def plain(value: object, key: str, depth: int = 0) -> Any:
    """A value as a file would say it: text, numbers, lists and tables. Raises ConfigError.

    Takes numpy's numbers and arrays, paths, enumerations, sections of `config.schema`, and any
    Mapping or Sequence. What is returned shares nothing with `value`.
    """
    if depth > MOST_PARTS:
        raise _refusal(key, "has lists and dicts within each other too deep")
    if value is None or isinstance(value, bool | date | time):
        return value
    if isinstance(value, Enum):
        return plain(value.value, key, depth + 1)
    if isinstance(value, str | os.PathLike):
        return _text(cast("str | os.PathLike[Any]", value), key)
    if isinstance(value, Integral | Real | Decimal):
        return _number(value, key)
    if isinstance(value, BaseModel):
        return plain(dict(value), key, depth + 1)
    if isinstance(value, Mapping):
        return _table(cast("Mapping[object, object]", value), key, depth)
    listed = getattr(value, "tolist", None)  # numpy, pandas, torch
    if callable(listed) and not isinstance(value, type):
        return plain(listed(), key, depth + 1)
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray | memoryview):
        described = shown(cast("object", value))
        raise _refusal(key, f"cannot be {described}; pass a text, a number, a list or a dict")
    return _list(cast("Sequence[object]", value), key, depth)


def _text(value: str | os.PathLike[Any], key: str) -> str:
    text = os.fspath(value)
    try:
        if isinstance(text, str):
            return text.encode().decode()  # a plain str, whatever subclass it was
    except UnicodeEncodeError:
        pass
    raise _refusal(key, f"cannot be {shown(text)}; pass a text that UTF-8 can write")


def _number(value: Integral | Real | Decimal, key: str) -> int | float:
    if not isinstance(value, Integral):
        try:
            return float(value)
        except (OverflowError, ValueError):  # a Fraction above all floats, a signalling NaN
            raise _refusal(key, "must be a number that a float can hold") from None
    whole = int(value)
    if whole.bit_length() > MOST_BITS:
        raise _refusal(key, f"is a whole number above 2**{MOST_BITS}; pass a smaller one")
    return whole


def _table(value: Mapping[object, object], key: str, depth: int) -> Table:
    table: Table = {}
    for name, inner in value.items():
        if not isinstance(name, str):
            raise _refusal(key, f"must have texts as keys (got {shown(name)})")
        table[_text(name, key)] = plain(inner, name if depth == 0 else f"{key}.{name}", depth + 1)
    return table


def _list(value: Sequence[object], key: str, depth: int) -> list[Any]:
    if len(value) > MOST_ENTRIES:
        raise _refusal(key, f"has more than {MOST_ENTRIES:,} entries")
    return [plain(one, key, depth + 1) for one in value]


def _refusal(key: str, why: str) -> ConfigError:
    """In one line, whatever the key is made of."""
    return ConfigError(f"{' '.join(key.split()):.80} {why}")


def shown(value: object) -> str:
    """A value in one short line, with its type."""
    kind = type(value).__name__
    try:
        return f"{kind} {' '.join(repr(value).split()):.60}"
    except Exception:  # noqa: BLE001  an object's own repr may fail in any way
        return kind
