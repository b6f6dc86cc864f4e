"""The limit: nearly the least mean regret that any player can have on drawn bandits.

A reference for charts and tables, as the oracles are, but one that knows no table: only how the
means were drawn, K, T and the kind of rewards. It plays an index with a finite horizon whose
numbers were tuned offline for that knowledge (`benchmarks/tune_limit.py`, recorded in `limit.csv`).
On two coins it is held against exact dynamic programming (docs/method.md 6). Where a problem says
which two means its actions have (`gap`, `instance`), the optimum is known and played instead.
"""

import csv
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal, get_args

import numpy as np

from rmft_api.baselines.bandits import Counting
from rmft_api.baselines.game import Algorithm, GameInfo, run, table
from rmft_api.baselines.known_gap import LikeliestBest, chances
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.environments.registry import ConcreteProblem
from rmft_api.environments.scenario import Scenario
from rmft_api.selection.regret import Floats, Ints, PlayArrays

NAME = "limit"
TABLE = "limit.csv"
Form = Literal["even", "belief", "logarithm"]
"""How the bonus of an action shrinks; see `FiniteHorizonIndex`."""
DEFAULTS = {"sd": 0.2, "clip": True, "instance": None, "gap": None, "best": None, "means": None}
"""Options of a bandit, with the values that the limit was tuned for."""
MOST_T, MOST_K = 500, 12
"""The largest problems that the tuned ones stand for."""
FEWEST_T = 5
FIGURES = ("regret", "error", "same", "greedy", "thompson", "ids")
"""What the table shows of each cell, beside its rule."""


@dataclass(frozen=True)
class IndexRule:
    """The numbers of an index."""

    form: Form
    prior: float
    """Imagined rewards, of 1/2 each."""
    scale: float
    shape: float


@dataclass(frozen=True)
class LimitCell:
    """What was found for one kind of rewards, K and T."""

    reward: str
    K: int
    T: int
    rule: IndexRule
    regret: float
    """On scenarios that were not tuned on, with its standard error."""
    error: float
    same: float
    """On some of those scenarios, and of other algorithms on the same."""
    greedy: float
    thompson: float
    ids: float


class FiniteHorizonIndex(Counting):
    """m + bonus, with m = (sum + prior / 2) / (n + prior), v = m (1 - m) / (n + prior + 1).

    even: scale (1 - t/T)^shape / sqrt(n + 1); belief: scale (1 - t/T)^shape sqrt(v); logarithm:
    scale sqrt(v ln(1 + shape (T - t - 1) / (n + 1))). t is the round from 0.
    """

    def __init__(self, table: GameInfo, rule: IndexRule) -> None:
        super().__init__(table)
        self._rule, self._T = rule, table.T

    def choose(self, t: int) -> Ints:
        """The largest index, the lowest of equals."""
        rule, counts_NK = self._rule, self.counts_NK
        means_NK = (self.sums_NK + rule.prior / 2.0) / (counts_NK + rule.prior)
        return (means_NK + self._bonus(t, means_NK)).argmax(axis=1)

    def _bonus(self, t: int, means_NK: Floats) -> Floats:
        rule, counts_NK = self._rule, self.counts_NK
        if rule.form == "even":
            return rule.scale * (1.0 - t / self._T) ** rule.shape / np.sqrt(counts_NK + 1.0)
        inside_NK = means_NK.clip(0.0, 1.0)
        variance_NK = inside_NK * (1.0 - inside_NK) / (counts_NK + rule.prior + 1.0)
        if rule.form == "belief":
            return rule.scale * (1.0 - t / self._T) ** rule.shape * np.sqrt(variance_NK)
        left_NK = (self._T - t - 1.0) / (counts_NK + 1.0)
        return rule.scale * np.sqrt(variance_NK * np.log1p(rule.shape * left_NK))


@functools.cache
def cells() -> tuple[LimitCell, ...]:
    """Every tuned cell."""
    text = resources.files("rmft_api.baselines").joinpath(TABLE).read_text(encoding="utf-8")
    return tuple(map(_cell, csv.DictReader(text.splitlines())))


def _cell(row: dict[str, str]) -> LimitCell:
    form = next(form for form in get_args(Form) if form == row["form"])
    rule = IndexRule(form, float(row["prior"]), float(row["scale"]), float(row["shape"]))
    figures = (float(row[name]) for name in FIGURES)
    return LimitCell(row["reward"], int(row["K"]), int(row["T"]), rule, *figures)


def rule_of(problem: ConcreteProblem) -> IndexRule | None:
    """The index for a problem, of the nearest tuned K and T; None where none is played."""
    if why_not(problem) or chances(problem) is not None:
        return None
    reward = problem.options.get("reward", "bernoulli")

    def distance(cell: LimitCell) -> float:
        return abs(math.log(cell.T / problem.T)) + abs(math.log(cell.K / problem.K))

    return min((one for one in cells() if one.reward == reward), key=distance).rule


def why_not(problem: ConcreteProblem) -> str:
    """Why no limit is known for a problem; empty where one is."""
    if problem.environment != "bandit":
        return "it is known for bandits with constant means"
    if chances(problem) is not None:
        return ""
    for option, value in problem.options.items():
        if option in DEFAULTS and value != DEFAULTS[option]:
            return f"it is known for means drawn from U(0, 1), not with {option} = {value!r}"
    if not FEWEST_T <= problem.T <= MOST_T or problem.K > MOST_K:
        return f"it is known for T from {FEWEST_T} to {MOST_T} and K to {MOST_K}"
    return ""


def play(problem: ConcreteProblem, scenarios: Sequence[Scenario]) -> list[PlayArrays]:
    """One play of each scenario of a problem: the limit acts without chance.

    Raises ValueError where no limit is known.
    """
    if why := why_not(problem):
        raise ValueError(f"no limit of {problem.label}: {why}")
    known = table(scenarios, RandomStreams(0, NAME, range(len(scenarios))))
    return run(_player(problem, known), scenarios, known)


def _player(problem: ConcreteProblem, known: GameInfo) -> Algorithm:
    if (two := chances(problem)) is not None:
        return LikeliestBest(known, *two)
    rule = rule_of(problem)
    assert rule is not None  # why_not says so
    return FiniteHorizonIndex(known, rule)
