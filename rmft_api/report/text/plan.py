"""A plan as people read it, and as programs do."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from rmft_api.planning import Cost, GridPlan, Phase, RunPlan
from rmft_api.planning.plan import BatchSavings
from rmft_api.report.text.columns import paragraph, table
from rmft_api.report.text.open_model import open_plan

HEADINGS = (
    *("iter", "phase", "model", "calls", "prompt", "cached", "output", "trained"),
    *("low $", "expected $", "worst $", "time"),
)
GRID = ("run", "changes", "low $", "expected $", "worst $", "time")
_OPTIONAL = ("cached", "calls", "model", "output", "prompt", "low $")


def plan_table(plan: RunPlan) -> str:
    """The phases, their total, and what they rest on."""
    warmed = any(phase.name == "warm-up" for phase in plan.phases)
    rows = [HEADINGS, *(_row(phase, warmed=warmed) for phase in plan.phases), _total(plan)]
    phases = table(rows, words=3, optional=_OPTIONAL)
    mine = [] if plan.open_model is None else [open_plan(plan.open_model)]
    return "\n".join([_title(plan), "", phases, *mine, "", *map(paragraph, _notes(plan))])


def in_short(plan: RunPlan) -> str:
    """What a run is expected to come to, in a line."""
    cost = plan.total
    within = "" if plan.budget is None else f" of a budget of ${dollars(plan.budget)}"
    return (
        f"plan: ${dollars(cost.expected)} expected, ${dollars(cost.worst)} at worst{within}; a "
        f"crash wastes at most ${dollars(plan.crash)}; "
        f"time {duration(plan.seconds)}, until {plan.ends}"
    )


def plan_json(plan: RunPlan) -> str:
    """One JSON object; money in US dollars, null is "unknown"."""
    return msgspec.json.encode(_plan_json(plan)).decode()


def grid_table(plan: GridPlan) -> str:
    """A row for each run of a grid with what it changes, and their sum."""
    rows = [GRID, *_grid_rows(plan)]
    notes = [paragraph(f"warning: {warning}") for warning in plan.against_it()]
    return "\n".join([table(rows, words=2), *(("", *notes) if notes else ())])


def grid_json(plan: GridPlan) -> str:
    """One JSON object; money in US dollars, null is "unknown"."""
    runs = [
        {"cell": run.cell, "seed": run.seed, "set": run.changes, "plan": _plan_json(run.plan)}
        for run in plan.runs
    ]
    whole = {"total_usd": cost_json(plan.total), "seconds": plan.seconds, "refusal": plan.refusal}
    whole["budget_usd"] = _dollars(plan.budget)
    return msgspec.json.encode({"runs": runs, **whole}).decode()


def _grid_rows(plan: GridPlan) -> Iterator[tuple[str, ...]]:
    for run in plan.runs:
        changes = ", ".join(f"{key} = {value!r}" for key, value in run.changes.items())
        costs = _amounts(run.plan.total)
        yield run.plan.run, changes or "as the base file says", *costs, duration(run.plan.seconds)
    yield "total", "", *_amounts(plan.total), duration(plan.seconds)


def _plan_json(plan: RunPlan) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(plan)
    names = ("phases", "total", "saves", "crash", "budget", "batches")
    rest = {name: value for name, value in raw.items() if name not in names}
    return {
        **rest,
        "phases": [_phase_json(phase) for phase in plan.phases],
        "total_usd": cost_json(plan.total),
        "saves_usd": {name: _dollars(value) for name, value in raw["saves"].items()},
        "crash_usd": _dollars(plan.crash),
        "budget_usd": _dollars(plan.budget),
        "batches": _batches_json(plan.batches),
    }


def dollars(micro: int | None) -> str:
    """To the cent; what is less than one is said to be."""
    if micro is None:
        return "unknown"
    return "<0.01" if 0 < micro < 5_000 else f"{micro / 1e6:,.2f}"


def _phase_json(phase: Phase) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(phase)
    del raw["cost"]
    return {**raw, "usd": cost_json(phase.cost)}


def cost_json(cost: Cost) -> dict[str, float | None]:
    """In US dollars; None: unknown."""
    return {
        "low": _dollars(cost.low),
        "expected": _dollars(cost.expected),
        "worst": _dollars(cost.worst),
    }


def _dollars(micro: int | None) -> float | None:
    return None if micro is None else micro / 1e6


def _title(plan: RunPlan) -> str:
    base = f"{plan.model} (iteration 0)"
    if any(phase.name == "warm-up" for phase in plan.phases):
        base = f"{plan.model}, warmed up (iteration 0),"
    return (
        f"run {plan.run} at {plan.profile}: {base} and its fine-tunes; {plan.begins} to {plan.ends}"
    )


def _row(phase: Phase, *, warmed: bool) -> tuple[str, ...]:
    base = "base" if phase.model < 0 or not warmed else "0"
    tokens = (phase.prompt_tokens, phase.cached_tokens, phase.output_tokens)
    return (
        "" if phase.iteration < 0 else str(phase.iteration),
        phase.name,
        str(phase.model) if phase.model > 0 else base,
        count(phase.calls),
        *map(count, tokens),
        "unknown" if phase.trained_tokens is None else count(phase.trained_tokens),
        *_amounts(phase.cost),
        duration(phase.seconds) if phase.name != "hosting" else "",
    )


def _total(plan: RunPlan) -> tuple[str, ...]:
    phases = plan.phases
    trained = [phase.trained_tokens for phase in phases]
    known = [tokens for tokens in trained if tokens is not None]
    return (
        "total",
        "",
        "",
        count(sum(phase.calls for phase in phases)),
        count(sum(phase.prompt_tokens for phase in phases)),
        count(sum(phase.cached_tokens for phase in phases)),
        count(sum(phase.output_tokens for phase in phases)),
        count(sum(known)) if len(known) == len(trained) else "unknown",
        *_amounts(plan.total),
        duration(plan.seconds),
    )


def _notes(plan: RunPlan) -> Iterator[str]:
    saves = plan.saves
    yield (
        f"saved by coalescing ${dollars(saves.coalescing)}, by prompt caching "
        f"${dollars(saves.caching)}; a crash wastes at most ${dollars(plan.crash)}"
    )
    if plan.batches is not None:
        yield _batches(plan.batches)
    for price in plan.prices:
        lines = (price.input, price.cached, price.output, price.train)
        amounts = " / ".join("unknown" if amount is None else amount for amount in lines)
        preferences = f" ({price.train_dpo} by DPO)" if price.train_dpo else ""
        yield (
            f"price: {price.model} {amounts} per million tokens in / cached / out / trained"
            f"{preferences}, as of {price.as_of} ({price.source})"
        )
    yield from plan.assumptions
    for warning in plan.warnings:
        yield f"warning: {warning}"


def _batches(found: BatchSavings) -> str:
    takes = f"{duration(found.seconds)} of playing, {duration(found.at_most)} at most"
    if found.used:
        return f"saved by batches ${dollars(found.saves)}; {takes}"
    return (
        f"in batches (requests.transport = 'batch') playing would cost ${dollars(found.saves)} "
        f"less and take {takes}"
    )


def _batches_json(found: BatchSavings | None) -> dict[str, Any] | None:
    if found is None:
        return None
    saves = {"saves_usd": _dollars(found.saves)}
    return {"used": found.used, **saves, "seconds": found.seconds, "at_most_s": found.at_most}


def _amounts(cost: Cost) -> tuple[str, str, str]:
    return dollars(cost.low), dollars(cost.expected), dollars(cost.worst)


def count(number: int) -> str:
    """With separators; nothing for 0."""
    return f"{number:,}" if number else ""


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds."""
    return "unknown" if seconds is None else str(timedelta(seconds=round(seconds)))
