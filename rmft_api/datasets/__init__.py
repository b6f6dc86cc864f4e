"""Selected trajectories become training files: examples, preference pairs, token counts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.datasets import (
        checkpoint_tokens,
        dataset,
        preferences,
        tokens,
        training_files,
    )

__all__ = [
    "checkpoint_tokens",
    "dataset",
    "preferences",
    "tokens",
    "training_files",
]
