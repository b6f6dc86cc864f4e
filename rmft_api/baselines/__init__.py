"""Known algorithms on the model's own tables, vectorised over trajectories (docs/method.md 6)."""

from typing import TYPE_CHECKING

from rmft_api.baselines.after_history import OF_ANY_HISTORY, after_history
from rmft_api.baselines.game import Algorithm, GameInfo
from rmft_api.baselines.own import is_own
from rmft_api.baselines.registry import BASELINES, ORACLES, fits, play, suitable

if TYPE_CHECKING:
    from rmft_api.baselines import limit

__all__ = [
    "BASELINES",
    "OF_ANY_HISTORY",
    "ORACLES",
    "Algorithm",
    "GameInfo",
    "after_history",
    "fits",
    "is_own",
    "limit",
    "play",
    "suitable",
]
