"""Regret of a trajectory, and the ranking that keeps the lowest-regret ones. Pure arithmetic."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.selection import (
        own_measures,
        ranking,
        regret,
    )

__all__ = [
    "own_measures",
    "ranking",
    "regret",
]
