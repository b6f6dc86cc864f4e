"""A model plays scenarios, round by round.

preparation (which scenarios) -> engine (plays many at once) -> splits (saves each play)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.rollouts import (
        engine,
        episodes,
        log_policy,
        preparation,
        reasons,
        splits,
        teacher,
        validity,
        warm_up,
    )

__all__ = [
    "engine",
    "episodes",
    "log_policy",
    "preparation",
    "reasons",
    "splits",
    "teacher",
    "validity",
    "warm_up",
]
