"""Who is better than whom, on the same scenarios (docs/method.md 5)."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from rmft_api import statistics
from rmft_api.report.figures import Regrets
from rmft_api.report.story import Difference


def differences(
    models: Mapping[int, Regrets], baselines: Mapping[str, Regrets], champion: int | None
) -> tuple[Difference, ...]:
    """The champion against the base, the last model and every baseline; then step by step.

    Each family of comparisons is corrected together (Holm). `models` is by iteration.
    """
    found: list[Difference] = []
    if champion in models:
        found += _family("champion", _name(champion), models[champion], _rivals(models, baselines))
    found += _steps(models)
    return tuple(found)


def _rivals(
    models: Mapping[int, Regrets], baselines: Mapping[str, Regrets]
) -> Iterator[tuple[str, Regrets]]:
    for index in sorted({0, max(models)} & models.keys()):
        yield _name(index), models[index]
    yield from baselines.items()


def _steps(models: Mapping[int, Regrets]) -> list[Difference]:
    """Every model against the one before it."""
    pairs = list(pairwise(sorted(models)))
    ps = {f"{after}": _compare(models[after], models[before]).p for before, after in pairs}
    corrected = statistics.holm(ps)
    return [
        Difference(
            family="step",
            ours=_name(after),
            other=_name(before),
            drop=_compare(models[after], models[before]).drop,
            p=ps[f"{after}"],
            p_holm=corrected[f"{after}"],
        )
        for before, after in pairs
    ]


def _compare(ours: Regrets, other: Regrets) -> statistics.Comparison:
    return statistics.compare(ours, {"other": other})["other"]


def _family(
    family: str, name: str, ours: Regrets, rivals: Iterator[tuple[str, Regrets]]
) -> list[Difference]:
    others = {other: regrets for other, regrets in rivals if other != name}
    if not others:
        return []
    return [
        Difference(family, name, other, one.drop, one.p, one.p_holm)
        for other, one in statistics.compare(ours, others).items()
    ]


def _name(index: int) -> str:
    return f"iteration {index}" if index else "the base"
