"""What runs that differ in their seed alone came to together.

Every seed has its own scenarios and its own training. Figures are means of the seeds' means, with
intervals that know seeds and scenarios (`statistics.pooled_interval`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rmft_api import statistics
from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Interval, Record
from rmft_api.evaluation import limit, outcome, scoring
from rmft_api.evaluation.scoring import Performance
from rmft_api.journal import Journal
from rmft_api.selection.regret import Floats

BASE, CHAMPION, LIMIT = "base", "champion", "limit"
OF_ONE_SEED = ("name", "seed", "budget_usd", "iteration_budget_usd", "requests", "tracking")
"""Settings that may differ between seeds: they decide nothing about the figures."""


class SeedFigures(Record, frozen=True):
    """One seed: its champion on its test scenarios."""

    seed: int
    run: str
    champion: int
    """Its iteration; 0 is the base."""
    scenarios: int
    base: Interval
    regret: Interval
    drop: Interval | None
    """Paired, from the base; None where the base is the champion."""
    share_of_possible: Interval | None
    suff_fail_freq: float | None
    k_min_frac: float
    valid: float


class PooledFigures(Record, frozen=True):
    """One player over all seeds: the base, the champions, a baseline or the limit."""

    name: str
    regret: Interval
    drop: Interval | None
    """Regret of the base less this player's, paired; None for the base."""
    above_champion: Interval | None
    """This player's regret less the champions', paired; None for the champions."""
    share_of_possible: Interval | None
    """Of the champions alone, where a limit is known."""
    suff_fail_freq: float | None
    k_min_frac: float
    valid: float
    partial: bool
    """Whether it is of some problems alone: those that it can play."""


class FamilyResults(Record, frozen=True):
    """What the seeds that have finished came to."""

    family: str
    seeds: tuple[SeedFigures, ...]
    players: tuple[PooledFigures, ...]
    """The base, the champions, the baselines, the limit; none before a seed has finished."""
    unfinished: dict[int, str]
    """The other seeds, each with its state."""
    outlying: tuple[int, ...] = ()
    """Seeds whose champion gained far more or less than the others': the intervals over seeds are
    not to be trusted (`statistics.outlying_seeds`)."""


@dataclass(frozen=True)
class FinishedSeed:
    """One run that has finished, read."""

    config: RunConfig
    champion: int
    players: Mapping[str, Performance]
    share: Interval | None
    partial: frozenset[str]


def finished_seed(config: RunConfig, journal: Journal) -> FinishedSeed:
    """Everybody on the test scenarios of one run."""
    tested = outcome.performances(config, journal, "test")
    best, held = outcome.champion(config, journal).index, outcome.scenario_set(config, "test")
    folder = config.origin.folder
    rivals = {
        name: scoring.of_baseline(held, name, config.seed, folder)
        for name in outcome.baselines_of(config, held)
    }
    least = limit.performance(held)
    players = {BASE: tested[0], CHAMPION: tested[best], **rivals}
    players |= {} if least is None else {LIMIT: least}
    return FinishedSeed(
        config=config,
        champion=best,
        players=players,
        share=limit.share_of_possible(tested[0], tested[best], least) if best else None,
        partial=frozenset(
            n for n, one in players.items() if len(one.numbers) < len(tested[0].numbers)
        ),
    )


def family_results(
    family: str, finished: Sequence[FinishedSeed], unfinished: Mapping[int, str]
) -> FamilyResults:
    """The figures over all seeds that have finished. Raises ConfigError for unequal settings."""
    refuse_unequal(family, [one.config for one in finished])
    names = list(finished[0].players) if finished else []
    return FamilyResults(
        family=family,
        seeds=tuple(map(_of_seed, finished)),
        players=tuple(map(partial(_pooled, finished), names)),
        unfinished=dict(unfinished),
        outlying=_outlying(finished),
    )


def _outlying(finished: Sequence[FinishedSeed]) -> tuple[int, ...]:
    gained = [one.players[CHAMPION].drop_M(one.players[BASE]) for one in finished]
    return tuple(finished[place].config.seed for place in statistics.outlying_seeds(gained))


def refuse_unequal(family: str, configs: Sequence[RunConfig]) -> None:
    """Raise ConfigError where two seeds differ in more than their seed."""
    for one in configs[1:]:
        changed = schema.differences(_settings(configs[0]), _settings(one))
        if changed:
            raise ConfigError(
                f"family {family!r}: seeds {configs[0].seed} and {one.seed} have different "
                f"settings ({'; '.join(changed)}), so their figures are not pooled; make them "
                f"equal (`rmft-api resume {family}` does for iterations), or report each run"
            )


def _settings(config: RunConfig) -> dict[str, object]:
    raw = config.model_dump(mode="json")
    return {key: value for key, value in raw.items() if key not in OF_ONE_SEED}


def _of_seed(one: FinishedSeed) -> SeedFigures:
    base, best = one.players[BASE], one.players[CHAMPION]
    return SeedFigures(
        seed=one.config.seed,
        run=one.config.name,
        champion=one.champion,
        scenarios=len(best.numbers),
        base=base.regret(),
        regret=best.regret(),
        drop=statistics.drop_interval(best.drop_M(base)) if one.champion else None,
        share_of_possible=one.share,
        suff_fail_freq=_mean([best.suff_fail_M]),
        k_min_frac=float(best.k_min_frac_M.mean()),
        valid=float(best.valid_M.mean()),
    )


def _pooled(finished: Sequence[FinishedSeed], name: str) -> PooledFigures:
    mine = [one.players[name] for one in finished]
    bases = [one.players[BASE] for one in finished]
    champions = [one.players[CHAMPION] for one in finished]
    least = float(np.mean([one.least_M.mean() for one in mine]))
    return PooledFigures(
        name=name,
        regret=statistics.pooled_interval([one.regret_M for one in mine], least=least),
        drop=None if name == BASE else _drop(bases, mine),
        above_champion=None if name == CHAMPION else _drop(mine, champions),
        share_of_possible=_share(finished) if name == CHAMPION else None,
        suff_fail_freq=_mean([one.suff_fail_M for one in mine]),
        k_min_frac=float(np.mean([one.k_min_frac_M.mean() for one in mine])),
        valid=float(np.mean([one.valid_M.mean() for one in mine])),
        partial=any(name in one.partial for one in finished),
    )


def _drop(before: Sequence[Performance], after: Sequence[Performance]) -> Interval:
    pairs = zip(before, after, strict=True)
    return statistics.pooled_interval([now.drop_M(then) for then, now in pairs])


def _share(finished: Sequence[FinishedSeed]) -> Interval | None:
    if not all(LIMIT in one.players for one in finished):
        return None
    gained, possible = (
        [_on_limit(one, one.players[name]) for one in finished] for name in (CHAMPION, LIMIT)
    )
    return statistics.pooled_share(gained, possible)


def _on_limit(one: FinishedSeed, player: Performance) -> Floats:
    """What a player's regret is below the base's, on the scenarios that a limit is known for."""
    numbers = set(one.players[LIMIT].numbers)
    drop_M = player.drop_M(one.players[BASE])
    common = sorted(set(player.numbers) & set(one.players[BASE].numbers))
    return drop_M[[number in numbers for number in common]]


def _mean(figures: Sequence[Floats]) -> float | None:
    """The mean of the seeds' means; None where all problems have state."""
    known = [float(one[np.isfinite(one)].mean()) for one in figures if np.isfinite(one).any()]
    return float(np.mean(known)) if known else None
