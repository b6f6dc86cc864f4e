import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api import baselines, environments
from rmft_api.core.records import Interval
from rmft_api.environments import ConcreteProblem
from rmft_api.evaluation import measures
from rmft_api.evaluation.measures import Measures
from rmft_api.selection import regret
from rmft_api.selection.regret import UNREAD, PlayArrays

BERNOULLI_MEANS = (0.2, 0.8, 0.5)


def played(
    *actions: int, rewards: list[float] | None = None, means: tuple[float, ...] = BERNOULLI_MEANS
) -> PlayArrays:
    """A play in which the chosen action earned `rewards` (its mean when absent)."""
    T, K = len(actions), len(means)
    means_TK = np.tile(means, (T, 1))
    rewards_TK = means_TK.copy()
    actions_T = np.array(actions)
    if rewards is not None:
        rewards_TK[np.arange(T), actions_T] = rewards
    return PlayArrays(rewards_TK, means_TK, actions_T, regret.one_hot(actions_T, K))


@pytest.mark.parametrize(
    ("actions", "fails"),
    [((1, 1, 0, 0), False), ((1, 0, 0, 0), True), ((0, 0, 0, 1), False), ((2, 2, 2, 2), True)],
)
def test_a_suffix_fails_when_the_best_action_is_not_chosen_from_half_time_on(
    actions: tuple[int, ...], fails: bool
) -> None:
    assert bool(measures.suff_fail(played(*actions), "pseudo")) is fails


def test_suffix_failure_can_be_asked_from_any_round() -> None:
    play = played(1, 0, 0, 0)
    failing = [bool(measures.suff_fail(play, "pseudo", t)) for t in (1, 2, 3, 4)]
    assert failing == [False, True, True, True]


def test_min_frac_is_the_share_of_the_least_chosen_action() -> None:
    assert measures.min_frac(played(0, 1, 2, 1, 1, 1, 1, 1)) == pytest.approx(1 / 8)
    assert measures.min_frac(played(0, 1, 1, 1)) == 0


def test_an_action_never_tried_counts_as_greedy_and_so_do_equals() -> None:
    #      untried, untried, untried, leader is 1, equal to it, behind
    play = played(0, 1, 2, 1, 2, 0, rewards=[0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert measures.greedy_frac(play) == pytest.approx(5 / 6)


def test_an_unreadable_reply_is_neither_best_nor_greedy_nor_valid() -> None:
    play = played(1, UNREAD, 1, UNREAD)
    summary = measures.summary([play], "pseudo")
    assert (summary.best_share, summary.greedy_frac, summary.valid) == (0.5, 0.5, 0.5)
    assert measures.suff_fail(play, "pseudo", 4)


def test_a_scaled_reward_runs_from_the_worst_mean_to_the_best() -> None:
    assert measures.scaled_reward(played(0, 0)) == pytest.approx(0)
    assert measures.scaled_reward(played(1, 1)) == pytest.approx(1)
    assert measures.scaled_reward(played(2)) == pytest.approx(0.5)
    assert measures.scaled_reward(played(0, means=(0.4, 0.4))) == 1


def moving(actions: list[int]) -> PlayArrays:
    means_TK = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 3)
    actions_T = np.array(actions)
    return PlayArrays(means_TK, means_TK, actions_T, regret.one_hot(actions_T, 2))


@pytest.mark.parametrize(
    ("actions", "delay"),
    [([0, 0, 0, 1, 1, 1], 0), ([0, 0, 0, 0, 0, 1], 2), ([0, 0, 0, 0, 0, 0], 3)],
)
def test_a_switch_is_as_late_as_the_first_choice_of_the_new_best(
    actions: list[int], delay: int
) -> None:
    assert measures.switch_delays(moving(actions)) == [delay]


def test_a_table_that_stands_still_has_no_switch_delay() -> None:
    assert measures.summary([played(1, 1)], "pseudo").switch_delay is None


def test_the_best_of_a_moving_table_is_the_best_of_the_round_only_for_dynamic_regret() -> None:
    play = moving([0, 0, 0, 1, 1, 1])
    assert measures.best_share(play, "dynamic") == 1
    assert measures.best_share(play, "pseudo") == 1  # both are best to keep
    tilted = play._replace(means_TK=play.means_TK + np.array([0.0, 0.05]))
    assert measures.best_share(tilted, "dynamic") == 1
    assert measures.best_share(tilted, "pseudo") == 0.5


def test_answers_that_all_stand_in_one_position_have_no_entropy() -> None:
    assert measures.answer_entropy([played(1, 1), played(1, UNREAD)]) == 0
    assert measures.answer_entropy([played(0, 1), played(2, 2, 1, 0)]) == pytest.approx(1)
    assert measures.answer_entropy([played(UNREAD)]) == 0


def test_entropy_weighs_several_k_by_their_rounds() -> None:
    even = played(0, 1, means=(0.1, 0.2))
    single = played(0, 0, 0, 0, 0, 0)
    assert measures.answer_entropy([even, single]) == pytest.approx(0.25)


@given(st.lists(st.lists(st.integers(-1, 2), min_size=1, max_size=9), min_size=1, max_size=6))
def test_a_summary_of_mixed_plays_averages_what_each_has(choices: list[list[int]]) -> None:
    plays = [played(*actions) for actions in choices]
    each = [measures.summary([play], "pseudo") for play in plays]
    whole = measures.summary(plays, "pseudo")
    for field in ("suff_fail_freq", "k_min_frac", "greedy_frac", "best_share", "valid"):
        assert getattr(whole, field) == pytest.approx(np.mean([getattr(m, field) for m in each]))
        assert 0 <= getattr(whole, field) <= 1
    assert whole.plays == len(plays)


def test_no_plays_cannot_be_summarised() -> None:
    with pytest.raises(ValueError, match="no plays to summarise"):
        measures.summary([], "pseudo")


REFERENCE = {"thompson": (0.01, 0.28, 0.62, 0.47), "k24_ucb": (0.02, 0.18, 0.76, 0.55)}
REFERENCE["greedy"] = (0.48, 0.05, 1.00, 0.40)


@pytest.mark.parametrize("name", REFERENCE)
def test_the_published_exploration_figures_of_the_hard_bandit_are_met(name: str) -> None:
    problem = ConcreteProblem("bandit", 5, 100, {"instance": "hard"})
    scenarios = [environments.draw([problem], 0, "test", 0, i) for i in range(2000)]
    summary = measures.summary(baselines.play(name, scenarios, 0), "pseudo")
    suff_fail, k_min_frac, greedy, reward = REFERENCE[name]
    assert summary.suff_fail_freq == pytest.approx(suff_fail, abs=0.03)
    assert summary.k_min_frac == pytest.approx(k_min_frac, abs=0.03)
    assert summary.greedy_frac == pytest.approx(greedy, abs=0.03)
    assert summary.median_reward == pytest.approx(reward, abs=0.075)


def figures(suff_fail_freq: float, k_min_frac: float) -> Measures:
    return Measures(
        plays=10,
        suff_fail_freq=suff_fail_freq,
        min_frac=k_min_frac / 3,
        k_min_frac=k_min_frac,
        greedy_frac=0.5,
        median_reward=0.5,
        best_share=0.5,
        switch_delay=None,
        valid=1.0,
        answer_entropy=1.0,
    )


def test_exploration_that_collapses_while_regret_falls_is_told() -> None:
    fell = Interval(1.0, 0.5, 1.5)
    warnings = measures.collapses(figures(0.09, 0.51), figures(0.27, 0.16), fell)
    assert [warning.split()[0] for warning in warnings] == ["SuffFailFreq", "K"]
    assert "0.09 to 0.27" in warnings[0]
    assert measures.collapses(figures(0.09, 0.51), figures(0.10, 0.45), fell) == []


def test_worse_exploration_with_worse_regret_is_no_warning_of_this_kind() -> None:
    unclear = Interval(0.1, -0.5, 0.7)
    assert measures.collapses(figures(0.0, 0.5), figures(0.9, 0.0), unclear) == []


def test_any_of_several_new_bests_ends_the_delay_and_a_tie_begins_none() -> None:
    means = np.array([[0.2, 0.9, 0.1]] * 2 + [[0.9, 0.1, 0.9]] * 3)
    for action in (0, 2):
        play = PlayArrays(
            means, means, np.array([1, 1, 1, action, 1]), np.full(means.shape, np.nan)
        )
        assert measures.switch_delays(play) == [1]
    tied = np.array([[0.2, 0.9]] * 2 + [[0.9, 0.9]] * 3)
    play = PlayArrays(tied, tied, np.ones(5, dtype=np.int64), np.full(tied.shape, np.nan))
    assert measures.switch_delays(play) == []
