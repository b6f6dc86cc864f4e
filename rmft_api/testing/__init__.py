"""Tests that ship: inherit one for an environment, an algorithm or a rule of your own."""

from rmft_api.testing.algorithm_contract import AlgorithmContract
from rmft_api.testing.answer_contract import AnswerContract
from rmft_api.testing.environment_contract import EnvironmentContract
from rmft_api.testing.measure_contract import MeasureContract
from rmft_api.testing.selection_contract import SelectionContract
from rmft_api.testing.stateful_contract import StatefulContract
from rmft_api.testing.story_contract import StoryContract

__all__ = [
    "AlgorithmContract",
    "AnswerContract",
    "EnvironmentContract",
    "MeasureContract",
    "SelectionContract",
    "StatefulContract",
    "StoryContract",
]
