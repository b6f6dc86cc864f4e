"""Bayes-UCB and information-directed sampling, worked out again one number at a time."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api import baselines, environments
from rmft_api.baselines.bayesian import beta_quantile, directed
from rmft_api.environments import ConcreteProblem
from rmft_api.selection.regret import Floats
from rmft_api.statistics import student

FINE = 4000


@given(st.integers(1, 400), st.integers(1, 400), st.integers(2, 2000))
def test_a_beta_quantile_is_the_one_of_the_scalar_function(a: int, b: int, t: int) -> None:
    found = beta_quantile(1 - 1 / t, np.array([float(a)]), np.array([float(b)]))[0]
    assert found == pytest.approx(student.beta_quantile(1 - 1 / t, a, b), abs=1e-8)


@pytest.mark.parametrize("reward", ["bernoulli", "gaussian", "uniform"])
def test_bayes_ucb_chooses_the_largest_quantile(reward: str) -> None:
    scenario = environments.draw(
        [ConcreteProblem("bandit", 3, 40, {"reward": reward})], 3, "test", 0, 0
    )
    (play,) = baselines.play("bayes_ucb", [scenario], 1)
    rewards: list[list[float]] = [list[float]() for _ in range(3)]
    for t, action in enumerate(int(a) for a in play.actions_T):
        level = 1 - 1 / (t + 1)
        values = [
            quantile(level, rewards, a) if reward != "bernoulli" else coins(level, rewards[a])
            for a in range(3)
        ]
        assert values[action] >= max(values) - 1e-8
        rewards[action].append(float(scenario.rewards[t, action]))


def coins(level: float, rewards: list[float]) -> float:
    wins = sum(rewards)
    return student.beta_quantile(level, 1 + wins, 1 + len(rewards) - wins) if level else 0.0


def quantile(level: float, rewards: list[list[float]], action: int) -> float:
    """Of N(mean, s^2 / (n + 1)), s pooled over the actions, with one imagined 1/2 each."""
    if level == 0.0:
        return -math.inf
    mean, deviation = gaussian(rewards, action)
    return mean + deviation * NormalDist().inv_cdf(level)


def gaussian(rewards: list[list[float]], action: int) -> tuple[float, float]:
    within = sum((r - sum(some) / len(some)) ** 2 for some in rewards for r in some)
    freedom = sum(max(len(some) - 1, 0) for some in rewards)
    n = len(rewards[action]) + 1
    return (sum(rewards[action]) + 0.5) / n, math.sqrt((0.25 + within) / (1 + freedom) / n)


@pytest.mark.parametrize("reward", ["bernoulli", "gaussian"])
def test_ids_mixes_the_pair_with_the_least_information_ratio(reward: str) -> None:
    K, T = 3, 25
    scenario = environments.draw(
        [ConcreteProblem("bandit", K, T, {"reward": reward})], 3, "test", 0, 0
    )
    (play,) = baselines.play("ids", [scenario], 1)
    rewards: list[list[float]] = [list[float]() for _ in range(K)]
    for t, action in enumerate(int(a) for a in play.actions_T):
        if t % 4 == 1:
            regret, told = exact(densities(reward, rewards))
            least = min(ratio(p, regret, told) for p in pairs_of(K))
            mix = [float(p) for p in play.policies_TK[t]]
            assert ratio(mix, regret, told) <= 1.03 * least + 1e-4
        rewards[action].append(float(scenario.rewards[t, action]))


def densities(reward: str, rewards: list[list[float]]) -> tuple[list[Floats], Floats]:
    """Each action's belief at the points of a fine grid."""
    if reward == "bernoulli":
        x = (np.arange(FINE) + 0.5) / FINE
        counts = [(sum(some), len(some) - sum(some)) for some in rewards]
        raw = [x**wins * (1 - x) ** losses for wins, losses in counts]
    else:
        x = np.linspace(-3.0, 4.0, FINE)
        beliefs = [gaussian(rewards, a) for a in range(len(rewards))]
        raw = [np.exp(-0.5 * ((x - m) / s) ** 2) for m, s in beliefs]
    return [one / one.sum() for one in raw], x


def exact(found: tuple[list[Floats], Floats]) -> tuple[list[float], list[float]]:
    """Expected regret and the variance of what is told, action by action (Russo, Van Roy 2018)."""
    beliefs, x = found
    K = len(beliefs)
    below = [one.cumsum() - one / 2 for one in beliefs]
    worth = [(one * x).cumsum() - one * x / 2 for one in beliefs]
    means = [float((one * x).sum()) for one in beliefs]
    chance: list[float] = []
    given_best: list[list[float]] = []
    for a in range(K):
        others = [b for b in range(K) if b != a]
        leads = beliefs[a] * np.prod([below[b] for b in others], axis=0)
        chance.append(float(leads.sum()))
        row = [0.0] * K
        row[a] = float((leads * x).sum()) / chance[a]
        for b in others:
            third = [below[c] for c in others if c != b]
            leads_b = beliefs[a] * worth[b] * np.prod(third, axis=0)
            row[b] = float(leads_b.sum()) / chance[a]
        given_best.append(row)
    best = sum(chance[a] * given_best[a][a] for a in range(K))
    told = [sum(chance[a] * (given_best[a][b] - means[b]) ** 2 for a in range(K)) for b in range(K)]
    return [best - mean for mean in means], told


def ratio(mix: list[float], regret: list[float], told: list[float]) -> float:
    lost = sum(p * r for p, r in zip(mix, regret, strict=True))
    return lost**2 / max(sum(p * g for p, g in zip(mix, told, strict=True)), 1e-30)


def pairs_of(K: int) -> list[list[float]]:
    found: list[list[float]] = []
    for i in range(K):
        for j in range(i):
            for step in range(401):
                mix = [0.0] * K
                mix[i], mix[j] = step / 400, 1 - step / 400
                found.append(mix)
    return found


def test_an_action_that_is_surely_best_is_played_surely() -> None:
    policies = directed(np.array([[0.0, 0.3, 0.4]]), np.array([[0.0, 1e-4, 0.0]]))
    assert policies[0].tolist() == [1.0, 0.0, 0.0]


def test_ids_and_bayes_ucb_beat_thompson_where_rounds_are_few() -> None:
    problem = ConcreteProblem("bandit", 4, 25, {})
    scenarios = [environments.draw([problem], 3, "test", 0, i) for i in range(400)]

    def regret_of(name: str) -> float:
        plays = baselines.play(name, scenarios, 0)
        return sum(float((s.means.max() - (p.policies_TK * s.means).sum(axis=1)).sum())
                   for s, p in zip(scenarios, plays, strict=True)) / 400  # fmt: skip

    order = [regret_of(name) for name in ("ids", "bayes_ucb", "thompson", "random")]
    assert all(one < other - 0.1 for one, other in pairwise(order))
