"""An adversary of one's own under the contract that ships."""

from dataclasses import dataclass

import numpy as np
import pytest

from rmft_api.environments import Environment, Extremes, Scenario
from rmft_api.selection.regret import Floats
from rmft_api.testing import EnvironmentContract


@dataclass(frozen=True)
class Fining:
    """Takes from every action what the policy gives it; `told` says how much that may be."""

    fine: float = 2.0
    told: float = 2.0

    def __call__(self, t: int, policy: Floats, row: Floats) -> Floats:
        return row - self.fine * policy

    def extremes(self, t: int, row: Floats) -> Extremes:
        return Extremes(row, float(row.min()) - self.told)


@dataclass(frozen=True)
class Fined:
    K: int
    T: int
    told: float = 2.0

    def draw(self, rng: np.random.Generator) -> Scenario:
        table = rng.random((self.T, self.K))
        return Scenario(table, table, "full", "static", adversary=Fining(told=self.told))


class TestFined(EnvironmentContract):
    def make(self, K: int, T: int) -> Environment:
        return Fined(K, T)


class Understated(EnvironmentContract):
    def make(self, K: int, T: int) -> Environment:
        return Fined(K, T, told=0.1)


def test_the_contract_finds_extremes_that_are_none() -> None:
    with pytest.raises(AssertionError, match="extremes"):
        Understated().test_no_policy_is_paid_beyond_the_extremes()
