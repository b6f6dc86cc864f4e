"""Evaluation: plays of held-out scenarios -> the figures of every model and baseline.

Every figure is a mean over scenarios (the trajectories of one scenario are averaged first, for they
share its chance), with a 95 % interval. Differences are paired: the same scenario, two players.
Validation figures choose the champion; test figures choose nothing and are what is reported.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmft_api import baselines, measures, statistics
from rmft_api.environments.registry import ConcreteProblem
from rmft_api.environments.scenario import Scenario
from rmft_api.records import Interval, Record, RegretKind, Trajectory
from rmft_api.regret import Floats, Play, per_round, play_of, stack

RIVALS: Mapping[RegretKind, tuple[str, ...]] = {
    "static": ("random", "hedge", "ftrl_l2", "ftpl"),
    "pseudo": ("random", "greedy", "ucb1", "thompson"),
    "dynamic": ("random", "greedy", "ucb1", "thompson", "sw_ucb", "exp3s"),
}
"""The baselines shown beside a model, by the kind of regret that its scenarios rank by."""
BASELINE_PLAYS = 16
"""Plays of each scenario by each baseline: they cost nothing, and their own luck averages out."""


class Group(Record, frozen=True):
    """The scenarios of one kind: a problem, or all of one environment, K or T."""

    scenarios: int
    regret: Interval
    paired_drop: Interval | None
    """Regret of the base less this player's, scenario by scenario; None for the base itself."""
    suff_fail_freq: float
    k_min_frac: float


class Figures(Record, frozen=True):
    """One player on one split."""

    regret: Interval
    """Of a trajectory, in the form that its scenario ranks by."""
    paired_drop: Interval | None
    suff_fail_freq: float
    """Share of trajectories that never choose the best action in their second half."""
    k_min_frac: float
    """K x the share of rounds on the least chosen action: 1 spreads evenly, 0 never explores."""
    valid: float
    """Share of replies that could be read."""
    groups: dict[str, Group]


class Evaluated(Record, frozen=True):
    """The model of one iteration; 0 is the base."""

    index: int
    model: str
    validation: Figures
    test: Figures | None
    """None where only the base and the champion are tested."""


class Champion(Record, frozen=True):
    """The model with the least validation regret; never just the last one."""

    index: int
    model: str


class Results(Record, frozen=True):
    """What a run came to."""

    run: str
    iterations: tuple[Evaluated, ...]
    baselines: dict[str, Figures]
    champion: Champion


@dataclass(frozen=True)
class Course:
    """The scenarios of a split, and what each is called in groups."""

    scenarios: tuple[Scenario, ...]
    problems: tuple[ConcreteProblem, ...]

    def groups(self) -> Iterator[tuple[str, list[int]]]:
        """Group name -> indices of its scenarios; one that holds all of them is none."""
        found: dict[str, list[int]] = {}
        for index in range(len(self.scenarios)):
            for name in _kinds(self.problems[index % len(self.problems)]):
                found.setdefault(name, []).append(index)
        yield from ((name, some) for name, some in found.items() if len(some) < len(self.scenarios))


@dataclass(frozen=True)
class Performance:
    """One player's plays of a course, per scenario (axis M)."""

    regret_M: Floats
    suff_fail_M: Floats
    k_min_frac_M: Floats
    valid_M: Floats


def of_trajectories(course: Course, played: Iterable[Trajectory]) -> Performance:
    """How a model did."""
    plays: list[list[Play]] = [[] for _ in course.scenarios]
    for trajectory in played:
        scenario = course.scenarios[trajectory.address.scenario]
        plays[trajectory.address.scenario].append(
            play_of(
                trajectory.rounds, scenario.rewards, None if scenario.adversary else scenario.means
            )
        )
    return _perform(course, plays)


def of_baseline(course: Course, name: str, seed: int) -> Performance:
    """How a baseline does on the same scenarios."""
    repeated = [s for s in course.scenarios for _ in range(BASELINE_PLAYS)]
    plays = baselines.play(name, repeated, seed)
    size = BASELINE_PLAYS
    return _perform(course, [plays[i : i + size] for i in range(0, len(plays), size)])


def rivals(course: Course) -> tuple[str, ...]:
    """The baselines that fit these scenarios."""
    kinds: dict[RegretKind, None] = dict.fromkeys(s.regret for s in course.scenarios)
    names = dict.fromkeys(name for kind in kinds for name in RIVALS[kind])
    fit = [set(baselines.suitable(scenario)) for scenario in course.scenarios]
    return tuple(name for name in names if all(name in able for able in fit))


def figures(course: Course, player: Performance, base: Performance | None) -> Figures:
    """The player's figures; `base` is what it is compared with."""
    drop_M = None if base is None else base.regret_M - player.regret_M
    return Figures(
        regret=statistics.mean_interval(player.regret_M),
        paired_drop=None if drop_M is None else statistics.mean_interval(drop_M),
        suff_fail_freq=float(player.suff_fail_M.mean()),
        k_min_frac=float(player.k_min_frac_M.mean()),
        valid=float(player.valid_M.mean()),
        groups={
            name: Group(
                scenarios=len(chosen),
                regret=statistics.mean_interval(player.regret_M[chosen]),
                paired_drop=None if drop_M is None else statistics.mean_interval(drop_M[chosen]),
                suff_fail_freq=float(player.suff_fail_M[chosen].mean()),
                k_min_frac=float(player.k_min_frac_M[chosen].mean()),
            )
            for name, chosen in course.groups()
        },
    )


def _kinds(problem: ConcreteProblem) -> tuple[str, ...]:
    environment, K, T = problem.environment, f"K={problem.K}", f"T={problem.T}"
    return (environment, K, T, f"{environment} {T}", f"{environment} {K} {T}", problem.label)


def _perform(course: Course, plays: Sequence[Sequence[Play]]) -> Performance:
    """Averages over the plays of each scenario."""
    rows = [_of_one(s, stack(some)) for s, some in zip(course.scenarios, plays, strict=True)]
    return Performance(*np.array(rows).T)


def _of_one(scenario: Scenario, plays: Play) -> tuple[float, float, float, float]:
    return (
        float(per_round(plays, scenario.regret).sum(axis=-1).mean()),
        float(measures.suff_fail(plays, scenario.regret).mean()),
        scenario.K * float(measures.min_frac(plays).mean()),
        float(measures.valid(plays).mean()),
    )
