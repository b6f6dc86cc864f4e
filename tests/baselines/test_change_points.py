"""GLR-klUCB, worked out again one number at a time."""

import math

import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.baselines.change_points import likelihood_ratio
from rmft_api.environments import ConcreteProblem, Scenario


def kl(p: float, q: float) -> float:
    parts = [(p, q), (1 - p, 1 - q)]
    return sum(a * math.log(a / b) if b else math.inf for a, b in parts if a > 0)


def bound(p: float, reach: float) -> float:
    low, high = p, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kl(p, middle) <= reach else (low, middle)
    return low


def statistic(rewards: list[float]) -> float:
    n, mean = len(rewards), sum(rewards) / len(rewards)
    return max(
        s * kl(sum(rewards[:s]) / s, mean) + (n - s) * kl(sum(rewards[s:]) / (n - s), mean)
        for s in range(1, n)
    )


def changing(T: int, K: int, half: int) -> Scenario:
    """The best action becomes the worst after `half` rounds."""
    means = np.full((T, K), 0.3)
    means[:half, 0], means[half:, 0] = 0.9, 0.05
    rewards = (np.random.default_rng(1).random((T, K)) < means).astype(float)
    return Scenario(rewards, means, "bandit", "dynamic", facts={"switches": 1.0})


@pytest.mark.parametrize("T", [60, 300])
def test_glr_kl_ucb_is_kl_ucb_with_forced_rounds_and_restarts(T: int) -> None:
    K = 3
    scenario = changing(T, K, T // 2)
    (play,) = baselines.play("glr_kl_ucb", [scenario], 1)
    told: list[list[float]] = [list[float]() for _ in range(K)]
    episode, since, restarts = 1, 0, list[int]()
    for t, action in enumerate(int(a) for a in play.actions_T):
        share = 0.1 * math.sqrt(episode * K * math.log(T) / T)
        forced = t % math.floor(K / min(share, 1))
        if forced < K:
            assert action == forced
        else:
            values = [
                bound(sum(r) / len(r), math.log(max(since, 1)) / len(r)) if r else math.inf
                for r in told
            ]
            assert values[action] >= max(values) - 2e-6
        told[action].append(float(scenario.rewards[t, action]))
        since += 1
        n = len(told[action])
        if n > 1 and statistic(told[action]) >= math.log(3 * n**1.5 * math.sqrt(T)):
            told, since, episode = [list[float]() for _ in range(K)], 0, episode + 1
            restarts.append(t)
    assert restarts
    assert all(restart >= T // 2 for restart in restarts)


def test_the_statistic_is_the_largest_of_all_cuts() -> None:
    rng = np.random.default_rng(0)
    rewards = (rng.random((40, 12)) < 0.4).astype(float)
    counts = rng.integers(2, 13, 40)
    found = likelihood_ratio(rewards.cumsum(axis=1), counts.astype(float))
    for row, n, one in zip(rewards, counts.tolist(), found.tolist(), strict=True):
        assert one == pytest.approx(statistic(row[:n].tolist()), abs=1e-6)


def test_after_abrupt_changes_it_loses_less_than_kl_ucb() -> None:
    problem = ConcreteProblem("nonstationary", 2, 400, {"process": "abrupt", "switches": 4})
    scenarios = [environments.draw([problem], 3, "test", 0, i) for i in range(60)]

    def regret_of(name: str) -> float:
        plays = baselines.play(name, scenarios, 0)
        each = [
            float((s.means.max(axis=1) - s.means[np.arange(400), p.actions_T]).sum())
            for s, p in zip(scenarios, plays, strict=True)
        ]
        return sum(each) / len(each)

    assert regret_of("glr_kl_ucb") < 0.9 * regret_of("kl_ucb")
