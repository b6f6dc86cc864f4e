"""Records of results: figures with the command, seeds, commit and CPU time that they are from.

`docs/make_results.py` says what a record holds and makes the page of them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

Kind = Literal["transcribed", "text", "grid", "run", "runs", "family", "ablate", "eval", "theory"]
SOURCE = ("command", "seeds", "commit", "cpu_s", "note", "kind")
"""What a record says beside its figures; `note` and `kind` may be absent."""

KEYS: Mapping[str, Kind] = {
    "family": "family",
    "iterations": "run",
    "contest": "eval",
    "matrices": "theory",
}
"""What is in the output of a command, and which kind that makes it."""


class RecordError(Exception):
    """A record, or a place that names one, cannot be used."""


@dataclass(frozen=True)
class Record:
    """One recorded result."""

    name: str
    kind: Kind
    command: tuple[str, ...]
    seeds: tuple[int, ...] | None
    """None: nothing random, or not known."""
    commit: str | None
    cpu_s: float | None
    """Of all processes and seeds together."""
    note: str
    figures: Any
    """As its kind has them."""


def load(path: Path) -> Record:
    """Read a record. Raises RecordError for one that does not say where it is from."""
    try:
        raw: Any = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise RecordError(f"{path.name}: {error}") from error
    if not isinstance(raw, dict):
        raise RecordError(f"{path.name}: a record is an object, not a {type(raw).__name__}")
    fields = cast("dict[str, Any]", raw)
    if missing := [key for key in SOURCE[:4] if key not in fields]:
        raise RecordError(f"{path.name} does not say {', '.join(missing)}")
    unknown = [key for key in SOURCE[1:4] if fields[key] is None]
    if unknown and not fields.get("note"):
        raise RecordError(f"{path.name}: {', '.join(unknown)} not known, and no note says why")
    command = fields["command"]
    kind, figures = _figures(path, fields)
    return Record(
        name=path.stem,
        kind=kind,
        command=(command,) if isinstance(command, str) else tuple(command),
        seeds=None if fields["seeds"] is None else tuple(fields["seeds"]),
        commit=fields["commit"],
        cpu_s=fields["cpu_s"],
        note=fields.get("note", ""),
        figures=figures,
    )


def _figures(path: Path, fields: dict[str, Any]) -> tuple[Kind, Any]:
    """The figures and what kind they are."""
    if "columns" in fields and "rows" in fields:
        wrong = [row for row in fields["rows"] if len(row) != len(fields["columns"])]
        if wrong:
            raise RecordError(f"{path.name}: row {wrong[0]} has not as many cells as columns")
        return "transcribed", {key: fields[key] for key in ("columns", "rows")}
    if "cells" in fields:
        return "grid", fields
    if "text" in fields:
        return "text", fields["text"]
    output = fields.get("output", {k: v for k, v in fields.items() if k not in SOURCE})
    return _kind_of(path, output), output


def _kind_of(path: Path, output: Any) -> Kind:
    """Which command's `--json` this is."""
    if isinstance(output, list):
        each = cast("list[Any]", output)
        if each and all(isinstance(one, dict) and "iterations" in one for one in each):
            return "runs"
        if each and all(isinstance(one, dict) and "cell" in one for one in each):
            return "ablate"
    elif isinstance(output, dict):
        for key, kind in KEYS.items():
            if key in output:
                return kind
    raise RecordError(f"{path.name}: its figures are of no command that can be shown")


def source_line(record: Record) -> str:
    """Where figures are from, as a line under their table."""
    parts = [f"`{'`, `'.join(record.command)}`"] if record.command else []
    if record.seeds:
        parts.append(_seeds_in_words(record.seeds))
    if record.commit:
        parts.append(f"commit {record.commit}")
    if record.cpu_s is not None:
        parts.append(f"{time_in_words(record.cpu_s)} of CPU")
    if record.note:
        parts.append(record.note)
    return f"[Record](results/records/{record.name}.json): {'; '.join(parts)}."


def _seeds_in_words(seeds: tuple[int, ...]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"


def time_in_words(seconds: float) -> str:
    """Seconds as people say them: `48 s`, `3 min 12 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def text_of(fields: Mapping[str, Any]) -> str:
    """A record as it is stored: a line for each key, each row, each cell's run."""
    return "{\n" + ",\n".join(_lines(fields, 1)) + "\n}\n"


def _lines(fields: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Objects of `cells` and lists of lists are spread over lines, all else is on one."""
    space = " " * depth
    for key, value in fields.items():
        if isinstance(value, dict) and depth < 4 and key != "output":
            inner = ",\n".join(_lines(cast("dict[str, Any]", value), depth + 1))
            yield f"{space}{json.dumps(key)}: {{\n{inner}\n{space}}}"
        elif key == "rows":
            rows = ",\n".join(f"{space} {json.dumps(row, ensure_ascii=False)}" for row in value)
            yield f"{space}{json.dumps(key)}: [\n{rows}\n{space}]"
        else:
            yield f"{space}{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
