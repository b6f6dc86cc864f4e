"""The shipped prices beside another list of them: every difference is known, and listed here."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import data

from rmft_api.providers.prices import SHIPPED, Price, load

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
PROVIDERS = {"openai": "openai", "azure": "azure", "gemini": "google"}
FIELDS = {"input": "input_mtok", "cached": "cache_read_mtok", "output": "output_mtok"}
ABSENT = {
    "azure gpt-4.1",
    "azure gpt-4.1-mini",
    "azure gpt-4.1-nano",
    "azure gpt-4o",
    "azure gpt-4o-mini",
    "openai ft:gpt-4.1",
    "openai ft:gpt-4.1-mini",
    "openai ft:gpt-4.1-nano",
    "openai ft:o4-mini",
}
"""Rows that the other list lacks: no second opinion on them."""
KNOWN: dict[str, tuple[str, str]] = {}
"""Row and field -> our price, theirs."""
Figure = Decimal | None


def theirs(row: Price) -> Any:
    """The other list's model, None where it has none."""
    (provider,) = [one for one in data.providers if one.id == PROVIDERS[row.provider]]
    models: dict[str, Any] = {model.id: model for model in provider.models}
    return models.get(row.model)


def compared() -> Iterator[tuple[str, Figure, Figure]]:
    """Row and field, our price, theirs."""
    for row in load(SHIPPED).price:
        model = theirs(row) if row.provider in PROVIDERS else None
        if model is None:
            continue
        prices = model.get_prices(AS_OF)
        batches = [one for one in model.price_variants or () if one.when == {"processing": "batch"}]
        for ours, other in FIELDS.items():
            name = f"{row.provider} {row.model}"
            yield f"{name} {ours}", getattr(row, ours), getattr(prices, other)
            for batch in batches[-1:]:
                mine = getattr(row, f"batch_{ours}")
                yield f"{name} batch_{ours}", mine, getattr(batch.prices, other)


def test_every_price_that_both_lists_know_is_the_same_but_for_known_differences() -> None:
    both = [(name, ours, other) for name, ours, other in compared() if None not in (ours, other)]
    found = {name: (str(ours), str(other)) for name, ours, other in both if ours != other}
    assert found == KNOWN
    assert len(both) >= 30


def test_rows_without_a_second_opinion_are_known() -> None:
    rows = [row for row in load(SHIPPED).price if row.provider in PROVIDERS]
    absent = {f"{row.provider} {row.model}" for row in rows if theirs(row) is None}
    assert absent == ABSENT


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-4o-mini"])
def test_the_models_of_the_shipped_runs_have_a_second_opinion(model: str) -> None:
    assert {name for name, *_ in compared() if name.startswith(f"openai {model} ")} >= {
        f"openai {model} {field}" for field in ("input", "cached", "output", "batch_input")
    }
