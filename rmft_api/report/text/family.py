"""A family of seeds as people and programs read it."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from rmft_api.core.records import Interval
from rmft_api.evaluation.family import CHAMPION, FamilyResults, PooledFigures, SeedFigures
from rmft_api.report.text.columns import paragraph, table
from rmft_api.report.text.results import share_in_words
from rmft_api.statistics import FEWEST_SEEDS, unseen_share

SEEDS = ("seed", "champion", "base", "regret [95 % CI]", "drop to base", "of possible", "SuffFail")
POOLED = ("all seeds", "regret [95 % CI]", "drop to base", "above the champions", "SuffFail")


def family_table(found: FamilyResults) -> str:
    """A row for each seed; then everybody over all seeds."""
    if not found.seeds:
        return "\n".join([f"family {found.family}: no seed has finished", *_notes(found)])
    seeds = table([SEEDS, *map(_seed, found.seeds)], words=6, optional=("SuffFail",), foot=0)
    pooled = table([POOLED, *map(_player, found.players)], words=4, foot=0)
    return "\n".join([seeds, "", pooled, "", *map(paragraph, _notes(found))])


def family_json(found: FamilyResults) -> str:
    """One JSON object; intervals that nothing is known of are null, with the reason."""
    players = {one.name: _player_json(one) for one in found.players}
    seeds = [_plain(one, "base", "regret", "drop", "share_of_possible") for one in found.seeds]
    return msgspec.json.encode(
        {
            "family": found.family,
            "seeds": seeds,
            "players": players,
            "outlying": list(found.outlying),
            "unfinished": {str(seed): state for seed, state in found.unfinished.items()},
        }
    ).decode()


def _seed(one: SeedFigures) -> tuple[str, ...]:
    return (
        str(one.seed),
        f"iteration {one.champion}" if one.champion else "base",
        f"{one.base.mean:.2f}",
        str(one.regret),
        "" if one.drop is None else str(one.drop),
        share_in_words(one.share_of_possible),
        "" if one.suff_fail_freq is None else f"{one.suff_fail_freq:.2f}",
    )


def _player(one: PooledFigures) -> tuple[str, ...]:
    return (
        one.name + (" (only some)" if one.partial else ""),
        str(one.regret),
        "" if one.drop is None else str(one.drop),
        "" if one.above_champion is None else str(one.above_champion),
        "" if one.suff_fail_freq is None else f"{one.suff_fail_freq:.2f}",
    )


def _notes(found: FamilyResults) -> Iterator[str]:
    count = len(found.seeds)
    if count:
        yield (
            f"champions of {count} seeds, each on {_scenarios(found.seeds)} test scenarios of its "
            "own; intervals over all seeds know both (docs/method.md 5)"
        )
    if 0 < count < FEWEST_SEEDS:
        yield f"an interval over seeds needs at least {FEWEST_SEEDS} of them"
    yield from _trust(found)
    best = next((one for one in found.players if one.name == CHAMPION), None)
    if best is not None and best.share_of_possible is not None:
        share = share_in_words(best.share_of_possible).replace("too few", "too few seeds")
        yield f"of the way from the base to the limit, the champions have gained {share}"
    for seed, state in found.unfinished.items():
        yield f"seed {seed} is left out: {state}; `rmft-api resume {found.family}` continues it"


def _trust(found: FamilyResults) -> Iterator[str]:
    """When the intervals over seeds are not to be trusted."""
    count = len(found.seeds)
    for seed in found.outlying:
        yield (
            f"warning: seed {seed} gained far more or less than the others, so do not trust the "
            "intervals over seeds: how often that happens decides the mean; run more seeds"
        )
    if count >= FEWEST_SEEDS and not found.outlying:
        yield (
            f"the intervals hold unless a seed goes wrong now and then: {count} even seeds do not "
            f"exclude that up to {unseen_share(count):.0%} of seeds do"
        )


def _scenarios(seeds: Sequence[SeedFigures]) -> str:
    counts = sorted({one.scenarios for one in seeds})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _player_json(one: PooledFigures) -> dict[str, Any]:
    return _plain(one, "regret", "drop", "above_champion", "share_of_possible")


def _plain(one: SeedFigures | PooledFigures, *intervals: str) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.structs.asdict(one)
    return {**raw, **{name: _interval(raw[name]) for name in intervals}}


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    if not interval.known:
        return {"mean": interval.mean, "ci95": None, "reason": "too few"}
    return {"mean": interval.mean, "ci95": [interval.low, interval.high]}
