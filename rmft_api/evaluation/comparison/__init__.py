"""Contests: several models, and known algorithms, on the scenarios of one suite.

suite + players --play--> trajectories (a journal's) --standings--> figures, pairs, axes
"""

from rmft_api.evaluation.comparison.play import ComparisonContext, play_all
from rmft_api.evaluation.comparison.results import (
    Axis,
    AxisCell,
    AxisLine,
    ComparisonResults,
    PairedDifference,
    PlayerResult,
    comparison_results,
)
from rmft_api.evaluation.comparison.settings import ComparisonConfig, ComparisonPlayer

__all__ = [
    "Axis",
    "AxisCell",
    "AxisLine",
    "ComparisonConfig",
    "ComparisonContext",
    "ComparisonPlayer",
    "ComparisonResults",
    "PairedDifference",
    "PlayerResult",
    "comparison_results",
    "play_all",
]
