"""The paper's claims, each with a verdict from recorded grids (`docs/results/claims.toml`).

A claim says that a measure is higher in one cell of a grid than in another. Its effect is that
difference, scenario by scenario and seed by seed; `rmft_api.statistics.verdict_of` decides on it.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.record_grid import BASE
from benchmarks.records import Record, RecordError
from benchmarks.result_tables import markdown
from rmft_api.core.records import Interval
from rmft_api.statistics import Verdict, pooled_interval, verdict_of

MARGIN = 0.05
"""The least effect that matters: of regret, this share of the base's mean regret on the same
scenarios; of shares, this much."""
COLUMNS = ("claim", "where", "effect [95 %]", "least that matters", "seeds", "verdict", "to decide")
VERDICT = COLUMNS.index("verdict")
SAID = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not hold", "do not hold"),
    "undecided": ("is undecided", "are undecided"),
    "not run": ("was not run", "were not run"),
}
"""What one row and several rows of each verdict do."""
Floats = NDArray[np.float64]
Lookup = Callable[[str], Record]


def table(path: Path, record: Lookup) -> str:
    """A row for each claim and each place where it was tried. Raises RecordError."""
    claims = tomllib.loads(path.read_text("utf-8"))["claim"]
    return markdown(COLUMNS, (row for claim in claims for row in _rows(claim, record)))


def summary(path: Path, record: Lookup) -> str:
    """How many rows of the table have each verdict, as words: `3 hold, 1 does not hold, ...`."""
    claims = tomllib.loads(path.read_text("utf-8"))["claim"]
    found = [row[VERDICT].strip("*") for claim in claims for row in _rows(claim, record)]
    counts = {name: found.count(name) for name in SAID}
    return ", ".join(f"{counts[n]} {said[counts[n] > 1]}" for n, said in SAID.items() if counts[n])


def grid_table(record: Record) -> str:
    """A row for each cell of a recorded grid: means over seeds, and differences to the first."""
    cells = record.figures["cells"]
    first = next(name for name in cells if name != BASE)
    columns = ("cell", "seeds", "regret", "drop to base", f"below `{first}`", "SuffFail", "greedy")
    return markdown(columns, (_cell(record, name, first) for name in cells))


def grid_figures(record: Record) -> dict[str, dict[str, Any]]:
    """What sentences say of a grid: `CELL.FIGURE`.

    Intervals of regret, of the drop to the base, and of what it is above the first cell (`above`);
    means of shares; the number of seeds.
    """
    cells = record.figures["cells"]
    first = next(name for name in cells if name != BASE)
    return {name: _figures_of(record, name, first) for name in cells}


def _figures_of(record: Record, name: str, first: str) -> dict[str, Any]:
    regrets = _by_seed(record, name, "regret")
    found: dict[str, Any] = {"seeds": len(regrets)}
    found["regret"] = _ends(pooled_interval(list(regrets.values())))
    found["drop"] = _ends(pooled_interval(effects(record, BASE, name)))
    found["above"] = _ends(pooled_interval(effects(record, name, first)))
    measured = next(iter(record.figures["cells"][name].values()))
    shares = [one for one in ("suff_fail", "early_fail", "greedy") if one in measured]
    return found | {share: _mean(_by_seed(record, name, share)) for share in shares}


def _ends(found: Interval) -> dict[str, Any]:
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _cell(record: Record, name: str, first: str) -> tuple[str, ...]:
    own = _by_seed(record, name, "regret")
    shares = (_mean(_by_seed(record, name, measure)) for measure in ("suff_fail", "greedy"))
    drop = "" if name == BASE else str(pooled_interval(effects(record, BASE, name, "regret")))
    against = "" if name in (BASE, first) else str(pooled_interval(effects(record, first, name)))
    regret = str(pooled_interval(list(own.values())))
    return (name, str(len(own)), regret, drop, against, *(f"{share:.2f}" for share in shares))


def _rows(claim: Mapping[str, Any], record: Lookup) -> Iterator[tuple[str, ...]]:
    for place in claim["where"]:
        if "not_run" in place:
            yield (claim["says"], place["setting"], "", "", "", "not run", place["not_run"])
            continue
        grid = record(place["record"])
        found = verdict(grid, place)
        name = "regret" if _measure(place) == "regret" else f"share, {place['measure']}"
        yield (
            claim["says"],
            place["setting"],
            str(found.effect),
            f"{found.margin:.2f} of {name}",
            str(found.seeds),
            f"**{found.outcome}**",
            _to_decide(found),
        )


def verdict(grid: Record, place: Mapping[str, Any]) -> Verdict:
    """The verdict on one place of a claim. Raises RecordError."""
    among = place.get("problems", "")
    groups = effects(grid, place["high"], place["low"], _measure(place), among)
    return verdict_of(groups, _margin(grid, place, among))


def effects(
    grid: Record, high: str, low: str, measure: str = "regret", problems: str = ""
) -> list[Floats]:
    """What a measure is higher by in one cell, by seed, on the scenarios whose label has a text.

    Raises RecordError for a cell that is not there or no seed that both have.
    """
    higher, lower = (_by_seed(grid, cell, measure, problems) for cell in (high, low))
    if not (common := [seed for seed in higher if seed in lower]):
        raise RecordError(f"{grid.name}: cells {high!r} and {low!r} have no seed in common")
    return [higher[seed] - lower[seed] for seed in common]


def _margin(grid: Record, place: Mapping[str, Any], among: str) -> float:
    if _measure(place) != "regret":
        return MARGIN
    return MARGIN * abs(
        _mean(_by_seed(grid, BASE, "regret", among))
    )  # static regret may be below 0


def _measure(place: Mapping[str, Any]) -> str:
    return place.get("measure", "regret")


def _by_seed(grid: Record, cell: str, measure: str, problems: str = "") -> dict[str, Floats]:
    labels = grid.figures["problems"]
    if cell not in grid.figures["cells"]:
        raise RecordError(f"{grid.name} has no cell {cell!r}")
    found: dict[str, Floats] = {}
    for seed, figures in grid.figures["cells"][cell].items():
        values = figures[measure]
        kept = [one for at, one in enumerate(values) if _has(labels[at % len(labels)], problems)]
        if not kept:
            raise RecordError(f"{grid.name} has no problem with {problems!r} in its label")
        found[seed] = np.array(kept, dtype=np.float64)
    return found


def _has(label: str, wanted: str) -> bool:
    """Whether a label has all words wanted; a word after `-` must be absent."""
    words = set(label.split())
    return all(
        (one[1:] not in words) if one.startswith("-") else (one in words) for one in wanted.split()
    )


def _mean(by_seed: Mapping[str, Floats]) -> float:
    return float(np.mean([values.mean() for values in by_seed.values()]))


def _to_decide(found: Verdict) -> str:
    if found.outcome != "undecided":
        return ""
    if found.seeds < 2:
        return "not known from one seed"
    if found.seeds_needed is None:
        return "more than 1,000 seeds"
    return f"about {found.seeds_needed} seeds"
