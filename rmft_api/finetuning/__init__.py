"""A dataset becomes the next model.

commission (what is wanted, and its name for ever) -> work (file, job, model) -> trained
"""

from rmft_api.finetuning.results import FineTuned, TrainingData, hyperparameters
from rmft_api.finetuning.trainer import Trainer

__all__ = ["FineTuned", "Trainer", "TrainingData", "hyperparameters"]
