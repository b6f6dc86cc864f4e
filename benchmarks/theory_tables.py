"""Tables and the picture of a record of `benchmarks/theory_long.py`.

Figures are means over the training seeds, with the lowest and the highest of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.records import Record
from benchmarks.result_tables import markdown

CELL, GAP, LEFT, TOP = 34, 26, 78, 52
"""Of the picture, in its units: side of an entry, space between matrices, margins."""
STYLE = """
 .page { fill: #ffffff } text { fill: #1f2328; font: 12px sans-serif; text-anchor: middle }
 .entry { font-size: 11px } .left { text-anchor: end }
 .plus { fill: #3b7dd8 } .minus { fill: #e08a1e } .frame { fill: none; stroke: #8c959f }
 @media (prefers-color-scheme: dark) {
  .page { fill: #0d1117 } text { fill: #e6edf3 } .frame { stroke: #6e7681 }
 }
"""


def families(record: Record) -> str:
    """Static regret at T of the trained model and of what it is compared with."""
    columns = (
        "rewards",
        "trained matrix",
        "FTRL-L2",
        "AdaHedge",
        "optimistic Hedge",
        "trained / FTRL-L2",
        "slope",
    )
    rows: list[tuple[str, ...]] = []
    for family, seeds in record.figures["families"].items():
        players = ("model", "ftrl_l2", "ada_hedge", "optimistic_hedge")
        means = (f"{_mean(seeds, name, 'static'):.2f}" for name in players)
        ratios = [one["model"]["static"] / one["ftrl_l2"]["static"] for one in seeds]
        slopes = [one["model"]["slope"] for one in seeds]
        rows.append((family, *means, spread(ratios), spread(slopes)))
    return markdown(columns, rows)


def changes(record: Record) -> str:
    """Dynamic and swap regret at T, where the best action changes."""
    players = {
        "model": "trained matrix",
        "ftrl_l2": "FTRL-L2",
        "ada_hedge": "AdaHedge",
        "optimistic_hedge": "optimistic Hedge",
        "fixed_share": "fixed share",
    }
    rows: list[tuple[str, ...]] = []
    for family in ("shift", "piecewise"):
        seeds = record.figures["families"][family]
        for kind in ("dynamic", "swap"):
            each = (spread([one[name][kind] for one in seeds], 1) for name in players)
            rows.append((f"{family}, {kind}", *each))
    return markdown(("rewards, regret", *players.values()), rows)


def approach(record: Record) -> str:
    """How far the matrix is from the nearest aI + b11^T, by iteration."""
    parts = np.array(record.figures["parts"])[:, :-1]  # the last is the champion's, again
    columns = ("iteration", "a", "b", "distance from aI + b11^T, of a", "of what play depends on")
    rows: list[tuple[str, ...]] = []
    for i in range(parts.shape[1]):
        seen = [distance_in_play(run[i]) for run in record.figures["matrices"]]
        rows.append((str(i), *(spread(list(parts[:, i, part])) for part in range(3)), spread(seen)))
    return markdown(columns, rows)


def distance_in_play(V_KK: Sequence[Sequence[float]]) -> float:
    """The distance from aI + b11^T, of a, less what no play depends on.

    A number added to a whole column moves all logits alike, which the projection does not see, and
    no training can remove.
    """
    seen_KK = np.array(V_KK) - np.mean(V_KK, axis=0)
    K = len(seen_KK)
    a = seen_KK.trace() / (K - 1)
    left_KK = seen_KK - a * (np.eye(K) - 1 / K)
    return float(np.sqrt((left_KK**2).mean()) / abs(a))


def figures(record: Record) -> dict[str, Any]:
    """What sentences say: means over seeds, with the lowest and the highest of them.

    `families.FAMILY.PLAYER.KIND`; `ratio.FAMILY`, of static regrets, trained / FTRL-L2, and
    `ratio_to_share.FAMILY`, of dynamic ones, trained / fixed share; and of the matrix at the end
    `a`, `off` and `off_in_play`.
    """
    by_family = record.figures["families"]
    last = len(record.figures["parts"][0]) - 2
    ends = [run[last] for run in record.figures["parts"]]
    seen = [distance_in_play(run[last]) for run in record.figures["matrices"]]
    return {
        "families": {
            family: {
                player: {kind: _ends([one[player][kind] for one in seeds]) for kind in kinds}
                for player, kinds in seeds[0].items()
            }
            for family, seeds in by_family.items()
        },
        "ratio": {
            family: _ends([one["model"]["static"] / one["ftrl_l2"]["static"] for one in seeds])
            for family, seeds in by_family.items()
        },
        "ratio_to_share": {
            family: _ends(
                [one["model"]["dynamic"] / one["fixed_share"]["dynamic"] for one in seeds]
            )
            for family, seeds in by_family.items()
        },
        "a": _ends([a for a, _, _ in ends]),
        "off": _ends([off for _, _, off in ends]),
        "off_in_play": _ends(seen),
    }


def _ends(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "low": min(values), "high": max(values)}


def spread(values: Sequence[float], decimals: int = 2) -> str:
    """The mean, and the lowest and the highest where there are several."""
    mean, low, high = (f"{one:.{decimals}f}" for one in (np.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def _mean(seeds: Sequence[dict[str, Any]], player: str, kind: str) -> float:
    return float(np.mean([one[player][kind] for one in seeds]))


def picture(record: Record) -> str:
    """The matrices as SVG: a row a seed, a column an iteration, blue above 0 and orange below."""
    runs = record.figures["matrices"]
    last = len(runs[0]) - 2  # after it the champion's comes again
    shown = (0, 1, last // 6, last // 2, last)
    side = 3 * CELL
    width = LEFT + len(shown) * (side + GAP)
    height = TOP + len(runs) * (side + GAP)
    most = max(abs(v) for run in runs for i in shown for row in run[i] for v in row)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>The learnt 3 x 3 matrix of each training seed, by iteration</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
    ]
    for column, i in enumerate(shown):
        x = LEFT + column * (side + GAP)
        lines.append(f'<text x="{x + side / 2}" y="20">iteration {i}</text>')
        for row, run in enumerate(runs):
            lines += _matrix(run[i], x, TOP + row * (side + GAP), most)
            y = TOP + row * (side + GAP) - 7
            off = f"off by {distance_in_play(run[i]):.0%}"
            lines.append(f'<text class="entry" x="{x + side / 2}" y="{y}">{off}</text>')
    for row, seed in enumerate(record.seeds or ()):
        y = TOP + row * (side + GAP) + side / 2 + 4
        lines.append(f'<text class="left" x="{LEFT - 14}" y="{y}">seed {seed}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _matrix(V_KK: Sequence[Sequence[float]], x: float, y: float, most: float) -> Iterator[str]:
    """Its entries as squares, the darker the larger."""
    for i, row in enumerate(V_KK):
        for j, value in enumerate(row):
            at = f'x="{x + j * CELL}" y="{y + i * CELL}"'
            kind = "plus" if value > 0 else "minus"
            depth = f'fill-opacity="{0.85 * abs(value) / most:.2f}"'
            yield f'<rect class="{kind}" {at} width="{CELL}" height="{CELL}" {depth}/>'
            middle = f'x="{x + (j + 0.5) * CELL}" y="{y + (i + 0.5) * CELL + 4}"'
            yield f'<text class="entry" {middle}>{value:.2f}</text>'
    yield f'<rect class="frame" x="{x}" y="{y}" width="{3 * CELL}" height="{3 * CELL}"/>'
