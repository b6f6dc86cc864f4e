from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.config.schema import SelectionConfig
from rmft_api.core.errors import DataError
from rmft_api.core.records import Address, RegretKind, Regrets, Scored
from rmft_api.selection.ranking import rank, select


@dataclass(frozen=True)
class Play:
    """What a test says of a trajectory; everything else is alike."""

    scenario: int
    trajectory: int
    regret: float
    pulls: tuple[int, ...] = (2, 2)
    valid: float = 1.0
    reward: float = 0.5
    realised: float = 0.0
    kind: RegretKind = "pseudo"

    def scored(self) -> Scored:
        forms = Regrets(self.regret, self.realised, self.regret, self.realised, 0.0, self.regret)
        address = Address("train", 1, self.scenario, self.trajectory)
        return Scored(address, self.kind, forms, self.reward, self.pulls, self.valid)


def kept(plays: list[Play], seed: int = 0, **options: object) -> list[tuple[int, int]]:
    config = SelectionConfig.model_validate({"k": 2, **options})
    chosen = select([play.scored() for play in plays], config, seed, iteration=1)
    return [(address.scenario, address.trajectory) for address in chosen]


def test_the_k_lowest_regrets_of_each_scenario_are_kept() -> None:
    plays = [Play(s, t, regret=s * 100 + (t * 7) % 5) for s in range(2) for t in range(5)]
    assert kept(plays) == [(0, 0), (0, 3), (1, 0), (1, 3)]


def test_ranking_all_scenarios_together_keeps_as_many_but_picks_easy_problems() -> None:
    plays = [Play(s, t, regret=s * 100 + t) for s in range(2) for t in range(5)]
    assert kept(plays, scope="global") == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_equal_regrets_go_by_address() -> None:
    assert kept([Play(0, t, regret=1.0) for t in (3, 1, 2, 0)]) == [(0, 0), (0, 1)]


def test_a_trajectory_below_the_exploration_floor_is_not_ranked() -> None:
    plays = [
        Play(0, 0, 0.0, pulls=(9, 0)),
        Play(0, 1, 1.0, pulls=(8, 1)),
        Play(0, 2, 2.0),
        Play(0, 3, 3.0),
    ]
    assert kept(plays, min_pulls=1) == [(0, 1), (0, 2)]
    assert kept(plays, min_pulls=2) == [(0, 2), (0, 3)]


def test_a_trajectory_with_too_many_unreadable_replies_is_not_ranked() -> None:
    plays = [Play(0, 0, 0.0, valid=0.89), Play(0, 1, 1.0, valid=0.9), Play(0, 2, 2.0)]
    assert kept(plays, min_valid=0.9) == [(0, 1), (0, 2)]
    assert kept(plays) == [(0, 2)]


def test_a_scenario_with_fewer_than_k_eligible_keeps_what_there_is() -> None:
    plays = [Play(0, 0, 0.0, valid=0.0), Play(0, 1, 1.0), Play(1, 0, 0.0, valid=0.0)]
    assert kept(plays) == [(0, 1)]
    assert kept([]) == []


def test_the_realised_form_ranks_by_what_was_drawn() -> None:
    for kind in ("static", "pseudo", "dynamic"):
        plays = [Play(0, t, regret=t, realised=-t, kind=kind) for t in range(4)]
        assert kept(plays, regret_form="realised") == [(0, 2), (0, 3)]


def test_ranking_by_reward_keeps_the_highest() -> None:
    plays = [Play(0, t, regret=t, reward=t / 10) for t in range(4)]
    assert kept(plays, rank_by="reward") == [(0, 2), (0, 3)]


def test_random_ranking_is_named_by_seed_and_address_and_still_obeys_the_floor() -> None:
    plays = [Play(s, t, regret=t) for s in range(20) for t in range(8)]
    first = kept(plays, rank_by="random")
    assert first == kept(plays[::-1], rank_by="random")
    assert first != kept(plays, rank_by="random", seed=1)
    assert len(first) == 40
    assert len({trajectory for _, trajectory in first}) == 8
    barred = [Play(0, t, regret=t, pulls=(0, 4)) for t in range(7)] + [Play(0, 7, regret=7.0)]
    assert kept(barred, rank_by="random", min_pulls=1) == [(0, 7)]


def test_every_verdict_says_why() -> None:
    plays = [
        Play(0, 0, 5.0),
        Play(0, 1, 1.0),
        Play(0, 2, 0.0, pulls=(4, 0)),
        Play(0, 3, 0.0, valid=0.5),
    ]
    config = SelectionConfig(k=1, min_pulls=1)
    verdicts = rank([play.scored() for play in plays], config, 0, iteration=1)
    assert [(v.why, v.rank, v.cost) for v in verdicts] == [
        ("rank", 2, 5.0),
        ("kept", 1, 1.0),
        ("floor", None, 0.0),
        ("valid", None, 0.0),
    ]
    assert [v.kept for v in verdicts] == [False, True, False, False]


@pytest.mark.parametrize("regret", [float("nan"), float("inf")])
def test_a_regret_that_is_not_finite_is_refused_with_its_place(regret: float) -> None:
    with pytest.raises(DataError, match=r"regret of train iteration 1, scenario 4, trajectory 2"):
        kept([Play(4, 2, regret)])


def test_a_trajectory_scored_twice_is_refused() -> None:
    with pytest.raises(DataError, match="scenario 0, trajectory 1 was scored twice"):
        kept([Play(0, 1, 1.0), Play(0, 1, 2.0)])


PLAYS = st.lists(
    st.builds(
        Play,
        scenario=st.integers(0, 3),
        trajectory=st.integers(0, 9),
        regret=st.integers(-5, 5).map(float),
        pulls=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    ),
    max_size=30,
    unique_by=lambda play: (play.scenario, play.trajectory),
)


@given(plays=PLAYS, data=st.data(), floor=st.integers(0, 2))
def test_the_order_of_the_input_does_not_matter(
    plays: list[Play], data: st.DataObject, floor: int
) -> None:
    assert kept(plays, min_pulls=floor) == kept(data.draw(st.permutations(plays)), min_pulls=floor)


@given(plays=PLAYS, scale=st.sampled_from([0.5, 2.0]), shift=st.integers(-3, 3))
def test_only_the_ranking_inside_a_scenario_matters(
    plays: list[Play], scale: float, shift: int
) -> None:
    moved = [
        Play(p.scenario, p.trajectory, p.regret * scale + shift * p.scenario, p.pulls)
        for p in plays
    ]
    assert kept(plays) == kept(moved)


@given(plays=PLAYS, floor=st.integers(0, 2))
def test_nobody_eligible_who_is_left_out_has_less_regret_than_one_kept(
    plays: list[Play], floor: int
) -> None:
    chosen = set(kept(plays, min_pulls=floor))
    able = [p for p in plays if min(p.pulls) >= floor]
    for scenario in range(4):
        mine = [p for p in able if p.scenario == scenario]
        inside = [p.regret for p in mine if (p.scenario, p.trajectory) in chosen]
        outside = [p.regret for p in mine if (p.scenario, p.trajectory) not in chosen]
        assert len(inside) == min(2, len(mine))
        assert not inside or not outside or max(inside) <= min(outside)
