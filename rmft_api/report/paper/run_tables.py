"""The tables of a run and of an evaluation, with the figures that `report` shows."""

import math
from collections.abc import Iterable, Iterator

from rmft_api.core.records import Interval
from rmft_api.evaluation.comparison import Axis, ComparisonResults, PairedDifference
from rmft_api.evaluation.off_policy import OffPolicyResults
from rmft_api.evaluation.scoring import Evaluated, Figures, Results
from rmft_api.evaluation.selection_summary import Share
from rmft_api.planning import PhaseSpending
from rmft_api.report.data import Difference, ReportData
from rmft_api.report.paper.tables import Cell, Column, PaperTable, Starred

STARS = ((0.001, 3), (0.01, 2), (0.05, 1))
INTERVALS = (
    "Means over scenarios with 95 % confidence intervals in brackets; "
    "differences are paired by scenario."
)
STARRED_INTERVAL = "* the 95 % interval of the paired difference excludes 0."
STARRED_P = "* p < 0.05, ** p < 0.01, *** p < 0.001, paired, corrected within a family (Holm)."
LIMIT = (
    "limit: nearly the least mean regret possible for problems drawn like these; of possible: the "
    "share of the way from the base's regret to it."
)
CHAMPION = "Bold: the champion, chosen by validation regret."
_SHARES = (Column("SuffFail"), Column("K x MinFrac"), Column("valid", 3))
_PLAYER = Column("player", is_text=True)


def of_run(results: Results, report: ReportData) -> Iterator[PaperTable]:
    """Every table of `report RUN` and of its page; those that would be empty are left out."""
    made = (
        _results(results),
        _differences(report.differences, results.run),
        _over_time(results),
        _measures(report),
        _own_measures(results),
        _selections(results),
        *_off_policy(results),
        _spending(report.phases, results.run),
    )
    yield from (one for one in made if one.rows)


def of_comparison(found: ComparisonResults) -> Iterator[PaperTable]:
    """Every table of an evaluation."""
    made = (_players(found), _pairs(found), *(_axis(found, axis) for axis in found.axes))
    yield from (one for one in made if one.rows)


def _results(results: Results) -> PaperTable:
    models = [one for one in results.iterations if one.test is not None]
    rivals = results.baselines.items() if models else ()
    rows = [_model_row(one) for one in models]
    limit = {} if results.limit is None or not models else {"limit": results.limit}
    rows += [("", name, *_cells(one), None, None) for name, one in (*rivals, *limit.items())]
    champion = [i for i, one in enumerate(models) if one.index == results.champion.index]
    return PaperTable(
        name="results",
        title=f"Regret on held-out test scenarios, run {results.run}",
        columns=(Column("iteration", is_text=True), Column("model", is_text=True), *_figures()),
        rows=tuple(rows),
        notes=(INTERVALS, STARRED_INTERVAL, CHAMPION, *((LIMIT,) if limit else ())),
        strong=frozenset(champion),
    )


def _figures() -> tuple[Column, ...]:
    return (Column("regret"), Column("drop to base"), *_SHARES, Column("of possible"))


def _model_row(one: Evaluated) -> tuple[Cell, ...]:
    assert one.test is not None
    share = one.share_of_possible
    return (str(one.index), one.model, *_cells(one.test), one.test.valid, share)


def _cells(figures: Figures) -> tuple[Cell, ...]:
    drop = None if figures.paired_drop is None else _starred(figures.paired_drop)
    return (figures.regret, drop, figures.suff_fail_freq, figures.k_min_frac)


def _starred(drop: Interval) -> Starred:
    return Starred(drop, int(drop.known and (drop.low > 0 or drop.high < 0)))


def _stars(p: float) -> int:
    return next((stars for limit, stars in STARS if p < limit), 0)


def _differences(found: Iterable[Difference], run: str) -> PaperTable:
    return PaperTable(
        name="paired_differences",
        title=f"Paired differences of regret, run {run}",
        columns=(
            *(Column(name, is_text=True) for name in ("family", "player", "against", "split")),
            Column("scenarios"),
            Column("lower by"),
            Column("p", 4),
            Column("p (Holm)", 4),
        ),
        rows=tuple(
            (
                *(one.family, one.ours, one.other, one.split, one.scenarios),
                *(Starred(one.drop, _stars(one.p_holm)), one.p, one.p_holm),
            )
            for one in found
        ),
        notes=("Above 0 the player has the lower regret.", STARRED_P),
    )


def _over_time(results: Results) -> PaperTable:
    players = [(str(o.index), o.model, o.test) for o in results.iterations if o.test is not None]
    rivals = [("", name, one) for name, one in results.baselines.items()]
    rows = [
        (index, name, horizon, one.growth, one.halves, one.locked, one.verdict)
        for index, name, figures in (*players, *rivals)
        for horizon, one in figures.over_time.items()
    ]
    texts = ("iteration", "player", "rounds")
    return PaperTable(
        name="regret_over_time",
        title=f"Whether regret is sublinear, run {results.run}",
        columns=(
            *(Column(name, is_text=True) for name in texts),
            *(Column(name) for name in ("log-log slope", "1st - 2nd half", "lock-in")),
            Column("regret", is_text=True),
        ),
        rows=tuple(rows),
        notes=("Regret falls where the slope is below 1 and the second half costs less a round.",),
    )


def _measures(report: ReportData) -> PaperTable:
    names = {name: None for p in report.players for name in p.measures}
    return PaperTable(
        name="measures",
        title=f"All measures of all players, run {report.run}",
        columns=(_PLAYER, Column("split", is_text=True), *(Column(name) for name in names)),
        rows=tuple(
            (
                p.name if p.index is None else f"iteration {p.index}",
                p.split,
                *(_measure(p.measures.get(name)) for name in names),
            )
            for p in report.players
            if p.measures
        ),
        notes=(INTERVALS,),
    )


def _measure(found: Interval | None) -> Cell:
    """An entropy has no interval at all: its mean alone."""
    return found if found is None or not math.isnan(found.low) else found.mean


def _own_measures(results: Results) -> PaperTable:
    models = [(f"iteration {o.index}", o.test) for o in results.iterations if o.test is not None]
    players = [*models, *results.baselines.items()]
    names = list(dict.fromkeys(name for _, one in players for name in one.own))
    rows = tuple((who, *(one.own.get(name) for name in names)) for who, one in players)
    return PaperTable(
        name="own_measures",
        title=f"Measures of our own, run {results.run}",
        columns=(_PLAYER, *(Column(name) for name in names)),
        rows=rows if names else (),
        notes=(INTERVALS,),
    )


def _selections(results: Results) -> PaperTable:
    parts = [
        (one.index, name, share)
        for one in results.iterations
        if one.made_from is not None
        for name, share in (("played", one.made_from.all), ("selected", one.made_from.kept))
        if share is not None
    ]
    numbers = ("regret", "SuffFail", "K x MinFrac", "greedy", "best", "reward", "entropy", "delay")
    return PaperTable(
        name="selections",
        title=f"Training trajectories: all that were played and those selected, run {results.run}",
        columns=(
            *(Column("iteration"), Column("set", is_text=True), Column("plays")),
            *(Column(name) for name in numbers),
            Column("valid", 3),
        ),
        rows=tuple((index, name, *_share(share)) for index, name, share in parts),
    )


def _share(share: Share) -> Iterator[Cell]:
    m = share.measures
    yield from (m.plays, share.regret, m.suff_fail_freq, m.k_min_frac, m.greedy_frac)
    yield from (m.best_share, m.median_reward, m.answer_entropy, m.switch_delay, m.valid)


def _off_policy(results: Results) -> Iterator[PaperTable]:
    """A table for each log; the first is called as it is where there is one alone."""
    logs = () if results.off_policy is None else (results.off_policy, *results.other_logs)
    for place, found in enumerate(logs, start=1):
        rounds = f", T = {found.rounds}" if len(logs) > 1 else ""
        yield _of_log(found, "off_policy" if place == 1 else f"off_policy_{place}", rounds, results)


def _of_log(found: OffPolicyResults, name: str, rounds: str, results: Results) -> PaperTable:
    numbers = ("IPS", "SNIPS", "DR", "DR over base")
    where = f"{found.rows:,} held-out rows of {found.file}{rounds}"
    return PaperTable(
        name=name,
        title=f"Mean reward of a decision on {where}, run {results.run}",
        columns=(
            *(Column("iteration", is_text=True), Column("policy", is_text=True)),
            *(Column(number, 3) for number in numbers),
            *(Column("worth rows", 0), Column("valid", 3)),
        ),
        rows=tuple(
            (
                *("" if one.index is None else str(one.index), one.name),
                *(one.ips, one.snips, one.dr),
                *(None if one.over_base is None else _starred(one.over_base),),
                *(one.effective_rows, one.valid),
            )
            for one in found.players
        ),
        notes=("95 % confidence intervals in brackets.", STARRED_INTERVAL),
    )


def _spending(phases: Iterable[PhaseSpending], run: str) -> PaperTable:
    counts = ("calls", "prompt tokens", "output tokens", "trained tokens")
    return PaperTable(
        name="spending",
        title=f"Requests, tokens and money, run {run}",
        columns=(
            Column("phase", is_text=True),
            *(Column(name, 0) for name in counts),
            *(Column("planned $"), Column("spent $")),
        ),
        rows=tuple(
            (
                *(one.phase, one.actual.calls, one.actual.prompt_tokens),
                *(one.actual.output_tokens, one.actual.trained_tokens),
                None if one.planned_cost is None else _dollars(one.planned_cost.expected),
                one.spent / 1e6,
            )
            for one in phases
        ),
    )


def _dollars(micro: int | None) -> float | None:
    return None if micro is None else micro / 1e6


def _players(found: ComparisonResults) -> PaperTable:
    rows = tuple(
        (one.label, one.model or "(algorithm)", *_cells(one.figures), one.figures.valid)
        for one in found.players
    )
    columns = (_PLAYER, Column("model", is_text=True), Column("regret"), Column("drop to first"))
    return PaperTable(
        name="players",
        title=f"Regret of every player on suite {found.suite}, evaluation {found.contest}",
        columns=(*columns, *_SHARES),
        rows=rows,
        notes=(INTERVALS, STARRED_INTERVAL),
    )


def _pairs(found: ComparisonResults) -> PaperTable:
    models = {one.label for one in found.players if one.model}
    return PaperTable(
        name="pairs",
        title=f"Players against each other on suite {found.suite}, evaluation {found.contest}",
        columns=(
            *(Column(name, is_text=True) for name in ("family", "player", "against")),
            *(Column("lower by"), Column("p", 4), Column("p (Holm)", 4)),
        ),
        rows=tuple(_pair(one, models) for one in found.pairs),
        notes=("Intervals hold for a whole family together.", STARRED_P),
    )


def _pair(one: PairedDifference, models: set[str]) -> tuple[Cell, ...]:
    family = "models" if one.other in models else "algorithms"
    drop = Starred(one.drop, _stars(one.p_holm) if one.drop.known else 0)
    return (family, one.one, one.other, drop, one.p, one.p_holm)


def _axis(found: ComparisonResults, axis: Axis) -> PaperTable:
    labels = [one.label for one in found.players]
    return PaperTable(
        name=f"by_{axis.name}",
        title=f"Regret by {axis.name}, suite {found.suite}, evaluation {found.contest}",
        columns=(
            *(Column(axis.name, is_text=True), Column("scenarios")),
            *(Column(label) for label in labels),
        ),
        rows=tuple(
            (
                line.value,
                line.scenarios,
                *(line.cells[label].regret if label in line.cells else None for label in labels),
            )
            for line in axis.lines
        ),
        notes=(INTERVALS,),
    )
