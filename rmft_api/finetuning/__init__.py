"""A dataset becomes the next model.

JobSpec (what is ordered, under a fixed name) -> JobRunner (file, job, model) -> FineTuned
"""

from typing import TYPE_CHECKING

from rmft_api.finetuning.results import FineTuned, TrainingData, hyperparameters
from rmft_api.finetuning.trainer import Trainer

if TYPE_CHECKING:
    from rmft_api.finetuning import (
        retrain,
    )

__all__ = [
    "FineTuned",
    "Trainer",
    "TrainingData",
    "hyperparameters",
    "retrain",
]
