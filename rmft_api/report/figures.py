"""The figures of a set of plays: regret curves and exploration, each with its interval.

The scenario is the unit of chance (docs/method.md 5): plays of one scenario are averaged first.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from rmft_api import statistics
from rmft_api.core.records import Interval, RegretKind
from rmft_api.evaluation import measures
from rmft_api.report.data import Curve, Measures
from rmft_api.report.play_groups import ScoredPlay, each_of, scenarios_of
from rmft_api.selection.regret import (
    Floats,
    PlayArrays,
    least_regret,
    per_round,
    regret_curve,
)

Regrets = Mapping[int, float]
"""Mean regret of each scenario."""
POINTS = 200
"""Rounds shown of a curve."""
MEASURES: Mapping[str, Callable[[PlayArrays, RegretKind], Floats]] = {
    "regret": lambda plays, kind: per_round(plays, kind).sum(axis=-1),
    "suff_fail_freq": lambda plays, kind: _suff_fail(plays, kind),
    "k_min_frac": lambda plays, _: plays.rewards_TK.shape[-1] * measures.min_frac(plays),
    "greedy_frac": lambda plays, _: measures.greedy_frac(plays),
    "best_share": measures.best_share,
    "valid": lambda plays, _: measures.valid(plays),
}
"""Figures of one play, whose mean over scenarios is shown."""


def _suff_fail(plays: PlayArrays, kind: RegretKind) -> Floats:
    """Without a meaning, and not read, where problems have state."""
    if kind == "reference":
        return np.full(len(plays.actions_T), np.nan)
    return measures.suff_fail(plays, kind).astype(np.float64)


def measured(sittings: Sequence[ScoredPlay]) -> Measures:
    """Every measure of these plays; empty where there are none."""
    if not sittings:
        return {}
    values = each_of(sittings, {**MEASURES, "least": least_regret})
    places: dict[str, Sequence[int]] = {name: range(len(sittings)) for name in MEASURES}
    places["suff_fail_freq"] = [
        place
        for place, one in enumerate(sittings)
        if one.kind != "reference"  # measures.NO_BEST
    ]
    found = {
        name: _share(_by_scenario([sittings[i] for i in some], [values[name][i] for i in some]))
        for name, some in places.items()
        if name != "regret" and some
    }
    regret_M, least_M = (_by_scenario(sittings, values[name]) for name in ("regret", "least"))
    entropy = measures.answer_entropy([one.play for one in sittings])
    return {
        "regret": statistics.regret_interval(regret_M, least=float(least_M.mean())),
        **found,
        "answer_entropy": Interval(entropy, np.nan, np.nan),
    }


def _share(figures_M: Floats) -> Interval:
    """The mean's interval, which stays between 0 and 1."""
    found = statistics.mean_interval(figures_M)
    return Interval(found.mean, max(0.0, found.low), min(1.0, found.high))


def regret_by_scenario(sittings: Sequence[ScoredPlay]) -> Regrets:
    """Mean regret of each scenario's plays, by the scenario's number."""
    regrets = scenarios_of(sittings, MEASURES["regret"])
    return statistics.averaged(
        (one.scenario, float(regret)) for one, regret in zip(sittings, regrets, strict=True)
    )


def curves(sittings: Sequence[ScoredPlay]) -> tuple[Curve, ...]:
    """Regret after each round, a curve for each horizon, the longest first."""
    running = scenarios_of(sittings, regret_curve)
    return tuple(_curve(sittings, running, T) for T in _horizons(running))


def _horizons(running: Sequence[Floats]) -> Iterator[int]:
    yield from sorted({len(one) for one in running}, reverse=True)


def _curve(sittings: Sequence[ScoredPlay], running: Sequence[Floats], T: int) -> Curve:
    places = [place for place, one in enumerate(running) if len(one) == T]
    means_ST = _by_scenario([sittings[i] for i in places], [running[i] for i in places])
    rounds = shown(T)
    bounds = [statistics.regret_interval(means_ST[:, t - 1]) for t in rounds]
    return Curve(
        T=T,
        scenarios=len(means_ST),
        rounds=rounds,
        mean=tuple(round(one.mean, 5) for one in bounds),
        low=tuple(round(one.low, 5) for one in bounds),
        high=tuple(round(one.high, 5) for one in bounds),
    )


def shown(T: int) -> tuple[int, ...]:
    """The rounds of a curve that are shown: at most `POINTS`, the first and the last among them."""
    return tuple(dict.fromkeys(np.linspace(1, T, min(T, POINTS)).round().astype(int).tolist()))


def _by_scenario(sittings: Sequence[ScoredPlay], figures: Sequence[Floats]) -> Floats:
    """The mean figure (or row of figures) of each scenario, in the scenarios' order."""
    groups: defaultdict[int, list[Floats]] = defaultdict(list)
    for one, figure in zip(sittings, figures, strict=True):
        groups[one.scenario].append(figure)
    return np.stack([np.mean(groups[scenario], axis=0) for scenario in sorted(groups)])
