"""The plan of a run: what it will do and cost, and whether its model outlives it.

    strata ──> simulated play of a sample ──> sums per iteration ──> phases x prices ──> Plan
          └──> longest chats ──────────────> the worst case ────┘        └──> calendar

No network, no key, no chance but the run's own.

The plan follows the real path: the real prompts go to a player that answers at once, through
`rollouts.play`, and `selection` and `dataset` choose and count what would be trained on.
"""

from typing import TYPE_CHECKING

from rmft_api.core.lazy import lazily

if TYPE_CHECKING:
    from rmft_api.planning import (
        alternatives,
        cost,
        lengths,
        lifecycle,
        open_model,
        plan,
        plan_vs_actual,
        previews,
    )
    from rmft_api.planning.build import build_plan
    from rmft_api.planning.comparisons import ComparisonPlan, plan_comparison
    from rmft_api.planning.grids import GridPlan, PlannedGridRun, plan_grid
    from rmft_api.planning.lifecycle import refuse
    from rmft_api.planning.observed_lengths import ObservedReplies
    from rmft_api.planning.plan import Cost, Phase, RunPlan
    from rmft_api.planning.plan_vs_actual import PhaseSpending, Spending, spending
    from rmft_api.planning.remaining import of_the_rest

_MODULES = {
    "build": ("build_plan",),
    "comparisons": (
        "ComparisonPlan",
        "plan_comparison",
    ),
    "grids": (
        "GridPlan",
        "PlannedGridRun",
        "plan_grid",
    ),
    "lifecycle": ("refuse",),
    "observed_lengths": ("ObservedReplies",),
    "plan": (
        "Cost",
        "Phase",
        "RunPlan",
    ),
    "plan_vs_actual": (
        "PhaseSpending",
        "Spending",
        "spending",
    ),
    "remaining": ("of_the_rest",),
}
"""Which module has which names: a run that begins needs few of them."""
__all__ = [
    "ComparisonPlan",
    "Cost",
    "GridPlan",
    "ObservedReplies",
    "Phase",
    "PhaseSpending",
    "PlannedGridRun",
    "RunPlan",
    "Spending",
    "alternatives",
    "build_plan",
    "cost",
    "lengths",
    "lifecycle",
    "of_the_rest",
    "open_model",
    "plan",
    "plan_comparison",
    "plan_grid",
    "plan_vs_actual",
    "previews",
    "refuse",
    "spending",
]

__getattr__ = lazily(__name__, _MODULES)
