"""A run as one picture (SVG): regret by iteration with its interval, baselines as lines.

Test figures where every iteration was tested; else validation figures, and then no baselines, which
play the test scenarios: figures of two splits never stand in one picture. Nor do baselines that
play only some of the problems.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from rmft_api.core.records import Interval
from rmft_api.evaluation.scoring import Figures, Results

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 34, 44
INK, FAINT, MODEL = "#1f2933", "#9aa5b1", "#0b69a3"


def regret_svg(results: Results) -> str:
    """The picture, readable on white and on its own: no script, no font, no network."""
    split, regrets = _shown(results)
    every = {**results.baselines, **_limit(results)} if split == "test" else {}
    rivals = {name: one.regret.mean for name, one in every.items() if not one.only}
    scale = _Scale(len(regrets), 1.08 * max([*map(_high, regrets), *rivals.values()]))
    parts = [
        *_frame(results, split, scale),
        *_rivals(rivals, scale),
        *_models(regrets, scale, results.champion.index),
    ]
    style = "font:13px system-ui,sans-serif"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'style="{style}"><title>Regret by iteration, run {escape(results.run)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _shown(results: Results) -> tuple[str, list[Interval]]:
    tested = [one.test.regret for one in results.iterations if one.test is not None]
    if len(tested) == len(results.iterations):
        return "test", tested
    return "validation", [one.validation.regret for one in results.iterations]


def _limit(results: Results) -> dict[str, Figures]:
    """The limit as a line among the baselines, where one is known."""
    return {} if results.limit is None else {"limit": results.limit}


class _Scale:
    """From iterations and regret to the picture's own units."""

    def __init__(self, count: int, top: float) -> None:
        self.top = top or 1.0
        self._step = (WIDTH - LEFT - RIGHT) / max(1, count - 1)

    def x(self, place: int) -> float:
        return round(LEFT + place * self._step, 1)

    def y(self, regret: float) -> float:
        share = min(max(regret / self.top, 0.0), 1.0)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def ticks(self) -> Iterator[float]:
        rough = self.top / 5
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
        tick = 0.0
        while tick <= self.top:
            yield tick
            tick += step


def _frame(results: Results, split: str, scale: _Scale) -> Iterator[str]:
    for tick in scale.ticks():
        y = scale.y(tick)
        yield f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#e4e7eb"/>'
        yield _text(LEFT - 8, y + 4, f"{tick:g}", FAINT, "end")
    for place, one in enumerate(results.iterations):
        yield _text(scale.x(place), HEIGHT - BOTTOM + 20, str(one.index), INK, "middle")
    yield _text(LEFT, 18, f"{split} regret per trajectory, with its 95 % interval", INK, "start")
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield _text(middle, HEIGHT - 8, "iteration (0 is the base)", INK, "middle")


def _rivals(rivals: Mapping[str, float], scale: _Scale) -> Iterator[str]:
    last = -math.inf
    for name, mean in sorted(rivals.items(), key=lambda rival: -rival[1]):
        y = scale.y(mean)
        label = last = max(y + 4, last + 15)
        yield f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{FAINT}" stroke-dasharray="5 4"/>'
        yield _text(WIDTH - RIGHT + 8, label, f"{name} {mean:.2f}", INK, "start")


def _models(regrets: Sequence[Interval], scale: _Scale, champion: int) -> Iterator[str]:
    points = [(scale.x(place), scale.y(regret.mean)) for place, regret in enumerate(regrets)]
    path = "L".join(f"{x} {y}" for x, y in points)
    yield f'<path d="M{path}" fill="none" stroke="{MODEL}" stroke-width="2"/>'
    for (x, y), regret in zip(points, regrets, strict=True):
        if math.isfinite(regret.low) and math.isfinite(regret.high):
            yield f'<path d="M{x} {scale.y(regret.low)}V{scale.y(regret.high)}" stroke="{MODEL}"/>'
        yield f'<circle cx="{x}" cy="{y}" r="4" fill="{MODEL}"/>'
    (x, y), best = points[champion], regrets[champion]
    yield f'<circle cx="{x}" cy="{y}" r="7" fill="{MODEL}"/>'
    label = _text(
        x - 10, y + 20, f"champion {best.mean:.2f}", MODEL, "end" if champion else "start"
    )
    yield f'<g stroke="#fff" stroke-width="5" paint-order="stroke">{label}</g>'


def _high(interval: Interval) -> float:
    """The interval's upper end; its mean where one scenario alone has none."""
    return interval.high if math.isfinite(interval.high) else interval.mean


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
