"""The data of a page of several players: of an evaluation, or of several runs."""

from rmft_api.core.records import Interval, Record, Split
from rmft_api.evaluation.comparison import Axis
from rmft_api.evaluation.family import FamilyResults
from rmft_api.planning import PhaseSpending, Spending
from rmft_api.report.data import Curve, Fact, Headline, Measures, State


class ComparedPlayer(Record, frozen=True):
    """One model or known algorithm."""

    name: str
    model: str | None
    """None for a known algorithm."""
    scenarios: int
    regret: Interval
    drop: Interval | None
    """Regret of the first model (of its own base, in several runs) less its own."""
    measures: Measures
    curves: tuple[Curve, ...]
    only: tuple[str, ...] = ()
    """The problems that its figures are of, where it cannot play all."""
    share_of_possible: Interval | None = None
    """(base - model) / (base - limit), where a limit is known."""


class ComparedPair(Record, frozen=True):
    """Two players on the same scenarios: above 0, `one` has the lower regret."""

    family: str
    one: str
    other: str
    scenarios: int | None
    drop: Interval
    p: float
    p_holm: float


class ChainPoint(Record, frozen=True):
    """One iteration of a run."""

    x: int
    mean: float
    low: float
    high: float
    champion: bool


class RegretChain(Record, frozen=True):
    """Regret by iteration of one run."""

    name: str
    split: Split
    points: tuple[ChainPoint, ...]


class RunCost(Record, frozen=True):
    """One run beside others."""

    name: str
    state: State
    stage: str
    champion: str
    seed: int
    base: str
    spent: int
    """Micro-dollars."""
    settings: dict[str, str]
    """Where its settings differ from those of the first run."""


class GridCell(Record, frozen=True):
    """One cell of an ablation grid: the champions of all its seeds, on their test scenarios."""

    name: str
    says: str
    """What it is there for."""
    changes: dict[str, str]
    """What it sets, by key."""
    runs: int
    """How many of its seeds are in these figures."""
    of: int
    """How many seeds it has."""
    scenarios: int
    regret: Interval
    drop: Interval
    """Paired, from the base."""
    lower_than_first: Interval | None
    """How far its regret is below the first cell's, on the same scenarios; None for the first."""
    p: float | None
    p_holm: float | None
    suff_fail_freq: float | None
    k_min_frac: float
    valid: float


class ComparedReport(Record, frozen=True, tag_field="kind", tag="compared"):
    """Everything but the trajectories."""

    run: str
    """The evaluation's name, or all runs'."""
    about: str
    state: State
    stage: str
    made_at: int
    headline: Headline
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    players: tuple[ComparedPlayer, ...]
    pairs: tuple[ComparedPair, ...]
    axes: tuple[Axis, ...]
    chains: tuple[RegretChain, ...] = ()
    runs: tuple[RunCost, ...] = ()
    money: Spending | None = None
    phases: tuple[PhaseSpending, ...] = ()
    family: FamilyResults | None = None
    """Of seeds of one run file: each, and everybody over all of them."""
    cells: tuple[GridCell, ...] = ()
    """Of an ablation grid."""
