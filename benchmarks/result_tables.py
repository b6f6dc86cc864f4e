"""Markdown tables of records: one function a kind (`benchmarks/records.py`)."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.records import Kind, Record, RecordError


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell's own bars are escaped."""
    return "\n".join([_row(columns), _row(["---"] * len(columns), ""), *map(_row, rows)])


def figure(record: Record, path: str, figures: Any = None) -> str:
    """One figure of a record by its path, e.g. `rmft.regret.mean`, in `figures` or its own.

    Parts are keys or places in lists; `commit`, `cpu_s` and `seeds` (how many) are the record's.
    Numbers have two decimals, or as many as `path|N` says. An interval is shown as the tables show
    it. A text is shown whole, or what the group of a regular expression finds: `path @ (.*) %`.
    Raises RecordError for a path that leads nowhere.
    """
    where, _, decimals = path.partition("|")
    where, _, pattern = (part.strip() for part in where.partition("@"))
    source = {"cpu_s": record.cpu_s, "commit": record.commit, "seeds": len(record.seeds or ())}
    found: Any = source.get(where)
    if found is None:
        found = record.figures if figures is None else figures
        for part in where.split("."):
            found = _inside(found, part, record, where)
    if pattern:
        return _in_text(str(found), pattern, record, where)
    if isinstance(found, float):
        return f"{found:.{int(decimals or 2)}f}"
    if isinstance(found, str | int):
        return str(found)
    kind = type(found).__name__
    if kind == "dict" and "mean" in found:
        return interval(found)
    raise RecordError(f"{record.name}: {where} is no figure but a {kind}")


def _in_text(text: str, pattern: str, record: Record, where: str) -> str:
    if (match := re.search(pattern, text)) is None:
        raise RecordError(f"{record.name}: {pattern!r} is not in {where}: {text}")
    return match[1]


def _inside(found: Any, part: str, record: Record, where: str) -> Any:
    try:
        return found[int(part)] if isinstance(found, list) else found[part]
    except (KeyError, IndexError, TypeError, ValueError):
        raise RecordError(f"{record.name} has no {where}: {part!r} is not there") from None


def _row(cells: Sequence[str], space: str = " ") -> str:
    return f"|{space}{f'{space}|{space}'.join(cells)}{space}|"


def _transcribed(record: Record) -> str:
    return markdown(record.figures["columns"], record.figures["rows"])


def _text(record: Record) -> str:
    return f"```text\n{record.figures.rstrip()}\n```"


def _runs(record: Record) -> str:
    """Every tested model of every run, then its baselines and limit."""
    each: list[dict[str, Any]] = (
        record.figures if isinstance(record.figures, list) else [record.figures]
    )
    columns = ("run", "player", "regret", "drop", "of possible", "SuffFail", "K x MinFrac", "valid")
    return markdown(columns, (row for run in each for row in _run(run)))


def _run(run: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    best = run["champion"]["index"]
    for one in run["iterations"]:
        if one["split"] == "test":
            name = "base" if one["index"] == 0 else f"iteration {one['index']}"
            mark = " (champion)" if best == one["index"] else ""
            yield (run["run"], name + mark, *_player(one))
    for name, one in run["baselines"].items():
        yield (run["run"], name, *_player({**one, "paired_drop": None}))
    if run.get("limit"):
        yield (run["run"], "limit", *_player({**run["limit"], "paired_drop": None}))


def _player(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        interval(one["regret"]),
        interval(one.get("paired_drop")),
        interval(one.get("share_of_possible"), percent=True),
        number(one.get("suff_fail_freq")),
        number(one.get("k_min_frac")),
        "" if one.get("valid") is None else f"{one['valid']:.1%}",
    )


def _family(record: Record) -> str:
    """Every seed, then everybody over all seeds."""
    seeds, players = record.figures["seeds"], record.figures["players"]
    columns = ("player", "regret", "drop to base", "above the champions", "SuffFail")
    rows = [
        (
            f"seed {one['seed']}: champion, iteration {one['champion']}",
            interval(one["regret"]),
            interval(one["drop"]),
            "",
            number(one["suff_fail_freq"]),
        )
        for one in seeds
    ]
    rows += [
        (
            f"all seeds: {name}",
            interval(one["regret"]),
            interval(one["drop"]),
            interval(one["above_champion"]),
            number(one["suff_fail_freq"]),
        )
        for name, one in players.items()
    ]
    return markdown(columns, rows)


def _ablate(record: Record) -> str:
    columns = (
        "cell",
        "regret",
        "drop to base",
        "against the first",
        "p",
        "SuffFail",
        "K x MinFrac",
    )
    return markdown(columns, map(_ablated, record.figures))


def _ablated(row: Mapping[str, Any]) -> tuple[str, ...]:
    against = row["against"]
    return (
        row["cell"],
        interval(row["regret"]),
        interval(row["drop"]),
        interval(against["drop"]) if against else "",
        f"{against['p_holm']:.3f}" if against else "",
        number(row["suff_fail_freq"]),
        number(row["k_min_frac"]),
    )


def _eval(record: Record) -> str:
    measures = ("regret", "drop to the first", "of possible", "SuffFail", "K x MinFrac", "valid")
    rows = [(one["label"], *_player(one["figures"])) for one in record.figures["players"]]
    return markdown(("player", *measures), rows)


def interval(found: Mapping[str, Any] | None, *, percent: bool = False) -> str:
    """`1.23 [1.00, 1.46]`, from any form in which `--json` has an interval."""
    if found is None:
        return ""
    show = "{:.0%}" if percent else "{:.2f}"
    ends = found.get("ci95", (found.get("low"), found.get("high")))
    if ends is None or None in ends or not all(map(math.isfinite, ends)):
        return f"{show.format(found['mean'])} (too few)"
    return f"{show.format(found['mean'])} [{', '.join(map(show.format, ends))}]"


def number(value: float | None) -> str:
    """Two decimals; empty for None."""
    return "" if value is None else f"{value:.2f}"


TABLES: Mapping[Kind, Callable[[Record], str]] = {
    "transcribed": _transcribed,
    "text": _text,
    "run": _runs,
    "runs": _runs,
    "family": _family,
    "ablate": _ablate,
    "eval": _eval,
}
"""How a record of each kind is shown; a grid's has `claims.grid_table`."""
