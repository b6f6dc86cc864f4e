"""Each algorithm against its formula, worked out again in the plainest way."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rmft_api import baselines, environments
from rmft_api.baselines.bandits import (
    BetaThompson,
    GaussianThompson,
    kl_bound,
    thompson,
)
from rmft_api.baselines.full_information import leading, project
from rmft_api.baselines.game import table
from rmft_api.baselines.nonstationary import DiscountedBetaThompson, discounted_thompson
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.selection import regret
from rmft_api.selection.regret import Floats, PlayArrays

HARD = ConcreteProblem("bandit", 5, 100, {"instance": "hard"})


def scenario_of(problem: ConcreteProblem, index: int = 0) -> Scenario:
    return environments.draw([problem], 3, "test", 0, index)


def played(name: str, problem: ConcreteProblem) -> tuple[Scenario, PlayArrays]:
    scenario = scenario_of(problem)
    return scenario, baselines.play(name, [scenario], 1)[0]


# Mean pseudo-regret of the hard bandit at T = 100 over 20,000 scenarios; errors are below .03.
REFERENCE = {
    "ucb1": 13.74,
    "ucb": 11.23,
    "kl_ucb": 10.95,
    "thompson": 11.19,
    "exp3": 14.80,
    "exp3s": 15.18,
    "random": 16.00,
}


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_regret_of_the_hard_bandit_is_met(name: str) -> None:
    scenarios = [scenario_of(HARD, i) for i in range(1500)]
    plays = regret.stack(baselines.play(name, scenarios, 0))
    pseudo_N = regret.regrets_N(plays)["pseudo"]
    error = float(pseudo_N.std()) / math.sqrt(len(pseudo_N))
    assert float(pseudo_N.mean()) == pytest.approx(REFERENCE[name], abs=0.03 + 3 * error)


Index = Callable[[int, list[float], int], float]
"""(rounds played, rewards of one action so far, its tries) -> what it is worth trying."""


def mean(rewards: list[float]) -> float:
    return sum(rewards) / len(rewards)


INDICES: dict[str, Index] = {
    "greedy": lambda t, rewards, n: mean(rewards),
    "ucb1": lambda t, rewards, n: mean(rewards) + math.sqrt(2 * math.log(t) / n),
    "ucb": lambda t, rewards, n: mean(rewards) + math.sqrt(0.5 * math.log(t) / n),
    "k24_ucb": lambda t, rewards, n: mean(rewards) + math.sqrt(1 / n),
    "kl_ucb": lambda t, rewards, n: by_halving(mean(rewards), math.log(t) / n),
    "moss": lambda t, rewards, n: mean(rewards) + math.sqrt(max(math.log(80 / (4 * n)), 0) / n),
}


def kl(p: float, q: float) -> float:
    parts = [(p, q), (1 - p, 1 - q)]
    return sum(a * math.log(a / b) if b else math.inf for a, b in parts if a > 0)


def by_halving(p: float, reach: float) -> float:
    low, high = p, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kl(p, middle) <= reach else (low, middle)
    return low


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("reward", ["bernoulli", "gaussian"])
def test_index_algorithms_choose_the_largest_index_the_lowest_of_equals(
    name: str, reward: str
) -> None:
    scenario, play = played(name, ConcreteProblem("bandit", 4, 80, {"reward": reward}))
    told: list[list[float]] = [[] for _ in range(4)]
    for t in range(80):
        values = [INDICES[name](t, r, len(r)) if r else math.inf for r in told]
        action = int(play.actions_T[t])
        assert values[action] >= max(values) - 2e-6
        if name == "greedy":
            assert action == values.index(max(values))
        told[action].append(float(scenario.rewards[t, action]))


@given(st.floats(0, 1), st.floats(1e-3, 20))
def test_the_kl_bound_is_the_largest_q_within_reach(p: float, reach: float) -> None:
    bound = float(kl_bound(np.array([p]), np.array([reach]))[0])
    largest = by_halving(p, reach)
    assert largest - 1e-9 <= bound <= largest + 2e-6


def test_eps_greedy_tries_all_then_mixes_a_tenth_with_the_leader() -> None:
    _, play = played("eps_greedy", ConcreteProblem("bandit", 4, 30, {}))
    assert play.actions_T[:4].tolist() == [0, 1, 2, 3]
    assert np.sort(play.policies_TK[4:], axis=1) == pytest.approx(
        np.tile([0.025, 0.025, 0.025, 0.925], (26, 1))
    )


def test_thompson_believes_in_coins_only_where_rewards_are_coins() -> None:
    def variant(reward: str) -> tuple[object, object]:
        scenario = scenario_of(ConcreteProblem("bandit", 3, 40, {"reward": reward}))
        known = table([scenario], RandomStreams(0, "thompson", [0]))
        return type(thompson(known)), type(discounted_thompson(known))

    assert variant("bernoulli") == (BetaThompson, DiscountedBetaThompson)
    assert variant("gaussian") == (GaussianThompson, GaussianThompson)
    assert variant("uniform") == (GaussianThompson, GaussianThompson)


@pytest.mark.parametrize(
    "options",
    [
        {"reward": "gaussian"},
        {"reward": "uniform"},
        {"reward": "gaussian", "clip": False, "sd": 1.0},
        {"reward": "gaussian", "sd": 0.02},
    ],
    ids=str,
)
def test_thompson_is_right_on_rewards_of_any_scale(options: dict[str, object]) -> None:
    problem = ConcreteProblem("bandit", 3, 300, {"means": [0.2, 0.5, 0.8], **options})
    scenarios = [scenario_of(problem, i) for i in range(100)]
    plays = regret.stack(baselines.play("thompson", scenarios, 0))
    last_N = regret.per_round(plays, "pseudo")[:, 200:].mean(axis=1)
    assert last_N.mean() < 0.05  # .3 for uniform play


Literal = tuple[float, float, int]
"""gamma, alpha, rounds between two starts."""


def of_exp3(K: int, T: int, facts: Mapping[str, float]) -> Literal:
    return min(1.0, math.sqrt(K * math.log(K) / ((math.e - 1) * T))), 0.0, T


def of_exp3s(K: int, T: int, facts: Mapping[str, float]) -> Literal:
    hardness = 1 + facts.get("switches", 0)
    inside = K * (hardness * math.log(K * T) + math.e) / ((math.e - 1) * T)
    return min(1.0, math.sqrt(inside)), 1 / T, T


def of_rexp3(K: int, T: int, facts: Mapping[str, float]) -> Literal:
    batch = math.ceil((K * math.log(K)) ** (1 / 3) * (T / facts["V_T"]) ** (2 / 3))
    return of_exp3(K, batch, facts)


@pytest.mark.parametrize(
    ("name", "constants"), [("exp3", of_exp3), ("exp3s", of_exp3s), ("rexp3", of_rexp3)]
)
@pytest.mark.parametrize(
    ("K", "T", "options"),
    [
        (3, 400, {"switches": 3}),
        (2, 60, {"process": "drift"}),
        (5, 25, {"process": "sine", "reward": "gaussian"}),
    ],
)
def test_exponential_weights_are_the_published_pseudo_code(
    name: str,
    constants: Callable[[int, int, Mapping[str, float]], Literal],
    K: int,
    T: int,
    options: dict[str, object],
) -> None:
    scenario, play = played(name, ConcreteProblem("nonstationary", K, T, options))
    gamma, alpha, batch = constants(K, T, scenario.facts)
    weights = [1.0] * K
    for t in range(T):
        if t % batch == 0:
            weights = [1.0] * K
        whole = sum(weights)
        p = [(1 - gamma) * w / whole + gamma / K for w in weights]
        assert play.policies_TK[t] == pytest.approx(p)
        drawn = int(play.actions_T[t])
        x = [float(scenario.rewards[t, j]) / p[j] if j == drawn else 0.0 for j in range(K)]
        weights = [
            w * math.exp(gamma * xj / K) + math.e * alpha / K * whole
            for w, xj in zip(weights, x, strict=True)
        ]


def test_exp3s_can_be_told_how_often_the_best_action_changes() -> None:
    scenario = scenario_of(ConcreteProblem("nonstationary", 3, 400, {"switches": 3}))
    (known,) = baselines.play("exp3s", [scenario], 1)
    (told,) = baselines.play("exp3s", [scenario], 1, {"segments": 4})
    (still,) = baselines.play("exp3s", [scenario], 1, {"segments": 1})
    assert np.array_equal(known.policies_TK, told.policies_TK)
    assert still.policies_TK.min() < known.policies_TK.min()


@pytest.mark.parametrize("reward", ["bernoulli", "gaussian"])
def test_exp3_ix_keeps_estimates_small_by_half_its_step(reward: str) -> None:
    K, T = 3, 200
    scenario, play = played("exp3_ix", ConcreteProblem("bandit", K, T, {"reward": reward}))
    eta = math.sqrt(2 * math.log(K) / (K * T))
    losses = [0.0] * K
    for t in range(T):
        weights = [math.exp(-eta * loss) for loss in losses]
        p = [w / sum(weights) for w in weights]
        assert play.policies_TK[t] == pytest.approx(p)
        drawn = int(play.actions_T[t])
        losses[drawn] += (1 - float(scenario.rewards[t, drawn])) / (p[drawn] + eta / 2)


def by_bisection(losses: list[float], eta: float) -> list[float]:
    low, high = min(losses) - 2 * math.sqrt(len(losses)) / eta, min(losses) - 2 / eta
    for _ in range(200):
        x = (low + high) / 2
        weights = [4 / (eta * (loss - x)) ** 2 for loss in losses]
        low, high = (x, high) if sum(weights) < 1 else (low, x)
    return [4 / (eta * (loss - low)) ** 2 for loss in losses]


@pytest.mark.parametrize("reward", ["bernoulli", "uniform"])
def test_tsallis_inf_is_the_published_pseudo_code_with_reduced_variance(reward: str) -> None:
    K, T = 4, 200
    scenario, play = played("tsallis_inf", ConcreteProblem("bandit", K, T, {"reward": reward}))
    losses = [0.0] * K
    for t in range(T):
        eta = 4 / math.sqrt(t + 1)
        p = by_bisection(losses, eta)
        assert play.policies_TK[t] == pytest.approx(p, abs=1e-9)
        drawn = int(play.actions_T[t])
        for j in range(K):
            usual = 0.5 if play.policies_TK[t, j] >= eta**2 else 0.0
            lost = 1 - float(scenario.rewards[t, j])
            losses[j] += usual + ((lost - usual) / p[j] if j == drawn else 0.0)


def test_the_sliding_window_forgets_what_left_it() -> None:
    T = 120
    scenario, play = played("sw_ucb", ConcreteProblem("nonstationary", 3, T, {"switches": 4}))
    tau = math.ceil(2 * math.sqrt(T * math.log(T) / scenario.facts["switches"]))
    assert tau < T
    for t in range(T):
        window = range(max(0, t - tau), t)
        values: list[float] = []
        for a in range(3):
            told = [float(scenario.rewards[s, a]) for s in window if play.actions_T[s] == a]
            width = math.sqrt(0.6 * math.log(min(t + 1, tau)) / len(told)) if told else math.inf
            values.append(mean(told) + width if told else math.inf)
        assert values[int(play.actions_T[t])] >= max(values) - 1e-9


def test_discounted_ucb_fades_every_round() -> None:
    T = 80
    scenario, play = played("d_ucb", ConcreteProblem("nonstationary", 3, T, {"switches": 4}))
    gamma = 1 - math.sqrt(scenario.facts["switches"] / T) / 4
    for t in range(3, T):
        n = [0.0] * 3
        total = [0.0] * 3
        for s in range(t):
            fade = gamma ** (t - 1 - s)
            n[play.actions_T[s]] += fade
            total[play.actions_T[s]] += fade * float(scenario.rewards[s, play.actions_T[s]])
        width = [2 * math.sqrt(0.6 * math.log(max(sum(n), 1)) / one) for one in n]
        values = [total[a] / n[a] + width[a] for a in range(3)]
        assert values[int(play.actions_T[t])] >= max(values) - 1e-9


def test_hedge_ftrl_and_ftpl_follow_their_formulas() -> None:
    K, T = 4, 50
    problem = ConcreteProblem("online_learning", K, T, {})
    scenario, hedge = played("hedge", problem)
    _, ftrl = played("ftrl_l2", problem)
    _, ftpl = played("ftpl", problem)
    for t in range(T):
        sums_K = scenario.rewards[:t].sum(axis=0)
        weights = np.exp(math.sqrt(4 * math.log(K) / (t + 1)) * (sums_K - sums_K.max()))
        assert hedge.policies_TK[t] == pytest.approx(weights / weights.sum())
        nearest = project((sums_K / math.sqrt(t + 1))[None])[0]
        assert ftrl.policies_TK[t] == pytest.approx(nearest)
        assert ftpl.policies_TK[t] == pytest.approx(leading(weights[None])[0])


def ada_hedge(rewards: Floats) -> list[list[float]]:
    """The authors' listing, in losses."""
    K = rewards.shape[1]
    total, gap, policies = [0.0] * K, 0.0, list[list[float]]()
    for row in rewards.tolist():
        eta = math.log(K) / gap if gap else math.inf
        weights, before = mixed(eta, total)
        policies.append(weights)
        expected = sum(w * -r for w, r in zip(weights, row, strict=True))
        total = [one - r for one, r in zip(total, row, strict=True)]
        gap += max(0.0, expected - (mixed(eta, total)[1] - before))
    return policies


def mixed(eta: float, losses: list[float]) -> tuple[list[float], float]:
    least = min(losses)
    if eta == math.inf:
        weights = [float(one == least) for one in losses]
        return [w / sum(weights) for w in weights], least
    weights = [math.exp(-eta * (one - least)) for one in losses]
    return [w / sum(weights) for w in weights], least - math.log(sum(weights) / len(losses)) / eta


def optimistic_hedge(rewards: Floats) -> list[list[float]]:
    K = rewards.shape[1]
    last, total, moved, policies = [0.0] * K, [0.0] * K, [0.0, 0.0], list[list[float]]()
    for row in rewards.tolist():
        root = math.sqrt(moved[-1]) + math.sqrt(moved[-2])
        eta = math.sqrt(math.log(K)) * min(1.0, 1.0 / root if root else 1.0)
        weights = [math.exp(eta * (s + m)) for s, m in zip(total, last, strict=True)]
        policies.append([w / sum(weights) for w in weights])
        moved.append(moved[-1] + max(abs(r - m) for r, m in zip(row, last, strict=True)) ** 2)
        total, last = [s + r for s, r in zip(total, row, strict=True)], row
    return policies


@pytest.mark.parametrize("process", ["gaussian", "bernoulli", "rotating", "adaptive"])
@pytest.mark.parametrize(
    ("name", "listing"), [("ada_hedge", ada_hedge), ("optimistic_hedge", optimistic_hedge)]
)
def test_hedges_that_adapt_follow_their_listings(
    name: str, listing: Callable[[Floats], list[list[float]]], process: str
) -> None:
    _, play = played(name, ConcreteProblem("online_learning", 4, 60, {"process": process}))
    assert play.policies_TK == pytest.approx(np.array(listing(play.rewards_TK)), abs=1e-9)


@given(hnp.arrays(np.float64, (1, 4), elements=st.floats(-3, 3)))
def test_a_projection_is_the_nearest_point_of_the_simplex(point: Floats) -> None:
    projected = project(point)[0]
    assert projected.min() >= 0
    assert projected.sum() == pytest.approx(1)
    # Nearest, exactly when no corner lies further along the direction from there to the point.
    slopes = np.eye(4) @ (point[0] - projected) - projected @ (point[0] - projected)
    assert slopes.max() <= 1e-9


@pytest.mark.parametrize("sums", [[0.0, 0.0], [1.0, 0.2, -0.5], [3.0, 2.9, 2.0, -4.0, 0.0]])
def test_the_chance_to_lead_is_what_noise_makes_of_it(sums: list[float]) -> None:
    noise = np.random.default_rng(0).exponential(1.0, (200_000, len(sums)))
    leaders = np.bincount((noise + sums).argmax(axis=1), minlength=len(sums)) / len(noise)
    exact = leading(np.exp(np.array([sums]) - max(sums)))[0]
    assert exact == pytest.approx(leaders, abs=0.005)


def test_linucb_is_a_ridge_regression_with_a_bound() -> None:
    K, T = 3, 40
    scenario, play = played("linucb", ConcreteProblem("contextual", K, T, {"features": 3}))
    assert scenario.features is not None
    for t in range(T):
        values: list[float] = []
        for a in range(K):
            rounds = np.flatnonzero(play.actions_T[:t] == a)
            seen, x = scenario.features[rounds], scenario.features[t]
            inverse = np.linalg.inv(np.eye(3) + seen.T @ seen)
            theta = inverse @ seen.T @ scenario.rewards[rounds, a]
            values.append(float(theta @ x + math.sqrt(x @ inverse @ x)))
        assert values[int(play.actions_T[t])] >= max(values) - 1e-9


def test_addressed_draws_have_the_distributions_they_are_named_after() -> None:
    chance = RandomStreams(0, "test", range(400))
    uniform = np.stack([chance.uniform(t, 5) for t in range(50)])
    normal = np.stack([chance.normal(t, 5) for t in range(50)])
    assert uniform.mean() == pytest.approx(0.5, abs=0.005)
    assert uniform.var() == pytest.approx(1 / 12, abs=0.002)
    assert normal.mean() == pytest.approx(0, abs=0.015)
    assert normal.var() == pytest.approx(1, abs=0.02)
    neighbours = np.corrcoef(uniform[:-1].ravel(), uniform[1:].ravel())[0, 1]
    assert abs(neighbours) < 0.015


@pytest.mark.parametrize(("wins", "losses"), [(1.0, 1.0), (1.0, 8.0), (3.5, 1.2), (40.0, 60.0)])
def test_addressed_beta_draws_have_the_moments_of_a_beta(wins: float, losses: float) -> None:
    chance = RandomStreams(0, "test", range(2000))
    shape = np.ones((2000, 5))
    draws = np.stack([chance.beta(t, shape * wins, shape * losses) for t in range(10)])
    total = wins + losses
    variance = wins * losses / (total**2 * (total + 1))
    error = 5 * math.sqrt(variance / draws.size)
    assert draws.mean() == pytest.approx(wins / total, abs=error)
    assert draws.var() == pytest.approx(variance, rel=0.05)
    assert ((draws > 0) & (draws < 1)).all()
