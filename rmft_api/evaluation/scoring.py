"""Evaluation: plays of held-out scenarios -> the figures of every model and baseline.

Every figure is a mean over scenarios (the trajectories of one scenario are averaged first, for they
share its chance), with a 95 % interval. Differences are paired: the same scenario, two players.
Validation figures choose the champion; test figures choose nothing and are what is reported.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rmft_api import baselines, statistics
from rmft_api.baselines import limit
from rmft_api.core.records import Address, Interval, Record, RegretKind, Trajectory
from rmft_api.environments.registry import ConcreteProblem
from rmft_api.environments.scenario import Scenario
from rmft_api.evaluation import measures
from rmft_api.evaluation.measures import Measures
from rmft_api.evaluation.off_policy import OffPolicyResults
from rmft_api.evaluation.recent_plays import RecentPlays
from rmft_api.evaluation.selection_summary import SelectionSummary
from rmft_api.selection import own_measures
from rmft_api.selection.own_measures import OwnMeasures
from rmft_api.selection.regret import (
    Floats,
    PlayArrays,
    least_regret,
    per_round,
    play_in,
    stack,
)
from rmft_api.statistics import Decisions

DEFAULT_BASELINES: Mapping[RegretKind, tuple[str, ...]] = {
    "static": ("random", "hedge", "ada_hedge", "optimistic_hedge", "ftrl_l2"),
    "pseudo": ("random", "greedy", "kl_ucb", "thompson", "ids"),
    "dynamic": ("random", "greedy", "glr_kl_ucb", "sw_ucb", "thompson"),
    "reference": ("random",),  # and the references of the problem's own class
}
"""The baselines shown beside a model, by the kind of regret that its scenarios rank by: the
simplest ones and the strongest ones (docs/method.md 6)."""
WITH_FEATURES = ("random", "greedy", "thompson", "linucb", "lin_thompson")
"""The same where contexts are numbers."""
MOST_BASELINES = 5
"""Of those, where the problems differ in kind: the first of each kind, then the second, and on."""
ALL = "all"
"""Stands for every baseline that can play one of the problems."""
_RECENT = RecentPlays()
BASELINE_PLAYS = 16
"""Plays of each scenario by each baseline: they cost nothing, and their own luck averages out."""


class GroupFigures(Record, frozen=True):
    """The scenarios of one kind: a problem, or all of one environment, K or T."""

    scenarios: int
    regret: Interval
    paired_drop: Interval | None
    """Regret of the base less this player's, scenario by scenario; None for the base itself."""
    suff_fail_freq: float | None
    k_min_frac: float
    valid: float
    """Share of replies that could be read."""


class Figures(Record, frozen=True):
    """One player on one split. Every interval holds though the evaluation may have ended early."""

    scenarios: int
    """How many were played; paired figures are over those that the base played too."""
    regret: Interval
    """Of a trajectory, in the form that its scenario ranks by."""
    paired_drop: Interval | None
    suff_fail_freq: float | None
    """Share of trajectories that never choose the best action in their second half; None where
    all problems have state (`measures.NO_BEST`)."""
    k_min_frac: float
    """K x the share of rounds on the least chosen action: 1 spreads evenly, 0 never explores."""
    valid: float
    """Share of replies that could be read."""
    measures: Measures
    """Of all its trajectories."""
    groups: dict[str, GroupFigures]
    over_time: dict[str, Decisions]
    """Whether regret is sublinear and play locks in, by horizon ("T=25"); none for a horizon below
    4, or of fewer than 10 scenarios (docs/method.md 5)."""
    only: tuple[str, ...] = ()
    """The problems that all these figures are of, where the player cannot play every one of them;
    empty: all problems. Held against a model's figures of the same problems alone."""
    own: dict[str, Interval] = msgspec.field(default_factory=dict[str, Interval])
    """Measures of one's own (evaluation.measures) where they have a meaning."""


class GateDecision(Record, frozen=True):
    """What becomes of a run after an iteration (docs/method.md 5)."""

    decision: statistics.Gate
    start: int
    """The iteration whose model the next one starts from."""
    drop: Interval
    """Paired fall of validation regret from the champion so far to the new model."""
    rise: float | None = None
    """Validation regret of the new model above the least of all before it, on the scenarios that
    all of them played; None where no gate may fall back, and where it was not recorded yet."""
    by_chance: float | None = None
    """What models that are all alike rise by in at most 5 % of runs, all iterations together."""


class Evaluated(Record, frozen=True):
    """The model of one iteration; 0 is the base."""

    index: int
    model: str
    validation: Figures
    test: Figures | None
    """None where only the base and the champion are tested."""
    made_from: SelectionSummary | None = None
    """What it learnt from, beside all that was played; None for the base."""
    warnings: tuple[str, ...] = ()
    """What got worse about exploration while regret fell (docs/method.md 3)."""
    gate: GateDecision | None = None
    """What was decided after it; None where no gate stands, and for the base."""
    share_of_possible: Interval | None = None
    """Of the way from the base's test regret to the limit; None for the base, and where no limit
    is known (docs/method.md 6)."""


class Extension(Record, frozen=True):
    """A run that was given more iterations than it began with."""

    at: int
    """UTC milliseconds."""
    before: int
    """Iterations until then."""
    after: int


class WarmUp(Record, frozen=True):
    """What a base was taught before iteration 1: the form of an answer, by balanced random play."""

    base: str
    """The model that was warmed up: it is in no comparison."""
    model: str
    """The model after it: iteration 0, the base of every comparison."""
    trajectories: int | None
    """Random ones; None where the files of another run were learnt."""
    examples: int | None
    reasons: bool | None
    """Whether hand-written reasoning stood before the answers; None: not known here."""
    valid_before: float
    """Share of the base's replies that could be read, of `replies_before` on validation."""
    replies_before: int
    before: Figures | None
    """Of the base on the validation scenarios; None where it was stopped, as too little could be
    read."""


class Champion(Record, frozen=True):
    """The model with the lowest validation regret (`lowest_regret`), not simply the last one."""

    index: int
    model: str


class Results(Record, frozen=True):
    """What a run came to."""

    run: str
    iterations: tuple[Evaluated, ...]
    baselines: dict[str, Figures]
    champion: Champion
    data: tuple[str, ...] = ()
    """How the rows of a file of one's own are divided among the splits, in words."""
    off_policy: OffPolicyResults | None = None
    """What models would have earned on held-out rows of a log; None where there is none."""
    other_logs: tuple[OffPolicyResults, ...] = ()
    """The same of further logs that scenarios are drawn from."""
    stopped: str = ""
    """Why it was not played on, where too little could be read."""
    warm_up: WarmUp | None = None
    """What the base was taught before iteration 1; None: nothing."""
    extended: tuple[Extension, ...] = ()
    """When the run was given more iterations, or fewer of those that had not started."""
    references: tuple[str, ...] = ()
    """What regret is against in problems with state, in words."""
    limit: Figures | None = None
    """Nearly the least regret that is possible, on the test scenarios that it is known for."""
    limit_notes: tuple[str, ...] = ()
    """Where no limit is known, and why."""


@dataclass(frozen=True)
class ScenarioSet:
    """The scenarios of a split, and what each is called in groups."""

    scenarios: tuple[Scenario, ...]
    problems: tuple[ConcreteProblem, ...]
    """Scenario i of the split is of problem i mod their number."""
    places: tuple[int, ...] | None = None
    """Where each scenario stands in its split; None: these are the split's first ones."""
    measures: OwnMeasures = field(default_factory=dict[str, Callable[[PlayArrays], Any]])
    """What is measured of its plays beside the known measures."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Each scenario's number in its split."""
        return tuple(range(len(self.scenarios))) if self.places is None else self.places

    def first(self, count: int) -> "ScenarioSet":
        """Its first scenarios alone."""
        places = None if self.places is None else self.places[:count]
        return replace(self, scenarios=self.scenarios[:count], places=places)

    def among(self, numbers: Iterable[int]) -> "ScenarioSet":
        """Those of these numbers alone."""
        wanted = set(numbers)
        chosen = [place for place, number in enumerate(self.numbers) if number in wanted]
        if chosen == list(range(len(chosen))):
            return self.first(len(chosen))
        places = tuple(self.numbers[place] for place in chosen)
        return replace(self, scenarios=tuple(self.scenarios[i] for i in chosen), places=places)

    def problem_of(self, place: int) -> ConcreteProblem:
        """What the scenario at this place was drawn from."""
        return self.problems[self.numbers[place] % len(self.problems)]

    def playable(self, name: str, folder: Path | None = None) -> "ScenarioSet":
        """The scenarios of those problems that a baseline can play; none where it can play none."""
        unfit = {
            number % len(self.problems)
            for number, scenario in zip(self.numbers, self.scenarios, strict=True)
            if not baselines.fits(name, scenario, folder)
        }
        return self.among(n for n in self.numbers if n % len(self.problems) not in unfit)

    def labels(self) -> tuple[str, ...]:
        """What its problems are called, each once."""
        every = (self.problem_of(place).label for place in range(len(self.scenarios)))
        return tuple(dict.fromkeys(every))

    def groups(self) -> Iterator[tuple[str, list[int]]]:
        """Group name -> places of its scenarios; one that holds all of them is none."""
        found: dict[str, list[int]] = {}
        for place in range(len(self.scenarios)):
            for name in _kinds(self.problem_of(place)):
                found.setdefault(name, []).append(place)
        yield from ((name, some) for name, some in found.items() if len(some) < len(self.scenarios))


@dataclass(frozen=True)
class Performance:
    """One player's plays of a scenario_set, per scenario (axis M)."""

    regret_M: Floats
    suff_fail_M: Floats
    """NaN for problems with state."""
    k_min_frac_M: Floats
    valid_M: Floats
    least_M: Floats
    """What a scenario's regret cannot be below (`regret.least_regret`)."""
    measures: Measures
    rounds: tuple[Floats, ...]
    """Regret of each round, scenario by scenario."""
    locked_M: Floats
    """Share of plays that lock in (`measures.locked_in`)."""
    numbers: tuple[int, ...]
    """Each scenario's number in its split."""
    own: Mapping[str, Floats]
    """Measures of one's own, per scenario; NaN where one has no meaning."""

    def over_time(self) -> dict[str, Decisions]:
        """What is decided about regret over time, for each horizon, the longest first."""
        found: dict[str, Decisions] = {}
        for T in sorted({len(one) for one in self.rounds}, reverse=True):
            some = [place for place, one in enumerate(self.rounds) if len(one) == T]
            if T >= 4 and len(some) >= statistics.FEWEST_DECIDED:
                rows_NT = np.stack([self.rounds[place] for place in some])
                found[f"T={T}"] = statistics.decide(rows_NT, locked_N=self.locked_M[some])
        return found

    def regret(
        self, level: float = statistics.LEVEL, among: Sequence[int] | None = None
    ) -> Interval:
        """Mean regret over all scenarios, or `among` some of them."""
        chosen = range(len(self.regret_M)) if among is None else among
        least = float(self.least_M[chosen].mean())
        return statistics.regret_interval(self.regret_M[chosen], level, least)

    def drop_M(self, before: "Performance") -> Floats:
        """What regret fell by from `before` to here, on the scenarios that both played."""
        _, ours, theirs = np.intersect1d(self.numbers, before.numbers, True, return_indices=True)
        return before.regret_M[theirs] - self.regret_M[ours]


ToldOrder = Callable[[Address, int, int], tuple[int, ...]]
"""The actions in the order in which a round shows them, by trajectory, K and round (from 0)."""


def of_trajectories(
    scenario_set: ScenarioSet, played: Iterable[Trajectory], order: ToldOrder | None = None
) -> Performance:
    """How a model did. `order`: None where actions were always shown as they stand."""
    chosen: list[int] = []
    plays: list[list[PlayArrays]] = [[] for _ in scenario_set.scenarios]
    for trajectory in played:
        scenario = scenario_set.scenarios[trajectory.address.scenario]
        plays[trajectory.address.scenario].append(play_in(scenario, trajectory.rounds))
        chosen += _positions(trajectory, scenario.K, order)
    found = _perform(scenario_set, plays)
    K = max(scenario.K for scenario in scenario_set.scenarios)
    shares = measures.positions(chosen, K)
    return replace(found, measures=msgspec.structs.replace(found.measures, position_shares=shares))


def _positions(trajectory: Trajectory, K: int, order: ToldOrder | None) -> Iterator[int]:
    """Where the chosen actions stood when they were shown."""
    for t, one in enumerate(trajectory.rounds):
        if one.action is not None:
            warning = range(K) if order is None else order(trajectory.address, K, t)
            yield warning.index(one.action)


def of_baseline(
    scenario_set: ScenarioSet, name: str, seed: int, folder: Path | None = None
) -> Performance:
    """How a baseline does on those of the scenarios whose problems it can play.

    One of your own is looked for in `folder`. Raises ConfigError where it can play none.
    """
    mine = scenario_set.playable(name, folder)
    plays = baseline_plays(mine if mine.scenarios else scenario_set, name, seed, folder)
    size = BASELINE_PLAYS
    return _perform(mine, [plays[i : i + size] for i in range(0, len(plays), size)])


def baseline_plays(
    scenario_set: ScenarioSet, name: str, seed: int, folder: Path | None = None
) -> list[PlayArrays]:
    """Its plays, `BASELINE_PLAYS` of each scenario in a row. Raises ConfigError for a misfit."""
    repeated = [s for s in scenario_set.scenarios for _ in range(BASELINE_PLAYS)]

    def play() -> list[PlayArrays]:
        return baselines.play(name, repeated, seed, folder=folder)

    if baselines.is_own(name):
        return play()  # its code may have changed
    return _RECENT.get(name, seed, scenario_set.scenarios, play)


def of_limit(scenario_set: ScenarioSet) -> Performance:
    """How the limit does; all problems are ones that it is known for."""
    return _perform(scenario_set, [[play] for play in limit_plays(scenario_set)])


def limit_plays(scenario_set: ScenarioSet) -> list[PlayArrays]:
    """Its one play of each scenario: it acts without chance."""
    plays: dict[int, PlayArrays] = {}
    kinds: dict[int, list[int]] = {}
    for place, number in enumerate(scenario_set.numbers):
        kinds.setdefault(number % len(scenario_set.problems), []).append(place)
    for kind, places in kinds.items():
        mine = limit.play(scenario_set.problems[kind], [scenario_set.scenarios[i] for i in places])
        plays |= zip(places, mine, strict=True)
    return [plays[i] for i in range(len(scenario_set.scenarios))]


def gate_in_words(gate: GateDecision) -> str:
    """A decision in words."""
    against = f"validation regret fell by {gate.drop} from the champion's"
    if gate.decision == "stop":
        return f"{against}; no gain again, so the run ends here (gate.stop_after)"
    if gate.rise is not None and gate.by_chance is not None:
        against = (
            f"validation regret is {gate.rise:.2f} above the least before it, "
            f"where chance explains {gate.by_chance:.2f}"
        )
    return f"{against}; the next iteration starts from iteration {gate.start} (gate.fall_back)"


def extended_in_words(extensions: Sequence[Extension]) -> str:
    """From how many iterations to how many a run was extended, and when; empty: never."""
    return ", ".join(
        f"from {one.before} to {one.after} iterations on "
        f"{datetime.fromtimestamp(one.at / 1000, UTC).date()}"
        for one in extensions
    )


def lowest_regret(played: Mapping[int, Performance]) -> int:
    """The player whose regret fell most below that of player 0 (the base), scenario by scenario.

    The earlier one wins a tie. Where all played the same scenarios it has the least mean regret.
    """
    return max(played, key=lambda index: (float(played[index].drop_M(played[0]).mean()), -index))


def named_baselines(scenario_set: ScenarioSet, names: Sequence[str] | None) -> tuple[str, ...]:
    """Those named, each once; the usual ones for None, and every one that fits for "all"."""
    if names is None:
        return default_baselines(scenario_set)
    each = (all_baselines(scenario_set) if name == ALL else (name,) for name in names)
    return tuple(dict.fromkeys(name for some in each for name in some))


def default_baselines(scenario_set: ScenarioSet) -> tuple[str, ...]:
    """The usual ones, each able to play the scenarios of one problem at least.

    No more than `MOST_BASELINES`, and the references of problems with state beside them.
    """
    kinds = dict.fromkeys(
        WITH_FEATURES if s.features is not None else DEFAULT_BASELINES[s.regret]
        for s in scenario_set.scenarios
    )
    ranked = zip_longest(
        *([n for n in kind if scenario_set.playable(n).scenarios] for kind in kinds)
    )
    usual = dict.fromkeys(name for rank in ranked for name in rank if name is not None)
    return tuple(dict.fromkeys([*list(usual)[:MOST_BASELINES], *_references(scenario_set)]))


def all_baselines(scenario_set: ScenarioSet) -> tuple[str, ...]:
    """Every baseline that can play one of the problems."""
    able = [name for name in baselines.BASELINES if scenario_set.playable(name).scenarios]
    return tuple(dict.fromkeys([*able, *_references(scenario_set)]))


def _references(scenario_set: ScenarioSet) -> Iterator[str]:
    """The named policies of problems with state."""
    return (n for s in scenario_set.scenarios if s.world is not None for n in s.world.references)


def figures(
    scenario_set: ScenarioSet,
    player: Performance,
    base: Performance | None,
    level: float = statistics.LEVEL,
) -> Figures:
    """The player's figures; `base` is what it is compared with, `level` that of the intervals."""
    drop_M = None if base is None else player.drop_M(base)
    mine = scenario_set.among(player.numbers)
    partial = mine.places is not None
    return Figures(
        scenarios=len(player.regret_M),
        regret=player.regret(level),
        paired_drop=None if drop_M is None else statistics.drop_interval(drop_M, level),
        suff_fail_freq=_known_mean(player.suff_fail_M),
        k_min_frac=float(player.k_min_frac_M.mean()),
        valid=float(player.valid_M.mean()),
        measures=player.measures,
        groups={
            name: GroupFigures(
                scenarios=len(chosen),
                regret=player.regret(level, chosen),
                paired_drop=(
                    None if drop_M is None else statistics.drop_interval(drop_M[chosen], level)
                ),
                suff_fail_freq=_known_mean(player.suff_fail_M[chosen]),
                k_min_frac=float(player.k_min_frac_M[chosen].mean()),
                valid=float(player.valid_M[chosen].mean()),
            )
            for name, chosen in mine.groups()
        },
        over_time=player.over_time(),
        own={
            name: statistics.mean_interval(known_M, level)
            for name, own_M in player.own.items()
            if len(known_M := own_M[np.isfinite(own_M)])
        },
        only=mine.labels() if len(mine.labels()) < len(scenario_set.labels()) and partial else (),
    )


def _known_mean(figures_M: Floats) -> float | None:
    """The mean of those that have a meaning."""
    known_M = figures_M[np.isfinite(figures_M)]
    return float(known_M.mean()) if len(known_M) else None


def _kinds(problem: ConcreteProblem) -> tuple[str, ...]:
    environment, K, T = problem.environment, f"K={problem.K}", f"T={problem.T}"
    return (environment, K, T, f"{environment} {T}", f"{environment} {K} {T}", problem.label)


def _perform(scenario_set: ScenarioSet, plays: Sequence[Sequence[PlayArrays]]) -> Performance:
    """Averages over the plays of each scenario."""
    stacks = [stack(some) for _, some in zip(scenario_set.scenarios, plays, strict=True)]
    pairs = list(zip(scenario_set.scenarios, stacks, strict=True))
    rows = [_of_one(scenario, some) for scenario, some in pairs]
    kinds: list[RegretKind] = [
        s.regret for s, some in zip(scenario_set.scenarios, plays, strict=True) for _ in some
    ]
    return Performance(
        *np.array(rows).T,
        measures=measures.summary([p for some in plays for p in some], kinds),
        rounds=tuple([per_round(some, scenario.regret).mean(axis=0) for scenario, some in pairs]),
        locked_M=np.array([measures.locked_in(some, s.regret).mean() for s, some in pairs]),
        numbers=scenario_set.numbers,
        own=own_measures.of_plays(scenario_set.measures, plays),
    )


def _of_one(scenario: Scenario, plays: PlayArrays) -> tuple[float, ...]:
    return (
        float(per_round(plays, scenario.regret).sum(axis=-1).mean()),
        math.nan
        if scenario.regret == "reference"
        else float(measures.suff_fail(plays, scenario.regret).mean()),
        scenario.K * float(measures.min_frac(plays).mean()),
        float(measures.valid(plays).mean()),
        _least(scenario, plays),
    )


def _least(scenario: Scenario, plays: PlayArrays) -> float:
    """What no play can be below."""
    if scenario.world is None:
        return float(least_regret(plays, scenario.regret).mean())
    return 0.0 if scenario.world.is_exact else -math.inf
