"""Generalisation: who loses how much on which kind of scenarios, as a heat map."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from rmft_api.core.records import Interval
from rmft_api.evaluation.comparison import AxisLine, ComparisonResults
from rmft_api.evaluation.scoring import Figures, GroupFigures, Results
from rmft_api.report.paper import style

MOST_ROWS = 40
CHANGES = ("+100 %", "+50 %", "same", "\N{MINUS SIGN}50 %", "\N{MINUS SIGN}100 %")


class HeatMapCell(NamedTuple):
    """One player on one kind of scenarios."""

    regret: float
    drop: Interval | None
    """Paired, to the base or the first player."""
    reference: float
    """Regret of the base or the first player there."""
    mark: str = ""
    """What is known of its training on this kind."""


Rows = list[tuple[str, list[HeatMapCell | None]]]


def of_run(results: Results, columns: int) -> Any | None:
    """Every iteration's model on every kind of held-out scenarios; None where all are of one."""
    tested = [one.test for one in results.iterations if one.test is not None]
    whole = len(tested) == len(results.iterations)
    shown = tested if whole else [one.validation for one in results.iterations]
    kinds = distinct(shown[0]) if shown else []
    rows: Rows = [(kind, [_cell(one, shown[0], kind) for one in shown]) for kind in kinds]
    names = ["base", *(str(one.index) for one in results.iterations[1:])]
    split = "test" if whole else "validation"
    return _drawn(rows, names, columns, f"iteration ({split} scenarios)") if rows else None


def distinct(figures: Figures) -> list[str]:
    """The kinds of scenarios, each set of scenarios once, under its shortest name."""
    found: dict[tuple[object, ...], str] = {}
    for name, one in figures.groups.items():
        sign = (one.scenarios, one.regret.mean, one.k_min_frac)
        if sign not in found or len(name) < len(found[sign]):
            found[sign] = name
    return list(found.values())[:MOST_ROWS]


def _cell(figures: Figures, base: Figures, kind: str) -> HeatMapCell | None:
    one: GroupFigures | None = figures.groups.get(kind)
    if one is None or kind not in base.groups:
        return None
    return HeatMapCell(one.regret.mean, one.paired_drop, base.groups[kind].regret.mean)


def of_comparison(found: ComparisonResults, columns: int) -> Any | None:
    """Every player on every value of every axis; None where the suite has no axis."""
    names = [one.label for one in found.players]
    rows: Rows = [
        (f"{axis.name}: {line.value}", [_of_line(line, name, names[0]) for name in names])
        for axis in found.axes
        for line in axis.lines
    ]
    return _drawn(rows, names, columns, f"player (suite {found.suite})") if rows else None


def _of_line(line: AxisLine, name: str, first: str) -> HeatMapCell | None:
    cell, reference = line.cells.get(name), line.cells.get(first)
    if cell is None or reference is None:
        return None
    mark = {True: "+", False: "\N{MINUS SIGN}", None: ""}[cell.trained]
    return HeatMapCell(cell.regret.mean, cell.drop, reference.regret.mean, mark)


def _drawn(rows: Rows, names: Sequence[str], columns: int, label: str) -> Any:
    """Numbers are regret; colour is the change against the first column."""
    figure = style.new_figure(columns, 1.1 + 0.19 * len(rows))
    axes = figure.add_subplot()
    nan = float("nan")
    shares = [[nan if one is None else _change(one) for one in cells] for _, cells in rows]
    map_ = import_module("matplotlib").colormaps["PuOr"]
    image = axes.imshow(shares, cmap=map_, vmin=-1, vmax=1, aspect="auto")
    for y, (_, cells) in enumerate(rows):
        for x, one in enumerate(cells):
            if one is not None:
                ink = "white" if abs(_change(one)) > 0.5 else "black"
                weight = "bold" if _sure(one) else "normal"
                axes.text(
                    x, y, f"{one.regret:.2f}{one.mark}", ha="center", va="center", color=ink,
                    fontsize=5.5 if columns == 1 and len(cells) > 5 else 6.5, fontweight=weight,
                )  # fmt: skip
    slanted = max(map(len, names)) > 8
    axes.set_xticks(
        range(len(names)), names, rotation=35 if slanted else 0, ha="right" if slanted else "center"
    )
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.tick_params(length=0)
    axes.set_xlabel(label)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.9, aspect=40, pad=0.02)
    bar.set_label(f"regret against {names[0]}\nbold: paired interval excludes 0", fontsize=6.5)
    bar.set_ticks([-1, -0.5, 0, 0.5, 1], labels=CHANGES)
    return figure


def _change(one: HeatMapCell) -> float:
    """The paired drop as a share of the first player's regret, within -1 and 1."""
    if one.drop is None or one.reference <= 0:
        return 0.0
    return min(1.0, max(-1.0, one.drop.mean / one.reference))


def _sure(one: HeatMapCell) -> bool:
    return one.drop is not None and one.drop.known and (one.drop.low > 0 or one.drop.high < 0)
