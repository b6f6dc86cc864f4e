"""The page of an evaluation: players, pairs, axes, exploration, and every trajectory."""

import time
from collections.abc import Iterator, Mapping

from rmft_api.evaluation.comparison import (
    ComparisonConfig,
    ComparisonResults,
    PairedDifference,
    PlayerResult,
)
from rmft_api.journal import Journal, dollars
from rmft_api.planning import spending
from rmft_api.report import figures, page, play_groups, players
from rmft_api.report.compared_data import ComparedPair, ComparedPlayer, ComparedReport
from rmft_api.report.data import Fact, Headline, RunState
from rmft_api.report.play_groups import ScoredPlay
from rmft_api.report.trajectory_index import TrajectoryIndex

SURE = 0.05
"""Below it a corrected p-value is significant."""
Sittings = Mapping[str, tuple[ScoredPlay, ...]]


def html(
    config: ComparisonConfig, journal: Journal, found: ComparisonResults, state: RunState
) -> bytes:
    """The whole page."""

    def fill(index: TrajectoryIndex) -> ComparedReport:
        return gather(config, journal, found, state, index)

    return page.of_data(*page.within_limit(fill))


def gather(
    config: ComparisonConfig,
    journal: Journal,
    found: ComparisonResults,
    state: RunState,
    index: TrajectoryIndex,
) -> ComparedReport:
    """The data of the page; trajectories go into `index`."""
    sittings: dict[str, tuple[ScoredPlay, ...]] = {}
    for group in play_groups.of_players(config.run, journal, len(config.players)):
        label = config.players[group.iteration].label
        index.add(group, name=label, course=config.suite)
        sittings[label] = group.sittings
    rivals = [one.label for one in found.players if one.model is None]
    sittings |= dict(players.baseline_plays(config.run, rivals))
    money = spending(journal)
    return ComparedReport(
        run=found.contest,
        about=f"{found.about} {found.scenarios} scenarios x {found.trajectories} plays.".strip(),
        state=state.state,
        stage=state.stage,
        made_at=int(time.time() * 1000),
        headline=_headline(found),
        facts=_facts(found, dollars(money.spent)),
        warnings=tuple(_warnings(found)),
        notes=(*found.notes, *found.references, *found.limit_notes),
        players=tuple(_player(one, sittings) for one in found.players),
        pairs=tuple(_pair(one, found) for one in found.pairs),
        axes=found.axes,
        money=money,
        phases=money.by_phase(),
    )


def _player(one: PlayerResult, sittings: Sittings) -> ComparedPlayer:
    played = sittings.get(one.label, ())
    return ComparedPlayer(
        name=one.label,
        model=one.model,
        scenarios=one.figures.scenarios,
        regret=one.figures.regret,
        drop=one.figures.paired_drop if one.model else None,
        measures=figures.measured(played),
        curves=figures.curves(played),
        only=one.figures.only,
        share_of_possible=one.share_of_possible,
    )


def _pair(one: PairedDifference, found: ComparisonResults) -> ComparedPair:
    models = {player.label for player in found.players if player.model}
    family = "models" if one.other in models else "algorithms"
    return ComparedPair(family, one.one, one.other, None, one.drop, one.p, one.p_holm)


def _facts(found: ComparisonResults, spent: str) -> tuple[Fact, ...]:
    models = sum(1 for one in found.players if one.model)
    return (
        Fact("Suite", found.suite, f"{found.scenarios} scenarios"),
        Fact("Models", f"{models}", f"{found.trajectories} plays of each scenario"),
        Fact("Algorithms", f"{len(found.players) - models}", "on the same scenarios"),
        Fact("Spent", spent, "by this evaluation"),
    )


def _warnings(found: ComparisonResults) -> Iterator[str]:
    for one in found.players:
        yield from (f"{one.label}: {line}" for line in one.warnings)
    if found.missing:
        yield f"not yet played: {', '.join(found.missing)}"
    if found.stopped:
        yield f"stopped: {found.stopped}"


def _headline(found: ComparisonResults) -> Headline:
    """Who has the least regret among the models, and over whom that is sure."""
    models = {one.label: one for one in found.players if one.model}
    if not models:
        return Headline("No model has played yet", "There are only known algorithms so far.", None)
    best = min(models.values(), key=lambda one: one.figures.regret.mean)
    text = f"{best.label} has the least regret of the models, {best.figures.regret} a trajectory."
    if len(models) == 1:
        return Headline(f"{best.label} has regret {best.figures.regret.mean:.2f}", text, None)
    beaten = {
        pair.other if pair.one == best.label else pair.one
        for pair in found.pairs
        if best.label in (pair.one, pair.other)
        and pair.drop.known
        and pair.p_holm < SURE
        and {pair.one, pair.other} <= models.keys()
    }
    if len(beaten) == len(models) - 1:
        return Headline(
            f"{best.label} decides best",
            f"{text} Against every other model the paired difference is significant.",
            True,
        )
    unsure = [label for label in models if label not in beaten and label != best.label]
    return Headline(
        "No model is surely the best",
        f"{text} Not clear against: {', '.join(unsure)}.",
        False,
    )
