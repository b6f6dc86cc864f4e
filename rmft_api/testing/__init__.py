"""Tests that ship: inherit one for an environment or an algorithm of your own."""

from rmft_api.testing.algorithm_contract import AlgorithmContract
from rmft_api.testing.environment_contract import EnvironmentContract
from rmft_api.testing.stateful_contract import StatefulContract

__all__ = ["AlgorithmContract", "EnvironmentContract", "StatefulContract"]
