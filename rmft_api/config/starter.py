"""Writes a run file to start from: a shipped one, with the meaning of each important key."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from rmft_api.config import run_files, schema
from rmft_api.config.key_docs import meanings
from rmft_api.config.schema import Problem, RunConfig
from rmft_api.core.errors import StorageError, UsageError

_OFFERED: Mapping[str, Mapping[str, Any]] = {
    "": {"seed": 0, "iterations": 3, "budget_usd": 25.0},
    "prompts": {"framing": "neutral", "conversation": "single_turn", "reasoning": "free"},
    "sampling": {"temperature": 1.0, "max_tokens": 256},
    "requests": {"concurrency": 64, "transport": "direct"},
    "rollouts": {"min_valid": 0.01, "cooling": 1.0},
    "selection": {"rank_by": "regret", "min_pulls": 0, "min_valid": 1.0},
    "dataset": {"content": "full"},
    "finetuning": {"method": "supervised", "chain": "continue", "n_epochs": 3},
    "gate": {"stop_after": 2, "fall_back": False},
    "validation": {"scenarios": 48},
    "test": {"scenarios": 96},
}
"""Keys worth knowing, by section, with a value to set; those the shipped file has stand as it says.
"""


def write(file: str, like: str = "quickstart") -> Path:
    """Write a run file, `.toml` added where it is missing; `like`: a shipped file's name.

    Raises UsageError where the file exists or no such file ships.
    """
    if like not in run_files.shipped():
        raise UsageError(
            f"--from {like!r} does not ship; these do: {', '.join(run_files.shipped())}"
        )
    path = Path(file if file.endswith(".toml") else f"{file}.toml")
    text = run_file_text(like)
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise UsageError(f"{str(path)!r} exists; give another name, or remove it") from None
    except (OSError, ValueError) as error:
        raise StorageError(f"{str(path)!r} cannot be written: {error}") from error
    return path


def run_file_text(like: str) -> str:
    """What `write` writes."""
    raw = schema.read(run_files.find_shipped(like))
    lines = [
        f"# Started from the shipped run file {like!r}. Every key: docs/reference.md.",
        "# A line that begins with `#` and a key is not set; remove the `#` to set it.",
        *_keys("", RunConfig, raw),
    ]
    for name, field in RunConfig.model_fields.items():
        section = field.annotation
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            continue
        inside = raw.get(name, {})
        if name in raw or name in _OFFERED:
            lines += ["", f"[{name}]", *_keys(name, section, inside)]
            for problem in inside.get("problems", ()):
                lines += ["", f"[[{name}.problems]]", *_keys("", Problem, problem, offers=False)]
    return "\n".join(lines) + "\n"


def _keys(
    name: str, section: type[BaseModel], raw: Mapping[str, Any], *, offers: bool = True
) -> Iterator[str]:
    """The keys of one section in the schema's order, each below what it means."""
    offered: Mapping[str, Any] = _OFFERED.get(name, {}) if offers else {}
    key_texts = meanings(section)
    for key in section.model_fields:
        written = key in raw and key != "problems" and not _is_section(section, key)
        if written or key in offered:
            yield from textwrap.wrap(
                key_texts.get(key, ""), 98, initial_indent="# ", subsequent_indent="# "
            )
            yield f"{key} = {toml(raw[key])}" if written else f"#{key} = {toml(offered[key])}"


def _is_section(section: type[BaseModel], key: str) -> bool:
    kind = section.model_fields[key].annotation
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def toml(value: Any) -> str:
    """A value as a run file writes it."""
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in table.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, cast("list[Any]", value))) + "]"
    return json.dumps(value, ensure_ascii=False)
