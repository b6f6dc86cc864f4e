"""What a run will do and cost, from Python; what `rmft-api plan` and `--dry-run` show."""

import html
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

from rmft_api.api import arguments
from rmft_api.api.arguments import RunFile, settings
from rmft_api.api.event_loop import run_soon
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.planning import ComparisonPlan, GridPlan, RunPlan
from rmft_api.planning.alternatives import CheaperPlan, EndpointComparison
from rmft_api.planning.plan import Cost, Phase
from rmft_api.session import alternatives, plans

R = TypeVar("R", bound=RunPlan | ComparisonPlan | GridPlan)
A = TypeVar("A", bound=CheaperPlan | EndpointComparison)


class Plan(Generic[R]):
    """What a run, an evaluation or a grid will do and cost. US dollars; None is "unknown", never 0.

    `record` holds everything, money there in micro-dollars: for an evaluation each of its
    `.players`, for a grid each of its `.runs`.
    """

    def __init__(self, record: R, source: "PlanSource | None" = None) -> None:
        """Use `plan`, `plan_retrain`, `plan_evaluate`, `plan_ablate`."""
        self.record = record
        self._source = source

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

    def cheaper(self) -> "Alternatives[CheaperPlan]":
        """What would make the run cheaper, the largest savings first. About a second a change.

        Nothing is chosen: each of `.record.options` is a change for the run file. Only for the plan
        of a run file; raises UsageError for others.
        """
        asked = self._asked()
        return Alternatives(run_soon(partial(alternatives.cheaper, *asked)))

    def compare(self, *endpoints: str) -> "Alternatives[EndpointComparison]":
        """The same run at its endpoint and at others, the cheapest first: `.record.quotes`.

        Args:
            endpoints: `PROFILE`, or `PROFILE:MODEL` where the base has another name there.

        Raises:
            UsageError: For an unknown profile, or where this is not the plan of a run file.

        """
        config, runs, tokens = self._asked()
        names = endpoints or (config.model.profile,)
        return Alternatives(run_soon(partial(alternatives.compared, config, names, runs, tokens)))

    def _asked(self) -> "PlanSource":
        if self._source is None:
            raise UsageError(
                "only the plan of a run file has alternatives; use rmft_api.plan(FILE)"
            )
        return self._source

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


class PlanSource(NamedTuple):
    """What a plan was made from."""

    config: RunConfig
    runs: Path
    reply_tokens: int | None


class Alternatives(Generic[A]):
    """What a run would cost otherwise; `str()` is the table that the command prints.

    `record` holds everything, money there in micro-dollars.
    """

    def __init__(self, record: A) -> None:
        """Use `Plan.cheaper` and `Plan.compare`."""
        self.record = record

    def to_json(self) -> str:
        """What the command prints with `--json`."""
        from rmft_api.report.text.any_plan import alternatives_json

        return alternatives_json(self.record)

    def __str__(self) -> str:
        from rmft_api.report.text.any_plan import alternatives_table

        return alternatives_table(self.record)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _dollars(cost: Cost) -> tuple[float | None, float | None, float | None]:
    low, expected, worst = (
        None if one is None else one / 1e6 for one in (cost.low, cost.expected, cost.worst)
    )
    return low, expected, worst


@overload
def plan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[RunPlan]: ...


@overload
def plan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[GridPlan]: ...


def plan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int | None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[RunPlan] | Plan[GridPlan]:
    """What a run will do and cost. Sends nothing, needs no key; takes about a second.

    Works inside a running event loop too, as in a notebook.

    Args:
        file: A run file; see `RunFile`.
        overrides: Dotted keys to change, with their values.
        budget_usd: The most that the run may spend.
        seeds: How many runs of different seeds; None: one run. `.record.runs` has each.
        reply_tokens: Assumed length of a reply; half of `sampling.max_tokens` where it is None.
        calibrate: Measure this machine with the run's checkpoint for ten seconds; it is kept.
        runs: The folder of runs: a run of this name that has started gives its real lengths.

    Raises:
        ConfigError: For what cannot be followed, in one line.

    """
    work = partial(
        *(_plan, file, overrides),
        budget_usd=budget_usd,
        seeds=seeds,
        reply_tokens=reply_tokens,
        calibrate=calibrate,
        runs=runs,
    )
    return run_soon(work)


@overload
async def aplan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[RunPlan]: ...


@overload
async def aplan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[GridPlan]: ...


async def aplan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int | None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan[RunPlan] | Plan[GridPlan]:
    """As `plan`, in the event loop of the caller."""
    return await _plan(
        *(file, overrides),
        budget_usd=budget_usd,
        seeds=seeds,
        reply_tokens=reply_tokens,
        calibrate=calibrate,
        runs=runs,
    )


async def _plan(
    file: RunFile,
    overrides: Mapping[str, Any] | None,
    *,
    budget_usd: float | None,
    seeds: int | None,
    reply_tokens: int | None,
    calibrate: bool,
    runs: str | Path,
) -> Plan[RunPlan] | Plan[GridPlan]:
    tokens = arguments.whole_or_none(reply_tokens, "reply_tokens")
    count = arguments.whole_or_none(seeds, "seeds")
    folder = arguments.folder(runs)
    config, _ = settings(file, overrides, budget_usd)
    if count is None:
        planned = await plans.plan_of(config, folder, tokens, measure=calibrate)
        return Plan(planned, PlanSource(config, folder, tokens))
    from rmft_api.session import families

    return Plan(await families.plan_of(config, count, folder, tokens, measure=calibrate))
