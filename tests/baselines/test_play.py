import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.baselines import BASELINES, ORACLES
from rmft_api.core.errors import ConfigError
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.environments.online_learning import ZeroTheFavourite
from rmft_api.selection import regret
from rmft_api.selection.regret import Floats, PlayArrays
from rmft_api.testing import AlgorithmContract

EVERY = sorted(BASELINES)


def drawn(name: str, K: int, T: int, count: int, **options: object) -> list[Scenario]:
    problem = ConcreteProblem(name, K, T, options)
    return [environments.draw([problem], 0, "test", 0, i) for i in range(count)]


ENVIRONMENTS = {"bandit": "bandit", "full": "online_learning", "features": "contextual"}


def playable_by(name: str, count: int = 4, T: int = 30) -> list[Scenario]:
    needs = BASELINES[name].needs if name in BASELINES else "bandit"
    return drawn(ENVIRONMENTS[needs], 3, T, count)


def same(one: PlayArrays, other: PlayArrays) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", [*EVERY, *ORACLES])
def test_every_play_is_whole_and_acts_from_distributions(name: str) -> None:
    scenarios = playable_by(name)
    for scenario, play in zip(scenarios, baselines.play(name, scenarios, 0), strict=True):
        assert play.actions_T.shape == (scenario.T,)
        assert ((play.actions_T >= 0) & (play.actions_T < scenario.K)).all()
        assert play.policies_TK.sum(axis=1) == pytest.approx(1)
        assert play.policies_TK.min() >= 0
        assert (np.take_along_axis(play.policies_TK, play.actions_T[:, None], 1) > 0).all()
        assert np.array_equal(play.rewards_TK, scenario.rewards)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("check", [n for n in dir(AlgorithmContract) if n.startswith("test_")])
def test_every_baseline_keeps_the_contract_of_algorithms(name: str, check: str) -> None:
    contract = AlgorithmContract()
    contract.algorithm = name
    contract.problem = (ENVIRONMENTS[BASELINES[name].needs], 3, 20)
    getattr(contract, check)()


@pytest.mark.parametrize("name", EVERY)
def test_a_play_depends_on_its_address_and_not_on_its_company(name: str) -> None:
    scenarios = playable_by(name)
    alone = baselines.play(name, scenarios[:2], 5)
    mixed = [*scenarios[:2], *playable_by(name, T=7), scenarios[3]]
    together = baselines.play(name, mixed, 5)
    assert all(same(a, b) for a, b in zip(alone, together[:2], strict=True))


def test_scenarios_of_coins_and_of_others_can_be_played_side_by_side() -> None:
    coins = drawn("bandit", 3, 30, 2)
    others = drawn("bandit", 3, 30, 4, reward="gaussian")[2:]
    together = baselines.play("thompson", [*coins, *others], 5)
    alone = [
        *baselines.play("thompson", coins, 5),
        *baselines.play("thompson", [*others, *others], 5)[2:],
    ]
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("name", ["random", "thompson", "exp3", "eps_greedy", "gaussian_thompson"])
def test_another_seed_and_another_place_play_otherwise(name: str) -> None:
    (scenario,) = playable_by(name, count=1)
    first, second = baselines.play(name, [scenario, scenario], 0)
    (other,) = baselines.play(name, [scenario], 1)
    assert not same(first, second)
    assert not same(first, other)


def test_batches_are_cut_for_memory_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios = playable_by("thompson", count=5)
    whole = baselines.play("thompson", scenarios, 0)
    monkeypatch.setattr("rmft_api.baselines.registry.CELLS", 2 * 3 * 30)
    cut = baselines.play("thompson", scenarios, 0)
    assert all(same(a, b) for a, b in zip(whole, cut, strict=True))


def zero_the_favourite_alone(t: int, policy: Floats, row: Floats) -> Floats:
    assert policy.ndim == 1
    return ZeroTheFavourite()(t, policy, row)


@pytest.mark.parametrize("name", ["hedge", "ftpl", "exp3", "greedy"])
def test_an_adversary_of_ones_own_is_asked_for_each_trajectory(name: str) -> None:
    ours = drawn("online_learning", 3, 20, 4, process="adaptive")
    own = [
        Scenario(s.rewards, s.means, "full", "static", adversary=zero_the_favourite_alone)
        for s in ours
    ]
    plays = zip(baselines.play(name, ours, 0), baselines.play(name, own, 0), strict=True)
    for on_batches, one_by_one in plays:
        assert same(on_batches, one_by_one)
        assert (on_batches.rewards_TK.min(axis=1) == 0).all()
        assert np.array_equal(on_batches.means_TK, on_batches.rewards_TK)


def test_adversaries_on_batches_that_differ_answer_their_own_plays() -> None:
    ours = drawn("online_learning", 3, 20, 4, process="adaptive")
    turned = [s.in_order(order) for s, order in zip(ours, [(2, 0, 1), (0, 1, 2)] * 2, strict=True)]
    for scenario, play in zip(turned, baselines.play("hedge", turned, 0), strict=True):
        for t in range(20):
            faced = scenario.face(t, play.policies_TK[t])
            assert np.array_equal(play.rewards_TK[t], faced)


def test_an_adversary_beats_what_is_certain_and_not_what_mixes() -> None:
    scenarios = drawn("online_learning", 3, 100, 20, process="adaptive")

    def regret_of(name: str) -> float:
        plays = regret.stack(baselines.play(name, scenarios, 0))
        return float(regret.regrets_N(plays)["static_expected"].mean())

    assert regret_of("greedy") > 50
    assert regret_of("hedge") < 10


def test_even_play_is_another_game_where_its_drawn_action_is_answered() -> None:
    scenarios = drawn("online_learning", 5, 100, 50, process="adaptive")
    plays = regret.stack(baselines.play("random", scenarios, 0))
    mixed = regret.regrets_N(plays)["static_expected"].mean()
    certain = regret.one_hot(plays.actions_T, 5)
    faced = [[s.face(t, c[t]) for t in range(100)] for s, c in zip(scenarios, certain, strict=True)]
    rewards = np.array(faced)
    answered = regret.PlayArrays(rewards, rewards, plays.actions_T, certain)
    drawn_action = regret.regrets_N(answered)["static_expected"].mean()
    assert (mixed, drawn_action) == (pytest.approx(18.6, abs=0.5), pytest.approx(76.6, abs=1.0))


def test_oracles_have_no_regret_of_their_own_kind() -> None:
    still = baselines.play("best_fixed", drawn("bandit", 3, 20, 3), 0)
    moving = baselines.play("best_dynamic", drawn("nonstationary", 3, 20, 3), 0)
    told = baselines.play("best_fixed", drawn("online_learning", 3, 20, 3), 0)
    for play in still:
        assert regret.regrets(play).pseudo == pytest.approx(0)
    for play in moving:
        assert regret.regrets(play).dynamic == pytest.approx(0)
    for play in told:
        assert regret.regrets(play).static_expected == pytest.approx(0)


def test_oracles_are_no_competitors() -> None:
    assert not BASELINES.keys() & ORACLES.keys()


def test_suitable_names_who_can_play_what_is_told() -> None:
    (bandit,) = drawn("bandit", 3, 5, 1)
    (full,) = drawn("online_learning", 3, 5, 1)
    (contextual,) = drawn("contextual", 3, 5, 1)
    assert "hedge" not in baselines.suitable(bandit)
    assert set(baselines.suitable(full)) - set(baselines.suitable(bandit)) == {
        "hedge",
        "ada_hedge",
        "optimistic_hedge",
        "ftrl_l2",
        "ftpl",
    }
    assert set(baselines.suitable(contextual)) - set(baselines.suitable(bandit)) == {
        "linucb",
        "lin_thompson",
    }


def test_wrong_names_and_options_are_answered_with_the_known_ones() -> None:
    (bandit,) = drawn("bandit", 3, 5, 1)
    with pytest.raises(ConfigError, match=r"unknown baseline 'ucbl'; did you mean 'ucb1'"):
        baselines.play("ucbl", [bandit], 0)
    with pytest.raises(ConfigError, match=r"'ucb' has no option d=1; known: c"):
        baselines.play("ucb", [bandit], 0, {"d": 1})
    with pytest.raises(ConfigError, match=r"'hedge' needs all K rewards .* scenario 0; .*thompson"):
        baselines.play("hedge", [bandit], 0)
    with pytest.raises(ConfigError, match="'linucb' needs contexts as numbers"):
        baselines.play("linucb", [bandit], 0)


@pytest.mark.parametrize("name", ["thompson", "gaussian_thompson", "d_ts"])
def test_a_player_whose_distribution_nobody_knows_is_none_for_an_adversary(name: str) -> None:
    (scenario,) = drawn("online_learning", 3, 5, 1, process="adaptive")
    with pytest.raises(ConfigError, match=rf"'{name}' hides its distribution .* scenario 0; "):
        baselines.play(name, [scenario], 0)
    assert name not in baselines.suitable(scenario)
    assert {"ucb1", "exp3", "hedge"} <= set(baselines.suitable(scenario))


def test_an_option_reaches_its_algorithm() -> None:
    scenarios = drawn("bandit", 3, 50, 3)
    wide = baselines.play("ucb", scenarios, 0, {"c": 2.0})
    ucb1 = baselines.play("ucb1", scenarios, 0)
    assert all(same(a, b) for a, b in zip(wide, ucb1, strict=True))


def test_no_scenarios_make_no_plays() -> None:
    assert baselines.play("random", [], 0) == []
