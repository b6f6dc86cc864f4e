"""Known algorithms on the same tables as the model, vectorised over trajectories (METHOD.md 6)."""

from rmft_api.baselines.registry import BASELINES, ORACLES, play, suitable

__all__ = ["BASELINES", "ORACLES", "play", "suitable"]
