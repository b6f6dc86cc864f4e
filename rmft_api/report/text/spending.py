"""Planned against actual, as people read it and as programs do."""

from typing import Any

import msgspec

from rmft_api.planning import Cost, ObservedReplies, PhaseSpending, Spending
from rmft_api.report.text.columns import paragraph, table

HEADINGS = (
    *("phase", "state", "calls", "prompt", "output", "trained"),
    *("planned $", "spent $", "reserved $", "heading $"),
)
_OPTIONAL = ("state", "calls", "output", "prompt")


def spending_table(found: Spending) -> str:
    """A row for each kind of phase, and their sum."""
    rows = [HEADINGS, *map(_row, found.by_phase()), _total(found)]
    lines = "planned and actual; counts of calls and tokens are actual / planned"
    foot = "" if found.observed is None else f"\n\n{paragraph(_replies_in_words(found.observed))}"
    return f"{lines}\n\n{table(rows, words=2, optional=_OPTIONAL)}{foot}"


def spending_data(found: Spending) -> dict[str, Any]:
    """For programs: US dollars, null is "unknown"."""
    return {
        "phases": [_line_data(line) for line in found.lines],
        "planned_usd": _cost_data(found.planned),
        "spent_usd": found.spent / 1e6,
        "reserved_usd": found.reserved / 1e6,
        "budget_usd": _dollars(found.cap),
        "projected_usd": _dollars(found.projected),
        "replies": None if found.observed is None else msgspec.to_builtins(found.observed),
    }


def _replies_in_words(observed: ObservedReplies) -> str:
    if observed.assumed is None:
        return f"replies have {observed.tokens:.1f} tokens"
    return (
        f"replies have {observed.tokens:.1f} tokens, the plan assumed {observed.assumed:.1f}; "
        "what is ahead is projected with the real ones"
    )


def _line_data(line: PhaseSpending) -> dict[str, Any]:
    return {
        "phase": line.phase,
        "iteration": line.iteration,
        "state": line.state,
        "planned": None if line.planned is None else msgspec.to_builtins(line.planned),
        "planned_usd": _cost_data(line.planned_cost),
        "actual": msgspec.to_builtins(line.actual),
        "spent_usd": line.spent / 1e6,
        "reserved_usd": line.reserved / 1e6,
        "projected_usd": _dollars(line.projected),
    }


def _cost_data(cost: Cost | None) -> dict[str, float | None] | None:
    if cost is None:
        return None
    named = (("low", cost.low), ("expected", cost.expected), ("worst", cost.worst))
    return {name: _dollars(amount) for name, amount in named}


def _row(line: PhaseSpending) -> tuple[str, ...]:
    planned, actual = line.planned, line.actual
    return (
        line.phase,
        line.state,
        _of(actual.calls, planned and planned.calls),
        _of(actual.prompt_tokens, planned and planned.prompt_tokens),
        _of(actual.output_tokens, planned and planned.output_tokens),
        _of(actual.trained_tokens, planned and planned.trained_tokens),
        "" if line.planned_cost is None else _cents(line.planned_cost.expected),
        _cents(line.spent),
        _cents(line.reserved) if line.reserved else "",
        _cents(line.projected),
    )


def _total(found: Spending) -> tuple[str, ...]:
    planned = "" if found.planned is None else _cents(found.planned.expected)
    reserved = _cents(found.reserved) if found.reserved else ""
    counts = ("",) * 4
    return ("total", "", *counts, planned, _cents(found.spent), reserved, _cents(found.projected))


def _of(actual: int | None, planned: int | None) -> str:
    """Actual / planned, short; empty where there is neither."""
    if not actual and not planned:
        return ""
    return f"{_short(actual)} / {_short(planned)}"


def _short(number: int | None) -> str:
    """A count in four characters or so."""
    if number is None:
        return "?"
    for size, unit in ((1_000_000, "M"), (10_000, "k")):
        if number >= size:
            return f"{number / (size if unit == 'M' else 1000):.4g}{unit}"
    return str(number)


def _cents(micro: int | None) -> str:
    if micro is None:
        return "unknown"
    return "<0.01" if 0 < micro < 5_000 else f"{micro / 1e6:,.2f}"


def _dollars(micro: int | None) -> float | None:
    return None if micro is None else micro / 1e6
