"""The figures of one run: what its page draws, for print.

Each function takes what the page is made of and gives a matplotlib figure, or None where the run
has nothing for it.
"""

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from rmft_api.core.records import Interval, Split
from rmft_api.report.data import PlayerFigures, ReportData
from rmft_api.report.paper import style

SIGNIFICANT = 0.05
"""Corrected p-values below it are marked."""
SHOWN_MEASURES = {
    "suff_fail_freq": "SuffFailFreq",
    "k_min_frac": "K \N{MULTIPLICATION SIGN} MinFrac",
    "greedy_frac": "GreedyFrac",
    "best_share": "share of best action",
}


def models_of(report: ReportData, split: Split) -> list[PlayerFigures]:
    """The models that have figures on a split, by iteration."""
    found = [p for p in report.players if p.split == split and p.index is not None and p.regret]
    return sorted(found, key=lambda p: p.index or 0)


def rivals_of(report: ReportData) -> list[PlayerFigures]:
    """The baselines that played all problems."""
    return [p for p in report.players if p.index is None and p.regret and not p.only]


def followed(report: ReportData) -> Split:
    """The split on which every model was played: test, unless only some were."""
    test, validation = models_of(report, "test"), models_of(report, "validation")
    return "test" if len(test) >= len(validation) else "validation"


def regret_by_iteration(report: ReportData, columns: int) -> Any | None:
    """Mean regret of each iteration's model, with 95 % intervals; baselines as level lines."""
    if not models_of(report, "validation"):
        return None
    figure = style.new_figure(columns, 2.5 if columns == 1 else 2.9)
    axes = figure.add_subplot()
    if followed(report) == "test":
        for place, rival in enumerate(rivals_of(report)):
            _level(axes, rival.name, _mean(rival.regret), place)
    looks: dict[Split, tuple[str, str, float]] = {
        "validation": (style.SECOND, "--", 0.06),
        "test": (style.ACCENT, "-", 0.0),
    }
    for split, look in looks.items():
        if models := models_of(report, split):
            draw_chain(axes, models, f"{split} regret", look, report.champion)
    axes.set_xlabel("iteration (0 is the base)")
    axes.set_ylabel("regret per trajectory")
    finish(axes)
    legend(figure, columns)
    return figure


def draw_chain(
    axes: Any,
    models: Sequence[PlayerFigures],
    name: str,
    look: tuple[str, Any, float],
    champion: int | None,
) -> None:
    """Models by iteration; `look` is colour, dashes, and how far aside the line stands."""
    colour, line, aside = look
    xs = [(one.index or 0) + aside for one in models]
    means = [_mean(one.regret) for one in models]
    ends = _ends([one.regret for one in models])
    axes.errorbar(
        xs, means, yerr=ends, color=colour, linestyle=line, marker="o", markersize=3,
        capsize=0, elinewidth=0.8, label=name,
    )  # fmt: skip
    for x, mean, one in zip(xs, means, models, strict=True):
        if one.index == champion:
            axes.plot([x], [mean], "o", color=colour, markersize=6)


def regret_by_round(report: ReportData, columns: int) -> Any | None:
    """Regret after each round, a panel for each horizon: base, champion, baselines."""
    split: Split = "test" if models_of(report, "test") else "validation"
    ends = [p for p in models_of(report, split) if p.index in (0, report.champion)]
    players = [*ends, *(rivals_of(report) if split == "test" else [])]
    horizons = sorted({curve.T for p in players for curve in p.curves})
    if not horizons:
        return None
    across = min(len(horizons), columns * 2 if len(horizons) > 1 else 1)
    down = math.ceil(len(horizons) / across)
    figure = style.new_figure(columns, (2.5 if columns == 1 else 2.9) if down == 1 else 1.7 * down)
    panels = figure.subplots(down, across, squeeze=False).flat
    for axes, T in zip(panels, horizons, strict=False):
        for player in players:
            _curve(axes, player, T, _place(report, player))
        axes.set_title(f"T = {T}" if len(horizons) > 1 else "")
        axes.set_xlabel("round")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    for axes in list(panels)[len(horizons) :]:
        axes.remove()
    figure.supylabel(f"regret so far ({split})", fontsize=8)
    legend(figure, columns)
    return figure


def _place(report: ReportData, player: PlayerFigures) -> int | None:
    """A baseline's place among them; None for a model."""
    names = [one.name for one in rivals_of(report)]
    return names.index(player.name) if player.index is None else None


def _curve(axes: Any, player: PlayerFigures, T: int, place: int | None) -> None:
    curve = next((one for one in player.curves if one.T == T), None)
    if curve is None:
        return
    if place is None:
        colour, line = (style.BASE, "-") if player.index == 0 else (style.ACCENT, "-")
        name = "base" if player.index == 0 else f"iteration {player.index} (champion)"
    else:
        (colour, line), name = style.rival(place), player.name
    axes.plot(curve.rounds, curve.mean, color=colour, linestyle=line, label=name)
    if place is None and all(map(math.isfinite, (*curve.low, *curve.high))):
        axes.fill_between(curve.rounds, curve.low, curve.high, color=colour, alpha=0.18, lw=0)


def share_of_possible(report: ReportData, columns: int) -> Any | None:
    """How much of the way from the base to the limit each iteration's model has gone."""
    if not report.shares:
        return None
    figure = style.new_figure(columns, 2.3 if columns == 1 else 2.7)
    axes = figure.add_subplot()
    axes.axhline(1.0, color=style.BASE, lw=0.8, linestyle=style.DASHES[0], label="the limit")
    axes.axhline(0.0, color=style.BASE, lw=0.6)
    indices = sorted(report.shares)
    shares = [report.shares[index] for index in indices]
    axes.errorbar(
        indices, [one.mean for one in shares], yerr=_ends(shares), color=style.ACCENT, marker="o",
        markersize=3, capsize=0, elinewidth=0.8, label="model",
    )  # fmt: skip
    for index, one in zip(indices, shares, strict=True):
        if index == report.champion:
            axes.plot([index], [one.mean], "o", color=style.ACCENT, markersize=6)
    axes.set_xlabel("iteration")
    axes.set_ylabel("share of the possible (test)")
    axes.xaxis.set_major_locator(_whole_numbers())
    legend(figure, columns)
    return figure


def paired_differences(report: ReportData, columns: int) -> Any | None:
    """A forest of paired differences with their intervals; filled: significant after Holm."""
    families = [
        (title, found)
        for family, title in (
            ("champion", "the champion against"),
            ("step", "each iteration against the one before"),
        )
        if (found := [one for one in report.differences if one.family == family])
    ]
    if not families:
        return None
    rows = [len(found) for _, found in families]
    figure = style.new_figure(columns, 0.75 * len(families) + 0.2 * sum(rows))
    panels = figure.subplots(len(families), 1, sharex=True, squeeze=False, height_ratios=rows)
    for axes, (title, found) in zip(panels.flat, families, strict=True):
        names = [one.other if one.family == "champion" else one.ours for one in found]
        forest(axes, names, [(one.drop, one.p_holm < SIGNIFICANT) for one in found])
        axes.set_title(title, loc="left")
    last = families[-1][1][0]
    label = f"paired drop of regret, {last.scenarios} {last.split} scenarios"
    figure.supxlabel(f"{label} (95 % interval)", fontsize=8)
    return figure


def forest(axes: Any, names: Sequence[str], rows: Sequence[tuple[Interval, bool]]) -> None:
    """Intervals in rows, the first on top; the dot is filled where the row is significant."""
    for y, (drop, sure) in enumerate(rows):
        if drop.known:
            axes.plot([drop.low, drop.high], [y, y], color=style.ACCENT, lw=1.2)
        face = style.ACCENT if sure else "white"
        axes.plot([drop.mean], [y], "o", ms=4.5, mec=style.ACCENT, mfc=face, mew=1.0)
    axes.axvline(0.0, color=style.BASE, lw=0.6, zorder=0)
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def exploration(report: ReportData, columns: int) -> Any | None:
    """How the models explore, by iteration, on the split on which all of them were played."""
    split = followed(report)
    models = models_of(report, split)
    names = [n for n in SHOWN_MEASURES if any(_has(p, n) for p in models)]
    if not names:
        return None
    across = min(len(names), 2 * columns)
    down = math.ceil(len(names) / across)
    figure = style.new_figure(columns, 0.35 + 1.45 * down)
    panels = list(figure.subplots(down, across, squeeze=False, sharex=True).flat)
    for axes, name in zip(panels, names, strict=False):
        for place, rival in enumerate(rivals_of(report) if split == "test" else ()):
            if _has(rival, name):
                _level(axes, rival.name, rival.measures[name].mean, place)
        mine = [p for p in models if _has(p, name)]
        found = [p.measures[name] for p in mine]
        axes.errorbar(
            [p.index or 0 for p in mine], [one.mean for one in found], yerr=_ends(found),
            color=style.ACCENT, marker="o", markersize=3, elinewidth=0.8, label="model",
        )  # fmt: skip
        axes.set_title(SHOWN_MEASURES[name])
        axes.set_ylim(0.0, max(1.0, axes.get_ylim()[1]) if name == "best_share" else None)
        axes.xaxis.set_major_locator(_whole_numbers())
    for axes in panels[len(names) :]:
        axes.remove()
    for axes in panels[max(0, len(names) - across) : len(names)]:
        axes.set_xlabel(f"iteration ({split})")
    legend(figure, columns)
    return figure


def _has(player: PlayerFigures, name: str) -> bool:
    return name in player.measures and math.isfinite(player.measures[name].mean)


def _level(axes: Any, name: str, mean: float, place: int) -> None:
    colour, line = style.rival(place)
    axes.axhline(mean, color=colour, linestyle=line, lw=1.0, label=name)


def _mean(interval: Interval | None) -> float:
    return math.nan if interval is None else interval.mean


def _ends(found: Sequence[Interval | None]) -> list[list[float]]:
    """Lengths of the error bars below and above; 0 where there is no interval."""
    known = [one if one is not None and one.known else None for one in found]
    return [
        [0.0 if one is None else max(0.0, one.mean - one.low) for one in known],
        [0.0 if one is None else max(0.0, one.high - one.mean) for one in known],
    ]


def finish(axes: Any) -> None:
    """Iterations are whole numbers, and regret begins at 0."""
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.xaxis.set_major_locator(_whole_numbers())


def _whole_numbers() -> Any:
    return import_module("matplotlib.ticker").MaxNLocator(integer=True)


def legend(figure: Any, columns: int) -> None:
    """Every name once, below the panels."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        pairs = zip(*axes.get_legend_handles_labels(), strict=True)
        for handle, label in sorted(pairs, key=lambda pair: hasattr(pair[0], "set_dashes")):
            found.setdefault(label, handle)
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=3 if columns == 1 else 6
    )
