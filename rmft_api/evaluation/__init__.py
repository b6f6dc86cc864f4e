"""How well models play: measures of a play, scores of a model, outcome of a run, comparisons."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.evaluation import (
        comparison,
        family,
        limit,
        measures,
        off_policy,
        outcome,
        scoring,
        selection_summary,
    )

__all__ = [
    "comparison",
    "family",
    "limit",
    "measures",
    "off_policy",
    "outcome",
    "scoring",
    "selection_summary",
]
