"""Trackers: the figures of every iteration, handed to MLflow or Weights & Biases. Off by default.

A tracker is a copy for people: the journal stays the truth. One that fails is reported and never
ends a run; what it missed is handed to it again when the run is resumed.
"""

from rmft_api.tracking.trackers import Identity, check, open_tracker, report_to_tracker

__all__ = ["Identity", "check", "open_tracker", "report_to_tracker"]
