"""The limit is near what dynamic programming finds, and follows its formula."""

import math

import numpy as np
import pytest

from rmft_api import environments
from rmft_api.baselines import limit
from rmft_api.baselines.game import table
from rmft_api.baselines.limit import FiniteHorizonIndex, IndexRule
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.environments import ConcreteProblem
from rmft_api.selection.regret import Floats

NEAR = 0.02
"""How far, as a share, the limit's regret may be above the least possible on two coins."""


def least_regret(T: int, rule: IndexRule | None) -> float:
    """Mean regret on two coins of chances U(0, 1): of the best player, or of an index.

    Exactly, by backward induction over wins and losses: the mean of the better chance is 2/3, and
    the belief on a coin is Beta(1 + wins, 1 + losses).
    """
    after = np.zeros((T + 2, T + 2, T + 2))  # tries of the first, its wins, wins of the second
    for t in reversed(range(T)):
        now = np.zeros_like(after)
        for n in range(t + 1):
            w, v = np.meshgrid(np.arange(n + 1), np.arange(t - n + 1), indexing="ij")
            wins, others = w.astype(np.float64), v.astype(np.float64)
            p, q = (w + 1) / (n + 2), (v + 1) / (t - n + 2)
            first = p * (1 + after[n + 1, w + 1, v]) + (1 - p) * after[n + 1, w, v]
            second = q * (1 + after[n, w, v + 1]) + (1 - q) * after[n, w, v]
            if rule is None:
                now[n, : n + 1, : t - n + 1] = np.maximum(first, second)
            else:
                chosen = index(rule, t, T, wins, n) >= index(rule, t, T, others, t - n)
                now[n, : n + 1, : t - n + 1] = np.where(chosen, first, second)
        after = now
    return T * 2 / 3 - float(after[0, 0, 0])


def index(rule: IndexRule, t: int, T: int, wins: Floats, n: int) -> Floats:
    """The formula, by itself."""
    mean = (wins + rule.prior / 2) / (n + rule.prior)
    if rule.form == "even":
        return mean + rule.scale * (1 - t / T) ** rule.shape / math.sqrt(n + 1)
    variance = mean * (1 - mean) / (n + rule.prior + 1)
    if rule.form == "belief":
        return mean + rule.scale * (1 - t / T) ** rule.shape * np.sqrt(variance)
    left = math.log(1 + rule.shape * (T - t - 1) / (n + 1))
    return mean + rule.scale * np.sqrt(variance * left)


@pytest.mark.parametrize("T", [10, 25, 50, 100, 35, 70])
def test_on_two_coins_the_limit_is_near_the_optimum(T: int) -> None:
    rule = limit.rule_of(ConcreteProblem("bandit", 2, T, {}))
    assert rule is not None
    best, found = least_regret(T, None), least_regret(T, rule)
    assert best <= found <= best * (1 + NEAR)


def test_the_optimum_is_the_known_one_of_two_rounds() -> None:
    assert least_regret(1, None) == pytest.approx(2 / 3 - 1 / 2)
    assert least_regret(2, None) == pytest.approx(4 / 3 - 13 / 12)


@pytest.mark.parametrize("form", ["even", "belief", "logarithm"])
def test_it_plays_the_largest_index(form: limit.Form) -> None:
    K, T, rule = 3, 40, IndexRule(form, 0.5, 0.7, 0.8)
    scenario = environments.draw([ConcreteProblem("bandit", K, T, {})], 3, "test", 0, 0)
    known = table([scenario], RandomStreams(0, "limit", [0]))
    player = FiniteHorizonIndex(known, rule)
    wins, tries = np.zeros(K), [0] * K
    for t in range(T):
        (action,) = player.choose(t).tolist()
        values = [float(index(rule, t, T, wins[a], tries[a])) for a in range(K)]
        assert action == values.index(max(values))
        reward = scenario.rewards[t, action]
        player.learn(t, np.array([action]), np.array([reward]))
        wins[action] += reward
        tries[action] += 1


def test_every_tuned_cell_is_below_greedy_and_not_clearly_above_any_known_algorithm() -> None:
    rows = limit.cells()
    assert {(one.reward, one.K, one.T) for one in rows} == {
        (reward, K, T)
        for reward in ("bernoulli", "gaussian", "uniform")
        for K in (2, 3, 4, 5, 6, 8, 10)
        for T in (10, 25, 50, 100, 200, 400)
    }
    for one in rows:
        assert one.same < min(one.greedy, one.thompson)
        assert one.same < one.ids * 1.08  # chance is 6 % here


@pytest.mark.parametrize(("reward", "K", "T"), [("bernoulli", 4, 25), ("gaussian", 3, 50)])
def test_a_recorded_regret_is_met_on_scenarios_of_another_seed(reward: str, K: int, T: int) -> None:
    problem = ConcreteProblem("bandit", K, T, {"reward": reward})
    scenarios = [environments.draw([problem], 5, "test", 0, i) for i in range(1500)]
    plays = limit.play(problem, scenarios)
    rows = np.arange(T)
    regrets = np.array([
        (s.means.max() - s.means[rows, p.actions_T]).sum()
        for s, p in zip(scenarios, plays, strict=True)
    ])  # fmt: skip
    (cell,) = [c for c in limit.cells() if (c.reward, c.K, c.T) == (reward, K, T)]
    reach = 3.5 * math.hypot(float(regrets.std()) / math.sqrt(1500), cell.error)
    assert float(regrets.mean()) == pytest.approx(cell.regret, abs=reach)


def test_sizes_between_are_played_by_the_nearest_rule_and_others_have_no_limit() -> None:
    def rule(K: int, T: int, **options: object) -> IndexRule | None:
        return limit.rule_of(ConcreteProblem("bandit", K, T, options))

    assert rule(5, 27) == rule(5, 25)
    assert rule(7, 100) in {rule(6, 100), rule(8, 100)}
    assert rule(3, 25, reward="bernoulli", clip=True) == rule(3, 25)
    assert rule(3, 25, reward="uniform") != rule(3, 25)
    refused = [
        ConcreteProblem("nonstationary", 3, 25, {}),
        ConcreteProblem("bandit", 3, 4, {}),
        ConcreteProblem("bandit", 20, 25, {}),
        ConcreteProblem("bandit", 5, 25, {"instance": "hard", "reward": "gaussian"}),
        ConcreteProblem("bandit", 3, 25, {"reward": "gaussian", "sd": 0.1}),
    ]
    assert [limit.rule_of(one) for one in refused] == [None] * 5
    assert [limit.why_not(one).split(",")[0] for one in refused] == [
        "it is known for bandits with constant means",
        *["it is known for T from 5 to 500 and K to 12"] * 2,
        *["it is known for means drawn from U(0"] * 2,
    ]
    with pytest.raises(ValueError, match="no limit of nonstationary"):
        limit.play(refused[0], [])
