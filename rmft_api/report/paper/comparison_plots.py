"""The figures of an evaluation."""

from typing import Any

from rmft_api.evaluation.comparison import ComparisonResults
from rmft_api.report.paper import plots, style


def players(found: ComparisonResults, columns: int) -> Any | None:
    """Every player's regret with its interval, the least on top; squares are known algorithms."""
    if not found.players:
        return None
    ranked = sorted(found.players, key=lambda one: one.figures.regret.mean)
    figure = style.new_figure(columns, 0.8 + 0.2 * len(ranked))
    axes = figure.add_subplot()
    for y, one in enumerate(ranked):
        regret, colour = one.figures.regret, style.ACCENT if one.model else style.BASE
        if regret.known:
            axes.plot([regret.low, regret.high], [y, y], color=colour, lw=1.2)
        axes.plot([regret.mean], [y], "o" if one.model else "s", ms=4.5, color=colour)
    axes.set_yticks(range(len(ranked)), [one.label for one in ranked])
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    axes.set_xlabel(f"regret per trajectory, {found.scenarios} scenarios (95 % interval)")
    return figure


def pairs(found: ComparisonResults, columns: int) -> Any | None:
    """A forest of paired differences; filled: significant after Holm's correction."""
    if not found.pairs:
        return None
    figure = style.new_figure(columns, 0.8 + 0.2 * len(found.pairs))
    axes = figure.add_subplot()
    names = [f"{one.one} against {one.other}" for one in found.pairs]
    rows = [(one.drop, one.drop.known and one.p_holm < plots.SIGNIFICANT) for one in found.pairs]
    plots.forest(axes, names, rows)
    axes.set_xlabel("lower regret by (simultaneous 95 % intervals)")
    return figure
