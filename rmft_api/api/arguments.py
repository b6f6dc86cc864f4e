"""What is passed from Python, checked: a wrong type gives one line that names the argument."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rmft_api.config import changes, run_files, schema
from rmft_api.config.changes import Change
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, UsageError

RunFile = str | Path | Mapping[str, Any] | RunConfig
"""A path, the name of a shipped run file, a dict of sections, or settings that were read."""


def settings(
    file: object, overrides: object = None, budget_usd: float | None = None
) -> tuple[RunConfig, Path | None]:
    """The run that a file and changes to it describe, and the file's path where there is one.

    `file` is a path, the name of a shipped run file, a dict of sections, or settings that were
    read; `overrides` as `config.changes.from_python` takes them. Raises ConfigError with one line
    for the first mistake.
    """
    wanted = with_budget(overrides, budget_usd)
    if isinstance(file, RunConfig):
        if not wanted:
            return file, None
        raw = changes.changed(changes.plain(file, "the settings"), wanted)
        return schema.parse(raw, f"the settings of {file.name!r}", file.origin), None
    if isinstance(file, str | os.PathLike):
        path = run_files.find(changes.plain(cast("str | os.PathLike[str]", file), "file"))
        return schema.load(path, wanted), path
    raw = changes.plain(file, "file")
    if not isinstance(raw, dict):
        raise ConfigError(
            "file must be a path, the name of a shipped run file, a dict of sections, or a "
            f"RunConfig (got {changes.shown(file)})"
        )
    return schema.parse(changes.changed(cast("dict[str, Any]", raw), wanted), "the settings"), None


def with_budget(overrides: object, budget_usd: float | None) -> tuple[Change, ...]:
    """The changes, the budget among them. Raises ConfigError."""
    cap = {} if budget_usd is None else {"budget_usd": budget_usd}
    return (*changes.from_python(overrides), *changes.from_python(cap))


def folder(value: object, name: str = "runs") -> Path:
    """A path. Raises UsageError."""
    return Path(text(value, name))


def text(value: object, name: str) -> str:
    """A text, or a path as text. Raises UsageError."""
    found = _as_text(value)
    if found is None or not found or "\0" in found:
        raise UsageError(f"{name} must be a text (got {changes.shown(value)})")
    return found


def _as_text(value: object) -> str | None:
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[Any]", value))
    return value if isinstance(value, str) else None


def text_or_none(value: object, name: str) -> str | None:
    """As `text`, where None means that nothing was said."""
    return None if value is None else text(value, name)


def texts(value: object, name: str) -> tuple[str, ...]:
    """Several texts; one alone stands for itself. Raises UsageError."""
    if isinstance(value, str):
        return (text(value, name),)
    if not isinstance(value, Iterable):
        raise UsageError(f"{name} must be a list of texts (got {changes.shown(value)})")
    return tuple(text(one, f"each of {name}") for one in cast("Iterable[object]", value))


def texts_or_none(value: object, name: str) -> tuple[str, ...] | None:
    """As `texts`, where None means that nothing was said."""
    return None if value is None else texts(value, name)


def replies(value: object, name: str) -> tuple[str, ...]:
    """Texts that a model may have sent, empty ones too; one alone stands for itself."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, Iterable):
        raise UsageError(f"{name} must be a list of texts (got {changes.shown(value)})")
    found = tuple(cast("Iterable[object]", listed))
    for one in found:
        if not isinstance(one, str):
            raise UsageError(f"each of {name} must be a text (got {changes.shown(one)})")
    return cast("tuple[str, ...]", found)


def one_of(value: object, name: str, known: Sequence[str]) -> str:
    """One of a few words. Raises UsageError, which names them."""
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"{name} must be one of {', '.join(known)} (got {changes.shown(value)})")
    return value


def whole(value: object, name: str, least: int = 1) -> int:
    """A whole number, at least `least`. Raises UsageError."""
    found = changes.plain(value, name)
    if isinstance(found, bool) or not isinstance(found, int) or found < least:
        raise UsageError(
            f"{name} must be a whole number, at least {least} (got {changes.shown(value)})"
        )
    return found


def whole_numbers(value: object, name: str) -> tuple[int, ...]:
    """Several whole numbers, at least 1; one alone stands for itself. Raises UsageError."""
    if isinstance(value, int):
        return (whole(value, name),)
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise UsageError(f"{name} must be a list of whole numbers (got {changes.shown(value)})")
    return tuple(whole(one, f"each of {name}") for one in cast("Iterable[object]", value))


def whole_or_none(value: object, name: str) -> int | None:
    """A whole number, at least 1; None means that nothing was said. Raises UsageError."""
    return None if changes.plain(value, name) is None else whole(value, name)


def share_or_none(value: object, name: str) -> float | None:
    """A share, from 0 to 1; None means that nothing was said. Raises UsageError."""
    found = changes.plain(value, name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise UsageError(f"{name} must be a share, from 0 to 1 (got {changes.shown(value)})")
    return float(found)


def dollars(value: object, name: str) -> float | None:
    """US dollars, at least 0. Raises UsageError."""
    found = changes.plain(value, name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e15:
        raise UsageError(f"{name} must be US dollars, at least 0 (got {changes.shown(value)})")
    return float(found)
