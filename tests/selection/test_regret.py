import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec.structs import asdict

from rmft_api.core.records import Address, Regrets, Round
from rmft_api.selection import regret
from rmft_api.selection.regret import UNREAD, PlayArrays

HERE = Address(split="train", iteration=0, scenario=0, trajectory=0)
KINDS = ("static", "pseudo", "dynamic")


@st.composite
def plays(draw: st.DrawFn, *, certain: bool = False, unread: bool = True) -> PlayArrays:
    T, K = draw(st.integers(1, 8)), draw(st.integers(2, 5))
    unit = st.floats(0, 1, width=32)
    rewards_TK = draw(hnp.arrays(np.float64, (T, K), elements=unit))
    means_TK = draw(hnp.arrays(np.float64, (T, K), elements=unit))
    lowest = UNREAD if unread else 0
    actions_T = draw(hnp.arrays(np.int64, T, elements=st.integers(lowest, K - 1)))
    policies_TK = regret.one_hot(actions_T, K)
    if not certain:
        weights = draw(hnp.arrays(np.float64, (T, K), elements=st.floats(0.01, 1))) + policies_TK
        policies_TK = weights / weights.sum(axis=1, keepdims=True)
    return PlayArrays(rewards_TK, means_TK, actions_T, policies_TK)


def still(play: PlayArrays) -> PlayArrays:
    """The same play where means never move."""
    return play._replace(means_TK=np.broadcast_to(play.means_TK[0], play.means_TK.shape))


def cut(play: PlayArrays, t: int) -> PlayArrays:
    return PlayArrays(
        play.rewards_TK[:t], play.means_TK[:t], play.actions_T[:t], play.policies_TK[:t]
    )


def test_every_form_is_what_its_definition_says() -> None:
    play = PlayArrays(
        rewards_TK=np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
        means_TK=np.array([[0.6, 0.4], [0.6, 0.4], [0.2, 0.9]]),
        actions_T=np.array([0, 0, 1]),
        policies_TK=np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]),
    )
    expected = Regrets(
        static_expected=2 - (0.5 + 0.25 + 1),
        static_realised=2 - (1 + 0 + 1),
        pseudo=1.7 - (0.6 + 0.6 + 0.9),
        realised=1.7 - (1 + 0 + 1),
        hindsight=2 - (1 + 0 + 1),
        dynamic=0.0,
    )
    assert asdict(regret.regrets(play)) == pytest.approx(asdict(expected))


def test_a_round_that_could_not_be_read_counts_as_the_worst_action_in_every_form() -> None:
    rewards_TK = np.array([[0.3, 0.1, 0.9]])
    means_TK = np.array([[0.5, 0.6, 0.2]])
    play = PlayArrays(rewards_TK, means_TK, np.array([UNREAD]), np.full((1, 3), np.nan))
    forms = regret.regrets(play)
    assert forms.static_expected == forms.static_realised == pytest.approx(0.9 - 0.1)
    assert forms.pseudo == forms.dynamic == pytest.approx(0.6 - 0.2)
    assert forms.realised == pytest.approx(0.6 - 0.1)


@given(plays(certain=True))
def test_expected_is_realised_for_a_policy_that_is_certain(play: PlayArrays) -> None:
    forms = regret.regrets(play)
    assert forms.static_expected == pytest.approx(forms.static_realised)


@given(plays())
def test_pseudo_regret_is_never_negative_where_means_stand_still(play: PlayArrays) -> None:
    assert regret.regrets(still(play)).pseudo >= -1e-12


@given(plays())
def test_dynamic_regret_is_never_negative_nor_below_pseudo_regret(play: PlayArrays) -> None:
    forms = regret.regrets(play)
    assert forms.dynamic >= max(0.0, forms.pseudo) - 1e-12


@given(plays())
def test_pseudo_and_dynamic_regret_agree_where_means_stand_still(play: PlayArrays) -> None:
    forms = regret.regrets(still(play))
    assert forms.pseudo == pytest.approx(forms.dynamic)


@given(plays(), st.randoms(use_true_random=False))
def test_naming_the_actions_otherwise_changes_nothing(
    play: PlayArrays, random: st.DataObject
) -> None:
    K = play.rewards_TK.shape[1]
    order = list(range(K))
    random.shuffle(order)  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType]
    places = np.argsort(order)
    renamed = PlayArrays(
        play.rewards_TK[:, order],
        play.means_TK[:, order],
        np.where(play.actions_T == UNREAD, UNREAD, places[play.actions_T]),
        play.policies_TK[:, order],
    )
    before, after = regret.regrets_N(play), regret.regrets_N(renamed)
    assert {form: float(v) for form, v in after.items()} == pytest.approx(
        {form: float(v) for form, v in before.items()}
    )


@given(plays(), st.floats(-2, 2))
def test_adding_a_constant_to_every_reward_changes_nothing(
    play: PlayArrays, constant: float
) -> None:
    raised = play._replace(rewards_TK=play.rewards_TK + constant, means_TK=play.means_TK + constant)
    before, after = regret.regrets_N(play), regret.regrets_N(raised)
    for form, figure in before.items():
        assert after[form] == pytest.approx(figure, abs=1e-9)


@given(plays())
def test_no_action_is_worse_than_an_unreadable_reply(play: PlayArrays) -> None:
    unread = play._replace(
        actions_T=np.full_like(play.actions_T, UNREAD),
        policies_TK=np.full_like(play.policies_TK, np.nan),
    )
    before, after = regret.regrets_N(play), regret.regrets_N(unread)
    for form, figure in before.items():
        assert after[form] >= figure - 1e-9


@given(plays())
@pytest.mark.parametrize("kind", KINDS)
def test_a_curve_ends_at_the_headline_figure_and_rounds_sum_to_it(
    kind: regret.RegretKind, play: PlayArrays
) -> None:
    headline = regret.score(HERE, kind, play).regret
    assert regret.regret_curve(play, kind)[-1] == pytest.approx(headline)
    assert regret.per_round(play, kind).sum() == pytest.approx(headline)


@given(plays())
@pytest.mark.parametrize("kind", KINDS)
def test_a_point_of_the_curve_is_the_regret_of_the_play_cut_off_there(
    kind: regret.RegretKind, play: PlayArrays
) -> None:
    for t in range(1, len(play.actions_T) + 1):
        shorter = cut(play, t)
        assert regret.regret_curve(play, kind)[t - 1] == pytest.approx(
            regret.score(HERE, kind, shorter).regret
        )


def test_many_plays_at_once_give_the_figures_of_each() -> None:
    rng = np.random.default_rng(0)
    each: list[PlayArrays] = []
    for _ in range(5):
        actions_T = rng.integers(-1, 3, 7)
        tables = rng.random((2, 7, 3))
        each.append(PlayArrays(tables[0], tables[1], actions_T, regret.one_hot(actions_T, 3)))
    together = regret.stack(each)
    for form, figures_N in regret.regrets_N(together).items():
        assert figures_N == pytest.approx([getattr(regret.regrets(play), form) for play in each])
    for kind in KINDS:
        curves_NT = regret.regret_curve(together, kind)
        assert curves_NT == pytest.approx(
            np.stack([regret.regret_curve(play, kind) for play in each])
        )
        assert regret.per_round(together, kind) == pytest.approx(
            np.stack([regret.per_round(play, kind) for play in each])
        )


def test_a_score_counts_pulls_and_readable_rounds() -> None:
    actions_T = np.array([2, UNREAD, 2, 0])
    table = np.array([[0.5, 0.4, 1.0]] * 4)
    play = PlayArrays(table, table, actions_T, regret.one_hot(actions_T, 3))
    scored = regret.score(HERE, "pseudo", play)
    assert scored.pulls == (1, 0, 2)
    assert scored.valid == 0.75
    assert scored.reward == pytest.approx((1.0 + 0.4 + 1.0 + 0.5) / 4)
    assert scored.regret == pytest.approx(0.6 + 0.5)
    assert scored.address == HERE


def told(action: int | None, rewards: tuple[float, ...], *policy: float) -> Round:
    return Round(
        prompt=(),
        reply="",
        status="unreadable" if action is None else "read",
        action=action,
        policy=policy or None,
        rewards=rewards,
    )


def test_a_trajectory_becomes_arrays_and_rounds_not_played_count_as_unread() -> None:
    table = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]])
    rounds = [told(1, (0.1, 0.2)), told(None, (0.3, 0.4)), told(0, (0.5, 0.6), 0.75, 0.25)]
    play = regret.play_of(rounds, table, means_TK=None)
    assert play.actions_T.tolist() == [1, UNREAD, 0, UNREAD]
    assert np.array_equal(play.rewards_TK, table)
    assert play.means_TK is play.rewards_TK
    nan = float("nan")
    expected = [[0.0, 1.0], [nan, nan], [0.75, 0.25], [nan, nan]]
    assert np.array_equal(play.policies_TK, np.array(expected), equal_nan=True)


def test_what_an_adversary_answered_stands_over_the_table() -> None:
    table = np.array([[0.9, 0.8]])
    play = regret.play_of([told(0, (0.0, 0.8))], table, means_TK=None)
    assert play.rewards_TK.tolist() == [[0.0, 0.8]]
    assert table.tolist() == [[0.9, 0.8]]
    assert regret.regrets(play).dynamic == pytest.approx(0.8)
