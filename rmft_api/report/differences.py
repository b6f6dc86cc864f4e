"""Who is better than whom, on the same scenarios (docs/method.md 5)."""

from collections.abc import Mapping
from itertools import pairwise

from rmft_api import statistics
from rmft_api.report.figures import Regrets
from rmft_api.report.story import Difference

Pair = tuple[str, str]
"""Ours and the other, by name."""


def differences(
    models: Mapping[int, Regrets],
    baselines: Mapping[str, Regrets],
    champion: int | None,
    looks: int,
) -> tuple[Difference, ...]:
    """The champion against the base, the last model and every baseline; then step by step.

    `models` is by iteration. Each family of comparisons is corrected together (Holm), and for the
    `looks` at which an evaluation may have ended.
    """
    regrets = {_name(index): regrets for index, regrets in models.items()} | dict(baselines)
    ends = sorted({0, max(models, default=0)} & models.keys() - {champion})
    others = [*map(_name, ends), *baselines] if champion in models else []
    against = [(_name(champion or 0), other) for other in others]
    steps = [(_name(after), _name(before)) for before, after in pairwise(sorted(models))]
    return (
        *_family("champion", against, regrets, looks),
        *_family("step", steps, regrets, looks),
    )


def _family(
    family: str, pairs: list[Pair], regrets: Mapping[str, Regrets], looks: int
) -> tuple[Difference, ...]:
    level = 1.0 - (1.0 - statistics.LEVEL) / looks
    sides = {pair: _both(regrets[pair[0]], regrets[pair[1]]) for pair in pairs}
    ps = {pair: min(1.0, looks * _p(*sides[pair])) for pair in pairs}
    corrected = statistics.holm({str(pair): p for pair, p in ps.items()})
    return tuple(
        Difference(
            family=family,
            ours=pair[0],
            other=pair[1],
            scenarios=len(ours),
            drop=statistics.paired_drop(other, ours, level),
            p=ps[pair],
            p_holm=corrected[str(pair)],
        )
        for pair, (ours, other) in sides.items()
    )


def _both(ours: Regrets, other: Regrets) -> tuple[Regrets, Regrets]:
    """The scenarios that both played."""
    common = sorted(ours.keys() & other.keys())
    return {s: ours[s] for s in common}, {s: other[s] for s in common}


def _p(ours: Regrets, other: Regrets) -> float:
    return statistics.compare(ours, {"other": other})["other"].p


def _name(index: int) -> str:
    return f"iteration {index}" if index else "the base"
