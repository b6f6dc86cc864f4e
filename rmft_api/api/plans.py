"""What a run will do and cost, from Python; what `rmft-api plan` and `--dry-run` show."""

import html
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from rmft_api.api import arguments
from rmft_api.api.arguments import RunFile, settings
from rmft_api.api.event_loop import run_soon
from rmft_api.planning import ComparisonPlan, GridPlan, RunPlan
from rmft_api.planning.plan import Cost, Phase
from rmft_api.session import plans

R = TypeVar("R", bound=RunPlan | ComparisonPlan | GridPlan)


class Plan(Generic[R]):
    """What a run, an evaluation or a grid will do and cost. US dollars; None is "unknown", never 0.

    `record` holds everything, money there in micro-dollars: for an evaluation each of its
    `.players`, for a grid each of its `.runs`.
    """

    def __init__(self, record: R) -> None:
        """Use `plan`, `plan_retrain`, `plan_evaluate`, `plan_ablate`."""
        self.record = record

    @property
    def total(self) -> tuple[float | None, float | None, float | None]:
        """Lowest, expected and worst cost of the whole, in US dollars."""
        return _dollars(self.record.total)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Its steps in order."""
        return self.record.phases

    @property
    def warnings(self) -> list[str]:
        """What speaks against it."""
        return list(self.record.against_it())

    @property
    def refusal(self) -> str | None:
        """Why it would not begin; None: it would."""
        return self.record.refusal

    def to_json(self) -> str:
        """What the command prints with `--json`."""
        from rmft_api.report.text.any_plan import json_of

        return json_of(self.record)

    def __str__(self) -> str:
        """The table that the command prints."""
        from rmft_api.report.text.any_plan import table_of

        return table_of(self.record)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _dollars(cost: Cost) -> tuple[float | None, float | None, float | None]:
    low, expected, worst = (
        None if one is None else one / 1e6 for one in (cost.low, cost.expected, cost.worst)
    )
    return low, expected, worst


def plan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[RunPlan]:
    """What a run will do and cost. Sends nothing, needs no key; takes about a second.

    Works inside a running event loop too, as in a notebook.

    Args:
        file: A run file; see `RunFile`.
        overrides: Dotted keys to change, with their values.
        budget_usd: The most that the run may spend.
        reply_tokens: Assumed length of a reply; half of `sampling.max_tokens` where it is None.
        calibrate: Measure this machine with the run's checkpoint for ten seconds; it is kept.
        runs: The folder of runs: a run of this name that has started gives its real lengths.

    Raises:
        ConfigError: For what cannot be followed, in one line.

    """
    work = partial(
        *(aplan, file, overrides),
        budget_usd=budget_usd,
        reply_tokens=reply_tokens,
        calibrate=calibrate,
        runs=runs,
    )
    return run_soon(work)


async def aplan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[RunPlan]:
    """As `plan`, in the event loop of the caller."""
    tokens = arguments.whole_or_none(reply_tokens, "reply_tokens")
    folder = arguments.folder(runs)
    config, _ = settings(file, overrides, budget_usd)
    return Plan(await plans.plan_of(config, folder, tokens, measure=calibrate))
