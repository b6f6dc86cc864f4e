"""Models and baselines on the held-out scenarios, and who of them is ahead."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from rmft_api import baselines, evaluation, outcome, statistics
from rmft_api.config import RunConfig
from rmft_api.evaluation import BASELINE_PLAYS
from rmft_api.records import Split
from rmft_api.report import figures
from rmft_api.report.figures import Regrets
from rmft_api.report.groups import Group, Sitting
from rmft_api.report.story import Player


def of_group(group: Group) -> Player:
    """A model on one split; without figures until it has played all of it."""
    measured = figures.measured(group.sittings) if group.whole else {}
    return Player(
        name=group.model,
        split=group.split,
        index=group.iteration,
        trajectories=len(group.played),
        of=group.of,
        regret=measured.get("regret"),
        paired_drop=None,
        measures=measured,
        curves=figures.curves(group.sittings) if group.whole else (),
    )


def compared(player: Player, regrets: Mapping[Split, Mapping[int, Regrets]]) -> Player:
    """The same, with the paired drop from the base, where both have played all of the split."""
    played = regrets.get(player.split, {})
    if player.split == "train" or not player.index or not {0, player.index} <= played.keys():
        return player
    drop = statistics.paired_drop(played[0], played[player.index])
    return msgspec.structs.replace(player, paired_drop=drop)


def baseline_plays(config: RunConfig) -> Iterator[tuple[str, tuple[Sitting, ...]]]:
    """Every baseline that fits the test scenarios, and its plays of them."""
    course = outcome.course(config, "test")
    repeated = [s for s in course.scenarios for _ in range(BASELINE_PLAYS)]
    for name in evaluation.rivals(course):
        plays = baselines.play(name, repeated, config.seed)
        yield (
            name,
            tuple(
                Sitting(i // BASELINE_PLAYS, scenario.regret, play)
                for i, (scenario, play) in enumerate(zip(repeated, plays, strict=True))
            ),
        )


def of_baseline(name: str, sittings: Sequence[Sitting]) -> Player:
    """A baseline on the test scenarios."""
    measured = figures.measured(sittings)
    return Player(
        name=name,
        split="test",
        index=None,
        trajectories=len(sittings),
        of=len(sittings),
        regret=measured["regret"],
        paired_drop=None,
        measures=measured,
        curves=figures.curves(sittings),
    )


def champion(players: Iterable[Player]) -> int | None:
    """The iteration of least mean validation regret, the earlier one on a tie."""
    judged = [
        (one.regret.mean, one.index)
        for one in players
        if one.split == "validation" and one.index is not None and one.regret is not None
    ]
    return min(judged)[1] if judged else None


def find(players: Iterable[Player], split: Split, index: int | None) -> Player | None:
    """The model of an iteration on a split, where it has played all of it."""
    return next(
        (one for one in players if one.split == split and one.index == index and one.regret), None
    )
