"""What a file says wrong, in one line: the key, what it must be, what it is, the nearest key."""

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args, get_origin

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


def first_mistake(
    error: ValidationError, section: type[BaseModel], raw: Mapping[str, Any] | None = None
) -> str:
    """The first of a file's mistakes. `raw` is the file: only keys that fit it are suggested."""
    return " ".join(_first_mistake(error, section, raw).split())  # keys may have line breaks


def _first_mistake(
    error: ValidationError, section: type[BaseModel], raw: Mapping[str, Any] | None
) -> str:
    first = error.errors(include_url=False)[0]
    where = _key(first)
    if first["type"] == "extra_forbidden":
        wanted = _with_its_only_key(where, first["input"])
        return f"unknown key {where!r}{_suggestion(wanted, section, raw or {})}"
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


def _with_its_only_key(where: str, value: object) -> str:
    """What was meant by a misspelt section that holds one key."""
    keys = list(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else []
    return f"{where}.{keys[0]}" if len(keys) == 1 else where


def _suggestion(where: str, section: type[BaseModel], raw: Mapping[str, Any]) -> str:
    """Nearest key that can be set; a misplaced one is found in its true section."""
    known = list(_keys(section, raw))
    plain = ".".join(part for part in where.split(".") if not part.isdigit())
    near = _nearest(plain, known)
    return f"; did you mean {near!r}?" if near else ""


def _nearest(key: str, known: Sequence[str]) -> str | None:
    leaf = _leaf(key)
    same = [name for name in known if name.lower() == key.lower()]
    if not same and (ends := [name for name in known if _leaf(name) == leaf]):
        same = ends if "." not in key else difflib.get_close_matches(key, ends, n=1, cutoff=0)
    same = same or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if same:
        return same[0]
    leaves = difflib.get_close_matches(leaf.lower(), [_leaf(one).lower() for one in known], n=1)
    return next((name for name in known if [_leaf(name).lower()] == leaves), None)


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]


def _keys(model: type[BaseModel], raw: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys that a value can be given to in a file that says `raw`: never a whole section."""
    for name, field in model.model_fields.items():
        sections, value = list(_sections(field.annotation)), raw.get(name)
        is_list = get_origin(field.annotation) is tuple
        if not sections or is_list:
            yield f"{prefix}{name}"
        # A list is reached into where the file has one, and a section unless it stays away.
        open_ = bool(value) if is_list else field.is_required() or field.default is not None
        inside: Mapping[str, Any] = {}
        if isinstance(value, Mapping):
            inside = cast("Mapping[str, Any]", value)
        for inner in sections:
            if inside or open_:
                yield from _keys(inner, inside, f"{prefix}{name}.")
            elif not is_list:
                yield from _first_keys(inner, f"{prefix}{name}.")


def _first_keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Keys of a section that the file has not: those that can stand there alone."""
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    if len(required) == 1 and not list(_sections(model.model_fields[required[0]].annotation)):
        yield f"{prefix}{required[0]}"


def _sections(kind: Any) -> Iterator[type[BaseModel]]:
    """The sections that a field holds: itself, one of several, or a list of them."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _sections(part)
