"""Models and baselines on the held-out scenarios, and who of them is ahead."""

from collections.abc import Iterable, Iterator, Sequence

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Split
from rmft_api.evaluation import limit, outcome, scoring
from rmft_api.evaluation.scoring import BASELINE_PLAYS, Figures
from rmft_api.evaluation.scoring import baseline_plays as baseline_plays_of
from rmft_api.report import figures
from rmft_api.report.data import OverTime, PlayerFigures
from rmft_api.report.play_groups import PlayGroup, ScoredPlay


def of_group(group: PlayGroup, held_out: Figures | None) -> PlayerFigures:
    """A model on one split. `held_out` are its figures there; None until its evaluation has ended.

    An evaluation may end before all scenarios are played: then what was played counts.
    """
    judged = judged_sittings(group, held_out)
    return PlayerFigures(
        name=group.model,
        split=group.split,
        index=group.iteration,
        trajectories=len(group.played),
        of=group.of,
        scenarios=held_out.scenarios if held_out else 0,
        regret=held_out.regret if held_out else None,
        paired_drop=held_out.paired_drop if held_out else None,
        measures=figures.measured(judged),
        curves=figures.curves(judged),
        over_time=_over_time(held_out),
        position_shares=held_out.measures.position_shares if held_out else (),
        own=held_out.own if held_out else {},
    )


def _over_time(figures: Figures | None) -> tuple[OverTime, ...]:
    found = figures.over_time.items() if figures else ()
    return tuple(
        OverTime(horizon, one.scenarios, one.growth, one.halves, one.locked, one.verdict)
        for horizon, one in found
    )


def judged_sittings(group: PlayGroup, figures: Figures | None) -> tuple[ScoredPlay, ...]:
    """The plays that the figures are of."""
    count = figures.scenarios if figures else 0
    return tuple(one for one in group.sittings if one.scenario < count)


def baseline_plays(
    config: RunConfig, names: Iterable[str]
) -> Iterator[tuple[str, tuple[ScoredPlay, ...]]]:
    """Baselines, and their plays of the test scenarios."""
    scenario_set, folder = outcome.scenario_set(config, "test"), config.origin.folder
    for name in names:
        mine = scenario_set.playable(name, folder)
        plays = baseline_plays_of(mine, name, config.seed, folder)
        each = [
            place for place in zip(mine.numbers, mine.scenarios, strict=True)
            for _ in range(BASELINE_PLAYS)
        ]  # fmt: skip
        yield (
            name,
            tuple(
                ScoredPlay(number, scenario.regret, play)
                for (number, scenario), play in zip(each, plays, strict=True)
            ),
        )


def limit_plays(config: RunConfig) -> tuple[ScoredPlay, ...]:
    """The limit's plays of the test scenarios that it is known for."""
    mine = limit.known(outcome.scenario_set(config, "test"))
    plays = scoring.limit_plays(mine)
    return tuple(
        ScoredPlay(number, scenario.regret, play)
        for number, scenario, play in zip(mine.numbers, mine.scenarios, plays, strict=True)
    )


def of_baseline(name: str, sittings: Sequence[ScoredPlay], held_out: Figures) -> PlayerFigures:
    """A baseline on the test scenarios."""
    return PlayerFigures(
        name=name,
        split="test",
        only=held_out.only,
        index=None,
        trajectories=len(sittings),
        of=len(sittings),
        scenarios=held_out.scenarios,
        regret=held_out.regret,
        paired_drop=None,
        measures=figures.measured(sittings),
        curves=figures.curves(sittings),
        over_time=_over_time(held_out),
        own=held_out.own,
    )


def find(players: Iterable[PlayerFigures], split: Split, index: int | None) -> PlayerFigures | None:
    """The model of an iteration on a split, where it has played all of it."""
    return next(
        (one for one in players if one.split == split and one.index == index and one.regret), None
    )
