"""Contests: several models, and known algorithms, on the scenarios of one suite.

suite + players --play--> trajectories (a journal's) --standings--> figures, pairs, axes
"""

from rmft_api.evaluation.comparison.play import Desk, play_all
from rmft_api.evaluation.comparison.results import (
    Axis,
    Cell,
    Line,
    Pair,
    Standing,
    Standings,
    standings,
)
from rmft_api.evaluation.comparison.settings import ContestConfig, Player

__all__ = [
    "Axis",
    "Cell",
    "ContestConfig",
    "Desk",
    "Line",
    "Pair",
    "Player",
    "Standing",
    "Standings",
    "play_all",
    "standings",
]
