"""What a log's held-out rows say of a run, as people read it and as programs do."""

from typing import Any

from rmft_api.core.records import Interval
from rmft_api.evaluation.off_policy import PolicyValue, verdict
from rmft_api.evaluation.scoring import Results
from rmft_api.report.text.columns import paragraph, table

HEADINGS = ("", "policy", "IPS", "SNIPS", "DR", "DR over base", "worth rows", "valid")


def off_policy_table(results: Results) -> str:
    """Values on held-out rows; empty where there is no log."""
    found = results.off_policy
    if found is None:
        return ""
    title = (
        f"mean reward for each decision on {found.rows:,} held-out rows of {found.file} "
        "[95 % CI], not simulated (docs/method.md 5)"
    )
    rows = [HEADINGS, *(_row(one, results.champion.index) for one in found.players)]
    lines = (paragraph(line) for line in notes(results))
    return "\n".join(
        [title, "", table(rows, words=4, optional=("IPS", "SNIPS"), foot=0), "", *lines]
    )


def notes(results: Results) -> tuple[str, ...]:
    """What the table rests on, and whether it agrees with the simulation."""
    if results.off_policy is None:
        return ()
    best = next(one for one in results.iterations if one.index == results.champion.index)
    drop = None if best.test is None else best.test.paired_drop
    said = verdict(results.off_policy, results.champion.index, drop)
    return (*((said,) if said else ()), *results.off_policy.notes)


def off_policy_json(results: Results) -> dict[str, Any] | None:
    """One object; null where there is no log."""
    found = results.off_policy
    if found is None:
        return None
    return {
        "file": found.file,
        "rows": found.rows,
        "prompts": found.prompts,
        "histories": found.histories,
        "rounds": found.rounds,
        "policies": [_policy_json(one) for one in found.players],
        "notes": notes(results),
    }


def _row(one: PolicyValue, champion: int) -> tuple[str, ...]:
    mark = "" if one.index is None else f"{'*' if one.index == champion else ' '}{one.index}"
    return (
        mark,
        one.name,
        _in_words(one.ips),
        _in_words(one.snips),
        _in_words(one.dr),
        "" if one.over_base is None else _in_words(one.over_base),
        f"{one.effective_rows:,.0f}",
        "" if one.valid is None else f"{one.valid:.1%}",
    )


def _in_words(interval: Interval) -> str:
    if not interval.known:
        return f"{_thousandths(interval.mean)} (too few)"
    low, high = _thousandths(interval.low), _thousandths(interval.high)
    return f"{_thousandths(interval.mean)} [{low}, {high}]"


def _thousandths(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # + 0.0: what rounds to 0 has no sign


def _policy_json(one: PolicyValue) -> dict[str, Any]:
    return {
        "name": one.name,
        "index": one.index,
        "ips": _interval(one.ips),
        "snips": _interval(one.snips),
        "dr": _interval(one.dr),
        "dr_over_base": None if one.over_base is None else _interval(one.over_base),
        "effective_rows": one.effective_rows,
        "largest_weight": one.largest_weight,
        "valid": one.valid,
    }


def _interval(interval: Interval) -> dict[str, Any]:
    ends = [interval.low, interval.high] if interval.known else None
    return {"mean": interval.mean, "ci95": ends}
