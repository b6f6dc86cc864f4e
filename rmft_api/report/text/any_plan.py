"""The plan of a run, an evaluation or a grid, as people read it and as programs do."""

from rmft_api.planning import ComparisonPlan, GridPlan, RunPlan
from rmft_api.report.text import comparison, plan


def table_of(record: RunPlan | ComparisonPlan | GridPlan) -> str:
    """The table that its command prints."""
    if isinstance(record, ComparisonPlan):
        return comparison.plan_table(record)
    return plan.grid_table(record) if isinstance(record, GridPlan) else plan.plan_table(record)


def json_of(record: RunPlan | ComparisonPlan | GridPlan) -> str:
    """The JSON object that its command prints."""
    if isinstance(record, ComparisonPlan):
        return comparison.plan_json(record)
    return plan.grid_json(record) if isinstance(record, GridPlan) else plan.plan_json(record)
