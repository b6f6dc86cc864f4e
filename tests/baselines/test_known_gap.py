"""With both chances of reward known, the limit is what dynamic programming finds best."""

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

from rmft_api import environments
from rmft_api.baselines import limit
from rmft_api.baselines.game import table
from rmft_api.baselines.known_gap import LikeliestBest
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.environments import ConcreteProblem

Seen = tuple[tuple[int, int], ...]
"""Ones and zeros of each action."""


def beliefs(seen: Seen, best: float, low: float) -> list[float]:
    """By Bayes' rule: how likely each action is the best."""
    weights = [(best / low) ** s * ((1 - best) / (1 - low)) ** f for s, f in seen]
    return [weight / sum(weights) for weight in weights]


def mean_regret(
    K: int, T: int, best: float, low: float, among: Callable[[Seen], Sequence[int]]
) -> float:
    """Of the best player that chooses among some actions, by backward induction."""

    @cache
    def reward(seen: Seen, left: int) -> float:
        if not left:
            return 0.0
        likely, found = beliefs(seen, best, low), list[float]()
        for action in among(seen):
            chance = likely[action] * best + (1 - likely[action]) * low
            s, f = seen[action]
            one = (*seen[:action], (s + 1, f), *seen[action + 1 :])
            none = (*seen[:action], (s, f + 1), *seen[action + 1 :])
            value = chance * (1 + reward(one, left - 1)) + (1 - chance) * reward(none, left - 1)
            found.append(value)
        return max(found)

    return T * best - reward(((0, 0),) * K, T)


def player(K: int, T: int, best: float, low: float) -> LikeliestBest:
    problem = ConcreteProblem("bandit", K, T, {"gap": best - low, "best": best})
    scenario = environments.draw([problem], 0, "test", 0, 0)
    return LikeliestBest(table([scenario], RandomStreams(0, "limit", [0])), best, low)


@pytest.mark.parametrize(("K", "T"), [(2, 8), (3, 6), (4, 4)])
@pytest.mark.parametrize(("best", "low"), [(0.9, 0.1), (0.6, 0.4), (0.25, 0.05), (0.95, 0.6)])
def test_it_has_the_least_mean_regret_of_all_players(
    K: int, T: int, best: float, low: float
) -> None:
    one = player(K, T, best, low)

    def chosen(seen: Seen) -> list[int]:
        one.counts_NK[0] = [s + f for s, f in seen]
        one.sums_NK[0] = [s for s, _ in seen]
        return one.choose(0).tolist()

    least = mean_regret(K, T, best, low, lambda seen: range(K))
    assert mean_regret(K, T, best, low, chosen) == pytest.approx(least, rel=1e-12)


def test_played_on_drawn_problems_it_has_that_regret() -> None:
    problem = ConcreteProblem("bandit", 2, 8, {"gap": 0.8, "best": 0.9})
    scenarios = [environments.draw([problem], 5, "test", 0, i) for i in range(1500)]
    rows = np.arange(8)
    regrets = np.array([
        (s.means.max() - s.means[rows, p.actions_T]).sum()
        for s, p in zip(scenarios, limit.play(problem, scenarios), strict=True)
    ])  # fmt: skip
    least = mean_regret(2, 8, 0.9, 0.1, lambda seen: range(2))
    assert least == pytest.approx(0.6207, abs=1e-4)
    assert float(regrets.mean()) == pytest.approx(
        least, abs=3.5 * float(regrets.std()) / math.sqrt(1500)
    )


def test_chances_of_nothing_and_of_certainty_are_played_too() -> None:
    one = player(3, 5, 1.0, 0.0)
    one.learn(0, np.array([0]), np.array([0.0]))
    assert one.choose(1).tolist() == [1]
    one.learn(1, np.array([1]), np.array([1.0]))
    assert one.choose(2).tolist() == [1]


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"gap": 0.8, "best": 0.9}, True),
        ({"gap": 0.2}, True),
        ({"instance": "hard"}, True),
        ({"gap": 0.2, "reward": "uniform"}, False),
        ({"means": (0.1, 0.2, 0.3, 0.4, 0.5)}, False),
    ],
)
def test_it_is_known_for_zeros_and_ones_of_two_means(
    options: dict[str, object], known: bool
) -> None:
    assert (limit.why_not(ConcreteProblem("bandit", 5, 25, options)) == "") is known
