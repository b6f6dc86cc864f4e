"""A run's trajectories, group by group: one model's plays of one split."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import RegretKind, Scored, Split, Trajectory
from rmft_api.environments import Scenario
from rmft_api.journal import Journal
from rmft_api.rollouts import preparation, warm_up
from rmft_api.rollouts.warm_up import BEFORE
from rmft_api.selection.regret import PlayArrays, play_in, stack

N = TypeVar("N", np.float64, np.int64)
SPLITS: tuple[Split, ...] = ("test", "validation", "train")
TOGETHER = 1000
"""Plays worked on at once: bounds memory."""


@dataclass(frozen=True)
class ScoredPlay:
    """One play: of which scenario, by which regret."""

    scenario: int
    kind: RegretKind
    play: PlayArrays


@dataclass(frozen=True)
class PlayGroup:
    """One model's plays of one split, in order of scenario and trajectory."""

    split: Split
    iteration: int
    scenarios: tuple[Scenario, ...]
    problems: tuple[str, ...]
    """Each scenario's problem."""
    played: tuple[tuple[Trajectory, Scored], ...]
    sittings: tuple[ScoredPlay, ...]
    of: int
    """Trajectories that the whole split has."""

    @property
    def model(self) -> str:
        """Who played."""
        return self.played[0][0].model

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return len(self.played) == self.of


def groups(config: RunConfig, journal: Journal, *, words: bool = True) -> Iterator[PlayGroup]:
    """Every group that has a trajectory, one at a time: a whole run need not fit in memory.

    Without `words` prompts and replies are empty, and need not be unpacked.
    """
    read = journal.trajectories if words else journal.plays
    for split in SPLITS:
        for iteration in range(BEFORE, config.iterations + 1):
            played = list(read(split, iteration))
            if played:
                yield _group(config, split, iteration, played)


def of_players(config: RunConfig, journal: Journal, count: int) -> Iterator[PlayGroup]:
    """The groups of an evaluation: what each of `count` players has played, in their order."""
    for index in range(count):
        played = journal.trajectories("test", index)
        if played:
            yield _group(config, "test", index, played)


def scenarios_of(
    sittings: Sequence[ScoredPlay], measure: Callable[[PlayArrays, RegretKind], NDArray[N]]
) -> list[NDArray[N]]:
    """What `measure` says of each play, in their order; plays of one shape go together."""
    return each_of(sittings, {"": measure})[""]


def each_of(
    sittings: Sequence[ScoredPlay],
    measures: Mapping[str, Callable[[PlayArrays, RegretKind], NDArray[N]]],
) -> dict[str, list[NDArray[N]]]:
    """What several measures say of each play: as `scenarios_of`, and each play is read once."""
    found: dict[str, dict[int, NDArray[N]]] = {name: {} for name in measures}
    for kind, places in _alike(sittings):
        plays = stack([sittings[place].play for place in places])
        for name, measure in measures.items():
            found[name].update(zip(places, measure(plays, kind), strict=True))
    return {name: [one[i] for i in range(len(sittings))] for name, one in found.items()}


def _alike(sittings: Sequence[ScoredPlay]) -> Iterator[tuple[RegretKind, list[int]]]:
    places: defaultdict[tuple[RegretKind, tuple[int, ...]], list[int]] = defaultdict(list)
    for place, one in enumerate(sittings):
        places[one.kind, one.play.rewards_TK.shape].append(place)
    for (kind, _), found in places.items():
        for i in range(0, len(found), TOGETHER):
            yield kind, found[i : i + TOGETHER]


def _group(
    config: RunConfig, split: Split, iteration: int, played: Sequence[tuple[Trajectory, Scored]]
) -> PlayGroup:
    config = warm_up.of_iteration(config, split, iteration)
    scenarios = tuple(preparation.scenarios(config, split, iteration))
    problems = preparation.problems_of(config, split)
    section = preparation.section_of(config, split)
    return PlayGroup(
        split=split,
        iteration=iteration,
        scenarios=scenarios,
        problems=tuple(problems[i % len(problems)].label for i in range(len(scenarios))),
        played=tuple(played),
        sittings=tuple(_sitting(scenarios, trajectory) for trajectory, _ in played),
        of=section.scenarios * section.trajectories,
    )


def _sitting(scenarios: Sequence[Scenario], trajectory: Trajectory) -> ScoredPlay:
    index = trajectory.address.scenario
    scenario = scenarios[index]
    return ScoredPlay(index, scenario.regret, play_in(scenario, trajectory.rounds))
