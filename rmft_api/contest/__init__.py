"""Contests: several models, and known algorithms, on the scenarios of one suite.

suite + players --play--> trajectories (a journal's) --standings--> figures, pairs, axes
"""

from rmft_api.contest.play import Desk, play_all
from rmft_api.contest.settings import ContestConfig, Player
from rmft_api.contest.standings import Axis, Cell, Line, Pair, Standing, Standings, standings

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
