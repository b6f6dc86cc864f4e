"""What a run would cost otherwise: as people read it, and as programs do."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from rmft_api.planning.alternatives import (
    CheaperOption,
    CheaperPlan,
    EndpointComparison,
    EndpointQuote,
)
from rmft_api.report.text.columns import paragraph, table
from rmft_api.report.text.plan import cost_json, count, dollars, duration

CHEAPER = ("change", "saves $", "expected $", "worst $", "trained", "time")
ENDPOINTS = (
    *("profile", "model", "calls", "prompt", "output", "trained", "chats $", "hosting $"),
    *("training $", "total $", "worst $", "time", "days left"),
)
_LESS_IMPORTANT = (
    "calls",
    "prompt",
    "output",
    "worst $",
    "time",
    "trained",
    "chats $",
    "hosting $",
)


def cheaper_table(found: CheaperPlan) -> str:
    """The changes, the largest savings first; then what each changes in the method."""
    if found.total.expected == 0:
        return f"run {found.run}: nothing is billed, so nothing makes it cheaper"
    rows = [CHEAPER, *map(_cheaper_row, found.options)]
    rows.append(
        (
            *("as it is", "", dollars(found.total.expected), dollars(found.total.worst)),
            *(_tokens(found.trained_tokens), ""),
        )
    )
    notes = [*_why(found), *(f"cannot be used: {line}" for line in found.impossible)]
    return "\n".join(
        [
            f"run {found.run}: what would make it cheaper (nothing is changed)",
            "",
            table(rows, words=1, optional=("time", "trained", "worst $")),
            *("", *map(paragraph, map(_explained, found.options))),
            *(() if found.together is None else ("", paragraph(_combined(found.together)))),
            *(("", *map(paragraph, notes)) if notes else ()),
        ]
    )


def _cheaper_row(option: CheaperOption) -> tuple[str, ...]:
    most = "up to " if option.at_most and option.saves is not None else ""
    return (
        option.name,
        f"{most}{dollars(option.saves)}",
        dollars(option.total.expected),
        dollars(option.total.worst),
        _tokens(option.trained_tokens),
        "" if option.at_most else duration(option.seconds),
    )


def _tokens(trained: int | None) -> str:
    return "unknown" if trained is None else count(trained)


def _explained(option: CheaperOption) -> str:
    refused = "" if option.refusal is None else " Such a run would not start."
    effect = option.effect[:1].upper() + option.effect[1:]
    return f"{option.name}: {_set(option.changes)}. {effect}.{refused}"


def _combined(option: CheaperOption) -> str:
    return (
        f"together ({option.name}): ${dollars(option.total.expected)} expected, "
        f"${dollars(option.saves)} less, ${dollars(option.total.worst)} at worst; "
        f"{_set(option.changes)}"
    )


def _set(changes: Mapping[str, Any]) -> str:
    return " ".join(
        f"--set {key}={'WIDTH' if value is None else _plain(value)}"
        for key, value in changes.items()
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _why(found: CheaperPlan) -> Iterator[str]:
    if found.refusal is not None:
        yield f"warning: the run would not start as it is: {found.refusal}"
    share = found.training_share
    if share is not None and share > 0.5:
        yield (
            f"training is {share:.0%} of the expected price: jobs are billed for every token of "
            "the file in every epoch, and every round of a trajectory repeats its prompt"
        )
    if found.total.expected is None:
        yield "a price is unknown, so savings are too; `rmft-api doctor` says which"


def cheaper_json(found: CheaperPlan) -> str:
    """One JSON object; money in US dollars, null is "unknown"."""
    whole = {
        "run": found.run,
        "total_usd": cost_json(found.total),
        "training_usd": cost_json(found.training),
        "training_share": found.training_share,
        "trained_tokens": found.trained_tokens,
        "options": [_option_json(option) for option in found.options],
        "together": None if found.together is None else _option_json(found.together),
        "impossible": found.impossible,
        "refusal": found.refusal,
    }
    return msgspec.json.encode(whole).decode()


def _option_json(option: CheaperOption) -> dict[str, Any]:
    return {
        "name": option.name,
        "set": option.changes,
        "effect": option.effect,
        "total_usd": cost_json(option.total),
        "saves_usd": None if option.saves is None else option.saves / 1e6,
        "at_most": option.at_most,
        "trained_tokens": option.trained_tokens,
        "seconds": option.seconds,
        "refusal": option.refusal,
    }


def endpoints_table(found: EndpointComparison) -> str:
    """A row for each endpoint, the cheapest first; then what speaks against one."""
    rows = [ENDPOINTS, *map(_endpoint_row, found.quotes)]
    notes = [
        *(f"{one.profile} would not start: {one.refusal}" for one in found.quotes if one.refusal),
        *(f"cannot be planned at {line}" for line in found.impossible),
        "expected values; days left: until the endpoint's last day of jobs for the model",
    ]
    lines = table(rows, words=2, optional=_LESS_IMPORTANT, foot=0)
    return "\n".join([f"run {found.run} at each endpoint", "", lines, "", *map(paragraph, notes)])


def _endpoint_row(one: EndpointQuote) -> tuple[str, ...]:
    return (
        one.profile,
        one.model,
        *map(count, (one.calls, one.prompt_tokens, one.output_tokens)),
        "unknown" if one.trained_tokens is None else count(one.trained_tokens),
        *(dollars(cost.expected) for cost in (one.playing, one.hosting, one.training, one.total)),
        dollars(one.total.worst),
        duration(one.seconds),
        "" if one.days_left is None else "over" if one.days_left < 0 else str(one.days_left),
    )


def endpoints_json(found: EndpointComparison) -> str:
    """One JSON object; money in US dollars, null is "unknown"."""
    quotes: list[dict[str, Any]] = []
    for one in found.quotes:
        raw: dict[str, Any] = msgspec.to_builtins(one)
        for name in ("playing", "hosting", "training", "total"):
            raw.pop(name)
            raw[f"{name}_usd"] = cost_json(getattr(one, name))
        quotes.append(raw)
    whole = {"run": found.run, "quotes": quotes, "impossible": found.impossible}
    return msgspec.json.encode(whole).decode()
