"""The plan of a run: what it will do and cost, and whether its model outlives it.

    strata ──> simulated play of a sample ──> sums per iteration ──> phases x prices ──> Plan
          └──> longest chats ──────────────> the worst case ────┘        └──> calendar

No network, no key, no chance but the run's own.

The plan follows the real path: the real prompts are told to a player that answers at once, through
`rollouts.play`, and `selection` and `dataset` choose and count what would be trained on.
"""

from rmft_api.planning.build import draw_up
from rmft_api.planning.comparisons import ContestPlan, draw_up_contest
from rmft_api.planning.lifecycle import refuse
from rmft_api.planning.observed_lengths import Heard
from rmft_api.planning.plan import Cost, Phase, Plan
from rmft_api.planning.plan_vs_actual import Line, Spending, spending
from rmft_api.planning.remaining import of_the_rest

__all__ = [
    "ContestPlan",
    "Cost",
    "Heard",
    "Line",
    "Phase",
    "Plan",
    "Spending",
    "draw_up",
    "draw_up_contest",
    "of_the_rest",
    "refuse",
    "spending",
]
