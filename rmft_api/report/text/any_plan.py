"""The plan of a run, an evaluation or a grid, as people read it and as programs do."""

from rmft_api.planning import ComparisonPlan, GridPlan, RunPlan
from rmft_api.planning.alternatives import CheaperPlan, EndpointComparison
from rmft_api.report.text import alternatives, comparison, plan


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


def alternatives_table(record: CheaperPlan | EndpointComparison) -> str:
    """The table that `plan --cheaper` or `--compare` prints."""
    if isinstance(record, CheaperPlan):
        return alternatives.cheaper_table(record)
    return alternatives.endpoints_table(record)


def alternatives_json(record: CheaperPlan | EndpointComparison) -> str:
    """The JSON object that `plan --cheaper` or `--compare` prints."""
    if isinstance(record, CheaperPlan):
        return alternatives.cheaper_json(record)
    return alternatives.endpoints_json(record)
