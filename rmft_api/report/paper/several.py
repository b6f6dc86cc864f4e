"""Several runs in one figure: what each of their pages shows, beside each other."""

from collections.abc import Sequence
from typing import Any

from rmft_api.core.records import Interval
from rmft_api.report.data import ReportData
from rmft_api.report.paper import plots, style

LOOKS = (style.ACCENT, style.SECOND, *style.RIVALS)


Named = Sequence[tuple[str, ReportData]]
"""Runs under the names of their folders."""


def regret_by_iteration(runs: Named, columns: int) -> Any | None:
    """A line for each run, on test where every model of all runs was tested."""
    tested = all(plots.followed(one) == "test" for _, one in runs)
    split = "test" if tested else "validation"
    figure = style.new_figure(columns, 2.5 if columns == 1 else 2.9)
    axes = figure.add_subplot()
    for place, (name, report) in enumerate(runs):
        if models := plots.models_of(report, split):
            look = (LOOKS[place % len(LOOKS)], style.DASHES[place % 6] if place else "-")
            step = 0.05 * (place - (len(runs) - 1) / 2)
            plots.draw_chain(axes, models, name, (*look, step), report.champion)
    axes.set_xlabel("iteration (0 is the base)")
    axes.set_ylabel(f"{split} regret per trajectory")
    plots.finish(axes)
    plots.legend(figure, columns)
    return figure


def champions(runs: Named, columns: int) -> Any | None:
    """A forest of the champions' paired drops to their own bases; filled: it excludes 0."""
    found = [(name, drop) for name, one in runs if (drop := _drop(one)) is not None]
    if not found:
        return None
    figure = style.new_figure(columns, 0.8 + 0.2 * len(found))
    axes = figure.add_subplot()
    sure = [(drop, drop.known and (drop.low > 0 or drop.high < 0)) for _, drop in found]
    plots.forest(axes, [name for name, _ in found], sure)
    axes.set_xlabel("champion's paired drop of regret to its base (95 % interval)")
    return figure


def _drop(report: ReportData) -> Interval | None:
    for split in ("test", "validation"):
        for one in plots.models_of(report, split):
            if one.index == report.champion and one.paired_drop is not None:
                return one.paired_drop
    return None
