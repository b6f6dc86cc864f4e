"""Tests that ship: inherit one for an environment of your own."""

from rmft_api.testing.environment_contract import EnvironmentContract
from rmft_api.testing.stateful_contract import StatefulContract

__all__ = ["EnvironmentContract", "StatefulContract"]
