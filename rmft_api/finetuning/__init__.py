"""A dataset becomes the next model."""

from rmft_api.finetuning.training import Trained, Trainer, TrainingData, hyperparameters

__all__ = ["Trained", "Trainer", "TrainingData", "hyperparameters"]
