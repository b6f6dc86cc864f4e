"""What a file says wrong, in one line: the key, what it must be, what it is, the nearest key."""

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_Limits = Mapping[str, Any]
_MUST: Mapping[str, Callable[[_Limits], str]] = {
    "missing": lambda _: "is missing",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']}",
    "greater_than": lambda limits: f"must be above {limits['gt']}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']}",
    "less_than": lambda limits: f"must be below {limits['lt']}",
    "finite_number": lambda _: "must be a finite number",
    "literal_error": lambda limits: f"must be {limits['expected']}",
    "string_pattern_mismatch": lambda limits: f"must match {limits['pattern']}",
    "string_too_long": lambda limits: f"must have at most {limits['max_length']} characters",
    "string_too_short": lambda _: "must not be empty",
    "too_short": lambda _: "must not be empty",
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float"), lambda _: "must be a whole number"
    ),
    **dict.fromkeys(("float_type", "float_parsing"), lambda _: "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda _: "must be true or false"),
    "string_type": lambda _: "must be a text",
    **dict.fromkeys(("model_type", "dict_type"), lambda _: "must be a section of keys"),
    **dict.fromkeys(("tuple_type", "list_type"), lambda _: "must be a list"),
}
"""In our own words, by pydantic's name of the mistake."""


def first_mistake(error: ValidationError, section: type[BaseModel]) -> str:
    """The first of a file's mistakes."""
    first = error.errors(include_url=False)[0]
    where = _key(first)
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}{_suggestion(where, section)}"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"{where}: {message}" if where else message
    must = _MUST.get(first["type"])
    message = must(first.get("ctx", {})) if must else first["msg"]
    given = "" if first["type"] == "missing" else f" (got {first['input']!r:.80})"
    return f"{where} {message}{given}"


def unreadable(path: Path, error: OSError | UnicodeDecodeError | tomllib.TOMLDecodeError) -> str:
    """Why a file cannot be read as TOML."""
    if isinstance(error, UnicodeDecodeError):
        return f"{path} is no UTF-8 text; save it as UTF-8"
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"{path} is no TOML: {error}"
    return f"cannot read {path}: {error.strerror or error}"


def _key(mistake: ErrorDetails) -> str:
    """The dotted key; which of several types a value failed to be is no part of it."""
    parts = [part for part in mistake["loc"] if not _is_a_type(part)]
    return ".".join(str(part) for part in parts)


def _is_a_type(part: str | int) -> bool:
    return isinstance(part, str) and (part in ("int", "float", "str", "bool") or "[" in part)


def _suggestion(where: str, section: type[BaseModel]) -> str:
    """Nearest known key; a misplaced one is found in its true section too."""
    known = list(_keys(section))
    plain = ".".join(part for part in where.split(".") if not part.isdigit())
    leaf = plain.rsplit(".", 1)[-1]
    same = [name for name in known if name.lower() == plain.lower()]
    near = same or difflib.get_close_matches(plain, known, n=1, cutoff=0.6)
    near = near or [name for name in known if name.rsplit(".", 1)[-1] == leaf][:1]
    return f"; did you mean {near[0]!r}?" if near else ""


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in _sections(field.annotation):
            yield from _keys(inner, f"{prefix}{name}.")


def _sections(kind: Any) -> Iterator[type[BaseModel]]:
    """The sections that a field holds: itself, one of several, or a list of them."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _sections(part)
