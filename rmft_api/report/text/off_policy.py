"""What a log's held-out rows say of a run, as people read it and as programs do."""

from collections.abc import Iterator, Sequence
from typing import Any

from rmft_api.core.records import Interval
from rmft_api.evaluation.off_policy import OffPolicyResults, PolicyValue, verdict
from rmft_api.evaluation.scoring import Results
from rmft_api.report.text.columns import paragraph, table

HEADINGS = ("", "policy", "IPS", "SNIPS", "DR", "DR over base", "worth rows", "valid")


def of_results(results: Results) -> tuple[OffPolicyResults, ...]:
    """The tables of a run, one for each log."""
    return () if results.off_policy is None else (results.off_policy, *results.other_logs)


def off_policy_table(results: Results) -> str:
    """Values on held-out rows; empty where there is no log."""
    champion = results.champion.index
    tables = (_table(one, notes(results, one), champion) for one in of_results(results))
    return "\n\n".join(tables)


def of_evaluation(every: Sequence[OffPolicyResults]) -> Iterator[str]:
    """The tables of an evaluation; the first model is what others are held against."""
    for found in every:
        yield _table(found, found.notes, None)


def _table(found: OffPolicyResults, lines: Sequence[str], champion: int | None) -> str:
    title = (
        f"mean reward for each decision on {found.rows:,} held-out rows of {found.file} "
        f"(T={found.rounds}) [95 % CI], not simulated (docs/method.md 5)"
    )
    headings = HEADINGS if champion is not None else (*HEADINGS[:5], "DR over first", *HEADINGS[6:])
    rows = [headings, *(_row(one, champion) for one in found.players)]
    shown = table(rows, words=4, optional=("IPS", "SNIPS"), foot=0)
    return "\n".join([title, "", shown, "", *(paragraph(line) for line in lines)])


def notes(results: Results, found: OffPolicyResults) -> tuple[str, ...]:
    """What a table rests on, and whether it agrees with the simulation."""
    said = verdict(found, results.champion.index, _simulated(results, found))
    return (*((said,) if said else ()), *found.notes)


def _simulated(results: Results, found: OffPolicyResults) -> Interval | None:
    """The champion's drop of regret; of several logs, on the one's own scenarios."""
    best = next(one for one in results.iterations if one.index == results.champion.index)
    if best.test is None:
        return None
    group = best.test.groups.get(found.problem) if results.other_logs else None
    return best.test.paired_drop if group is None else group.paired_drop


def off_policy_json(results: Results) -> dict[str, Any] | None:
    """One object; null where there is no log."""
    if results.off_policy is None:
        return None
    return _json(results.off_policy, notes(results, results.off_policy))


def other_logs_json(results: Results) -> list[dict[str, Any]]:
    """The same of further logs."""
    return [_json(one, notes(results, one)) for one in results.other_logs]


def _json(found: OffPolicyResults, lines: Sequence[str]) -> dict[str, Any]:
    return {
        "file": found.file,
        "rows": found.rows,
        "prompts": found.prompts,
        "histories": found.histories,
        "rounds": found.rounds,
        "policies": [_policy_json(one) for one in found.players],
        "notes": lines,
        "problem": found.problem,
    }


def _row(one: PolicyValue, champion: int | None) -> tuple[str, ...]:
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
