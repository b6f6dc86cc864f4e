"""A comparison as people read it, and as programs do: its plan, its standings."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from rmft_api.core.records import Interval
from rmft_api.evaluation.comparison import (
    AxisCell,
    ComparisonResults,
    PairedDifference,
    PlayerResult,
)
from rmft_api.evaluation.measures import MOSTLY_READ
from rmft_api.planning import ComparisonPlan
from rmft_api.report.text import off_policy
from rmft_api.report.text.columns import paragraph, table
from rmft_api.report.text.own import own_measures
from rmft_api.report.text.plan import dollars
from rmft_api.report.text.results import limit_in_words, share_in_words

PLAYERS = (
    "player",
    "model",
    "regret [95 % CI]",
    "drop to first",
    "of possible",
    "SuffFail",
    "K x MinFrac",
    "valid",
)
PLAN = ("player", "profile", "calls", "prompt", "output", "low $", "expected $", "worst $")
COLUMNS = (
    *("contest", "suite", "player", "model", "axis", "value", "trained", "scenarios"),
    *("regret", "regret_low", "regret_high", "drop", "drop_low", "drop_high"),
    *("suff_fail_freq", "k_min_frac", "valid"),
)


def standings_table(found: ComparisonResults) -> str:
    """Players, then pairs, then an axis after the other."""
    logs = off_policy.of_evaluation(found.off_policy)
    own = own_measures([(one.label, one.figures) for one in found.players])
    parts = [_title(found), _players(found), own, *_pairs(found), *_axes(found), *logs]
    return "\n\n".join(part for part in parts if part)


def standings_csv(found: ComparisonResults) -> str:
    """One row for each player over the whole suite, and on every value of every axis."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_csv_rows(found))
    return out.getvalue()


def plan_table(plan: ComparisonPlan) -> str:
    """A row for each player, and their sum."""
    rows = [PLAN, *_plan_rows(plan)]
    notes = [
        f"a reply is assumed to have {plan.reply_tokens} tokens; tokens are counted by "
        + ", ".join(dict.fromkeys(prepared.counted_by for prepared in plan.players)),
        *(f"warning: {warning}" for warning in plan.warnings),
    ]
    title = f"evaluation {plan.contest} of suite {plan.suite}: {len(plan.players)} models"
    return "\n".join([title, "", table(rows, words=2), "", *notes])


def plan_json(plan: ComparisonPlan) -> str:
    """One JSON object; money in micro-dollars, null is "unknown"."""
    return msgspec.json.encode(plan).decode()


def _plan_rows(plan: ComparisonPlan) -> Iterator[tuple[str, ...]]:
    for prepared in plan.players:
        for phase in prepared.phases:
            label = prepared.label if phase.name == "test" else f"{prepared.label}: {phase.name}"
            counts = (phase.calls, phase.prompt_tokens, phase.output_tokens)
            costs = (phase.cost.low, phase.cost.expected, phase.cost.worst)
            yield (label, prepared.profile, *(f"{n:,}" for n in counts), *map(dollars, costs))
    costs = (plan.total.low, plan.total.expected, plan.total.worst)
    yield ("total", "", "", "", "", *map(dollars, costs))


def _title(found: ComparisonResults) -> str:
    said = f"{found.scenarios} scenarios x {found.trajectories} plays"
    missing = f"; not yet played: {', '.join(found.missing)}" if found.missing else ""
    return paragraph(
        f"{found.contest}: suite {found.suite}, {said}. {found.about}{missing}".strip()
    )


def _players(found: ComparisonResults) -> str:
    place = PLAYERS.index("of possible")
    rows = [PLAYERS, *(_player(one) for one in found.players)]
    if found.limit is None:
        rows = [(*row[:place], *row[place + 1 :]) for row in rows]
    else:
        name = "(nearly the least, only some)" if found.limit.only else "(nearly the least)"
        rows.append(("limit", name, *_player(PlayerResult("", None, found.limit))[2:]))
    words = place if found.limit is None else place + 1
    optional = ("model", "K x MinFrac", "SuffFail", "of possible")
    shown = table(rows, words=words, optional=optional, foot=0)
    return "\n".join([shown, *_warnings(found)])


def _warnings(found: ComparisonResults) -> Iterator[str]:
    """Whose regret is in doubt, or of some problems alone, one line each."""
    warned = [
        paragraph(f"warning: {one.label}: {lines}")
        for one in found.players
        for lines in one.warnings
    ]
    warned += [
        paragraph(f"{one.label} can play {', '.join(one.figures.only)} alone: pairs are over those")
        for one in found.players
        if one.figures.only
    ]
    if found.stopped:
        warned.append(paragraph(f"stopped: {found.stopped}"))
    warned += [paragraph(note) for note in found.notes]
    warned += [paragraph(line) for line in limit_in_words(found.limit, found.limit_notes)]
    yield from ("", *warned) if warned else ()


def _player(one: PlayerResult) -> tuple[str, ...]:
    figures = one.figures
    return (
        one.label,
        one.model or ("(algorithm, only some)" if figures.only else "(algorithm)"),
        _interval(figures.regret),
        _interval(figures.paired_drop) if one.model else "",
        share_in_words(one.share_of_possible),
        "" if figures.suff_fail_freq is None else f"{figures.suff_fail_freq:.2f}",
        f"{figures.k_min_frac:.2f}",
        f"{figures.valid:.1%}" if one.model else "",
    )


def _pairs(found: ComparisonResults) -> Iterator[str]:
    """Pairs of models, then models against algorithms: each family is corrected by itself."""
    models = {one.label for one in found.players if one.model}
    families = (
        ("models, pair by pair", [p for p in found.pairs if p.other in models]),
        ("models against known algorithms", [p for p in found.pairs if p.other not in models]),
    )
    for title, pairs in families:
        if pairs:
            rows = [("", "is better by", "p (Holm)", ""), *map(_pair, pairs)]
            said = "95 % for all of them together"
            yield f"{title}: {said}\n\n{table(rows, words=4, foot=0)}"


def _pair(pair: PairedDifference) -> tuple[str, ...]:
    better = pair.p_holm < 0.05
    verdict = ("yes" if pair.drop.mean > 0 else "no, it is worse") if better else "not clear"
    if not pair.drop.known:
        verdict = "too few scenarios"
    return (f"{pair.one} than {pair.other}", _interval(pair.drop), f"{pair.p_holm:.3f}", verdict)


def _axes(found: ComparisonResults) -> Iterator[str]:
    labels = [one.label for one in found.players]
    known = [c.trained for a in found.axes for line in a.lines for c in line.cells.values()]
    for axis in found.axes:
        rows = [(axis.name, "scenarios", *labels)]
        for line in axis.lines:
            cells = (_cell(line.cells.get(label)) for label in labels)
            rows.append((line.value, str(line.scenarios), *cells))
        yield table(rows, words=1, foot=0)
    if any(one is not None for one in known):
        yield "+ trained on this value, - never met it in training"
    cells = [c for a in found.axes for line in a.lines for c in line.cells.values()]
    if any(cell.valid < MOSTLY_READ for cell in cells):
        yield paragraph(
            f"! fewer than {MOSTLY_READ:.0%} of the replies could be read: each other one counts "
            "as the worst action"
        )


def _cell(cell: AxisCell | None) -> str:
    if cell is None:
        return ""
    mark = {True: " +", False: " -", None: ""}[cell.trained]
    return f"{cell.regret.mean:.2f}{' !' if cell.valid < MOSTLY_READ else ''}{mark}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else str(interval)


def _csv_rows(found: ComparisonResults) -> Iterator[tuple[Any, ...]]:
    for one in found.players:
        head = (found.contest, found.suite, one.label, one.model or "")
        f = one.figures
        shares = (f.suff_fail_freq, f.k_min_frac, f.valid)
        whole = (*_numbers(f.regret), *_numbers(f.paired_drop if one.model else None))
        yield (*head, "some" if f.only else "all", "", "", f.scenarios, *whole, *shares)
        for axis in found.axes:
            for line in axis.lines:
                cell = line.cells.get(one.label)
                if cell is None:
                    continue
                trained = "" if cell.trained is None else str(cell.trained).lower()
                numbers = (*_numbers(cell.regret), *_numbers(cell.drop if one.model else None))
                yield (
                    *head,
                    axis.name,
                    line.value,
                    trained,
                    line.scenarios,
                    *numbers,
                    "",
                    "",
                    cell.valid,
                )


def _numbers(interval: Interval | None) -> tuple[Any, Any, Any]:
    if interval is None:
        return ("", "", "")
    return (
        (interval.mean, interval.low, interval.high) if interval.known else (interval.mean, "", "")
    )
