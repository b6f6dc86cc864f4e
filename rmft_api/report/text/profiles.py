"""The endpoints side by side, as people read them and as programs do."""

from collections.abc import Sequence
from datetime import date

import msgspec

from rmft_api.providers.profile_choices import ProfileChoice
from rmft_api.report.text.columns import paragraph, table

HEADINGS = (
    *("profile", "models", "training", "chain", "new model", "batches", "prices"),
    *("jobs end", "answers end"),
)
DEPLOYED = {
    "none": "",
    "arm": "deployment",
    "models_object": "registration",
    "auto": "endpoint",
    "custom_model_deployment": "deployment",
    "provisioned_throughput": "throughput",
    "dedicated_endpoint": "endpoint",
    "on_demand_deployment": "deployment",
}
SHORT = {"supervised": "sft", "dpo": "dpo"}
PRICES = {"not billed": "free", "chats only": "chats", "some models": "some"}


def profiles_table(choices: Sequence[ProfileChoice], today: date) -> str:
    """A row for each endpoint, then its key, its address, and what it was tried against."""
    rows = [HEADINGS, *(_row(choice, today) for choice in choices)]
    body = table(rows, words=9, optional=("answers end", "batches"), foot=0)
    notes = [
        "sft: supervised fine-tuning; dpo: preferences. chain: a fine-tuned model can be trained "
        "further. new model: its needs before it answers, /h: billed by the hour. prices: those "
        "that a run needs are known (chats: those of training are not). Dates are the first days "
        "without, of the model that lasts longest; `rmft-api doctor --profile NAME` has each "
        "model's.",
        *map(_details, choices),
    ]
    return "\n".join([body, "", *map(paragraph, notes)])


def _row(one: ProfileChoice, today: date) -> tuple[str, ...]:
    needs = DEPLOYED[one.deploy]
    return (
        one.profile,
        one.models,
        ", ".join(SHORT[method] for method in one.methods) or "none",
        "yes" if one.continues else "no" if one.methods else "",
        f"{needs} /h" if one.rented else needs,
        "yes" if one.batches else "",
        PRICES.get(one.prices, one.prices),
        _day(one.no_jobs_from, today) if one.methods else "",
        _day(one.no_answers_from, today),
    )


def _day(day: date | None, today: date) -> str:
    return "" if day is None else f"{day}, over" if day <= today else str(day)


def _details(one: ProfileChoice) -> str:
    key = f"key in {one.key}" if one.key else "no key"
    more = f", needs {', '.join(one.settings)}" if one.settings else ""
    tried = f". {one.tried[:1].upper()}{one.tried[1:]}." if one.tried else ""
    return f"{one.profile}: {one.base_url}, {key}{more}{tried}"


def profiles_json(choices: Sequence[ProfileChoice]) -> str:
    """A JSON array; null is "not known"."""
    return msgspec.json.encode(choices).decode()
