"""The plan of a grid: that of each of its runs, and what they come to together."""

from collections.abc import Iterator, Sequence
from typing import Any

from rmft_api.core.records import Record
from rmft_api.planning.assumptions import over_budget
from rmft_api.planning.plan import Cost, Phase, RunPlan, total


class PlannedGridRun(Record, frozen=True):
    """One cell with one seed."""

    cell: str
    seed: int
    changes: dict[str, Any]
    """What the cell changes, by dotted key."""
    plan: RunPlan


class GridPlan(Record, frozen=True):
    """What all runs of a grid will do and cost, those that have ended included."""

    runs: tuple[PlannedGridRun, ...]
    total: Cost
    seconds: float | None
    """One run after the other; None: unknown."""
    budget: int | None = None
    """What all runs may spend together, in micro-dollars; None: each has its own, or none."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The steps of every run, one run after the other."""
        return tuple(phase for run in self.runs for phase in run.plan.phases)

    @property
    def refusal(self) -> str | None:
        """Why the first run that would not begin would not; None: all would."""
        for run in self.runs:
            if run.plan.refusal is not None:
                return f"{run.plan.run}: {run.plan.refusal}"
        return None

    def against_it(self) -> tuple[str, ...]:
        """All that speaks against any of the runs, the run named."""
        return tuple(self._warnings())

    def _warnings(self) -> Iterator[str]:
        for warning in over_budget(self.total, self.budget, "the last of them"):
            yield f"all {len(self.runs)} runs together: {warning}"
        for run in self.runs:
            yield from (f"{run.plan.run}: {warning}" for warning in run.plan.against_it())


def plan_grid(runs: Sequence[PlannedGridRun], budget_usd: float | None = None) -> GridPlan:
    """The plan of a grid from those of its runs, which share a budget or have none in common."""
    times = [run.plan.seconds for run in runs]
    known = [seconds for seconds in times if seconds is not None]
    return GridPlan(
        runs=tuple(runs),
        total=total(run.plan.total for run in runs),
        seconds=sum(known) if len(known) == len(times) else None,
        budget=None if budget_usd is None else round(budget_usd * 1e6),
    )
