"""How a comparison is printed, and its plan."""

from pathlib import Path

import msgspec

from rmft_api.core.errors import ConfigError
from rmft_api.core.files import replace_file
from rmft_api.evaluation.comparison import ComparisonResults
from rmft_api.planning import ComparisonPlan
from rmft_api.report.text.comparison import (
    plan_json,
    plan_table,
    standings_csv,
    standings_table,
)


def show(found: ComparisonResults, *, as_json: bool = False, csv: Path | None = None) -> None:
    """Print the results, and write them as a table where one is wanted."""
    if csv is not None:
        replace_file(csv, standings_csv(found).encode())
    text = msgspec.json.encode(found).decode() if as_json else standings_table(found)
    print(text)  # noqa: T201


def show_plan(plan: ComparisonPlan, *, as_json: bool) -> None:
    """Print a plan. Raises ConfigError, after it, where the comparison would not start."""
    print(plan_json(plan) if as_json else plan_table(plan))  # noqa: T201
    if plan.refusal:
        raise ConfigError(plan.refusal)
