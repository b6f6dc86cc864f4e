"""What a page shows: figures and words, as data. The page's script draws it and computes nothing.

Bounds that are not finite (one scenario alone has no interval) become null in the page.
"""

from typing import Literal, NamedTuple

import msgspec

from rmft_api.core.records import Hyperparameters, Interval, Record, Split
from rmft_api.evaluation.off_policy import OffPolicyResults
from rmft_api.planning import PhaseSpending, Spending

State = Literal["running", "interrupted", "failed", "finished"]


class RunState(NamedTuple):
    """How far a run is."""

    state: State
    stage: str
    """What was being done, with its rounds, where the run has not ended."""


Measures = dict[str, Interval]
"""Name of a measure (`figures.MEASURES`) -> its mean over scenarios."""


class Curve(Record, frozen=True):
    """Mean regret after each shown round, over the scenarios of one horizon."""

    T: int
    scenarios: int
    rounds: tuple[int, ...]
    """From 1; thinned out where T is long."""
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class OverTime(Record, frozen=True):
    """What is decided about regret over the rounds of one horizon (docs/method.md 5)."""

    horizon: str
    scenarios: int
    growth: Interval
    halves: Interval
    locked: Interval | None
    verdict: str


class PlayerFigures(Record, frozen=True):
    """One model or baseline on one split."""

    name: str
    split: Split
    index: int | None
    """The iteration that made the model, 0 for the base; None for a baseline."""
    trajectories: int
    of: int
    """Trajectories that a whole split has."""
    scenarios: int
    """How many the figures are over."""
    regret: Interval | None
    paired_drop: Interval | None
    """Regret of the base less this player's, on the same scenarios."""
    measures: Measures
    curves: tuple[Curve, ...]
    over_time: tuple[OverTime, ...] = ()
    only: tuple[str, ...] = ()
    """The problems that its figures are of, where it cannot play them all; empty: all."""
    reference: bool = False
    """The limit: a line to look at, no competitor."""
    position_shares: tuple[float, ...] = ()
    """The share of answers that chose the first, second, ... action as listed."""
    own: dict[str, Interval] = msgspec.field(default_factory=dict[str, Interval])
    """Measures of one's own, by name."""


class Difference(Record, frozen=True):
    """Two players on the same scenarios: above 0, `ours` has the lower regret."""

    family: str
    """Comparisons made at once, and corrected together."""
    split: Split
    ours: str
    other: str
    scenarios: int
    """How many both have played."""
    drop: Interval
    p: float
    p_holm: float


class SelectionFigures(Record, frozen=True):
    """What one iteration's selection kept, beside all that it chose from."""

    iteration: int
    kept: int
    all: int
    reasons: dict[str, int]
    """Kept, or why not (`selection.Selected.why`) -> trajectories."""
    of_kept: Measures
    of_all: Measures


class LineageStep(Record, frozen=True):
    """Where the model of an iteration comes from, and what was decided after it."""

    iteration: int
    start: str
    model: str
    dataset: str
    """SHA-256 of the training file."""
    job: str
    file: str
    trained_tokens: int | None
    hyperparameters: Hyperparameters
    seed: int
    gate: str
    """Empty where the run simply went on."""


class Headline(Record, frozen=True):
    """The run in two sentences, and how sure they are."""

    title: str
    text: str
    sure: bool | None
    """Whether the paired interval excludes 0 and nearly all replies could be read; None where
    there is no interval."""


class Fact(Record, frozen=True):
    """A figure beside the headline."""

    label: str
    value: str
    note: str


class LoggedValues(Record, frozen=True):
    """Values on held-out rows of one log."""

    values: OffPolicyResults
    notes: tuple[str, ...]


class ReportData(Record, frozen=True):
    """Everything but the trajectories."""

    run: str
    state: State
    stage: str
    """What was being done, with its rounds, where the run has not ended."""
    made_at: int
    """UTC milliseconds."""
    began_at: int
    headline: Headline
    facts: tuple[Fact, ...]
    champion: int | None
    """Its iteration."""
    warnings: tuple[str, ...]
    players: tuple[PlayerFigures, ...]
    differences: tuple[Difference, ...]
    makeups: tuple[SelectionFigures, ...]
    money: Spending
    phases: tuple[PhaseSpending, ...]
    """The money's lines, summed over iterations."""
    steps: tuple[LineageStep, ...]
    origin: dict[str, str]
    """Versions, hashes, seeds."""
    settings: dict[str, str]
    """The run file, key by key."""
    off_policy: OffPolicyResults | None = None
    """Values on held-out rows of a log."""
    off_policy_notes: tuple[str, ...] = ()
    """What they rest on."""
    other_logs: tuple[LoggedValues, ...] = ()
    """The same of further logs."""
    shares: dict[int, Interval] = msgspec.field(default_factory=dict[int, Interval])
    """Iteration -> how much of the way from the base's test regret to the limit its model has gone;
    empty where no limit is known."""
