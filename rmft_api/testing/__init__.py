"""Tests that ship: inherit one for an environment of your own."""

from rmft_api.testing.environment_contract import EnvironmentContract

__all__ = ["EnvironmentContract"]
