"""Who is better than whom, on the same scenarios (docs/method.md 5)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from rmft_api import statistics
from rmft_api.core.records import Split
from rmft_api.report.data import Difference
from rmft_api.report.figures import Regrets

Pair = tuple[str, str]
"""Ours and the other, by name."""


class Field(NamedTuple):
    """A split, and who has played it."""

    split: Split
    models: Mapping[int, Regrets]
    """By iteration."""
    looks: int
    """At how many points an evaluation may have ended: p-values are corrected for them too."""


def against_others(
    field: Field, baselines: Mapping[str, Regrets], champion: int | None
) -> tuple[Difference, ...]:
    """The champion against the base, the last model and every baseline."""
    if champion is None or champion not in field.models:
        return ()
    regrets = _named(field) | dict(baselines)
    ends = sorted({0, max(field.models)} & field.models.keys() - {champion})
    others = [*map(_name, ends), *baselines]
    return _family("champion", field, [(_name(champion), other) for other in others], regrets)


def step_by_step(field: Field) -> tuple[Difference, ...]:
    """Every model against the one before it."""
    steps = [(_name(after), _name(before)) for before, after in pairwise(sorted(field.models))]
    return _family("step", field, steps, _named(field))


def _named(field: Field) -> dict[str, Regrets]:
    return {_name(index): regrets for index, regrets in field.models.items()}


def _family(
    family: str, field: Field, pairs: list[Pair], regrets: Mapping[str, Regrets]
) -> tuple[Difference, ...]:
    """Comparisons, corrected together (Holm)."""
    level = 1.0 - (1.0 - statistics.LEVEL) / field.looks
    sides = {pair: _both(regrets[pair[0]], regrets[pair[1]]) for pair in pairs}
    ps = {pair: min(1.0, field.looks * _p(*sides[pair])) for pair in pairs}
    corrected = statistics.holm({str(pair): p for pair, p in ps.items()})
    return tuple(
        Difference(
            family=family,
            split=field.split,
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
