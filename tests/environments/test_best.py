"""Which actions are best, and how often that changes: equals are all best."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rmft_api.environments.best import TIE, best_of, changes
from rmft_api.environments.nonstationary import switches
from rmft_api.selection.regret import Floats

FEW_LEVELS = st.tuples(st.integers(1, 6), st.integers(2, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([0.1, 0.3, 0.3 + 1e-12, 0.7]))
)


def fewest_changes(means_TK: Floats) -> int:
    """By trying every sequence of best actions."""
    able = [np.flatnonzero(row >= row.max() - TIE).tolist() for row in means_TK]
    return min(
        sum(a != b for a, b in itertools.pairwise(sequence))
        for sequence in itertools.product(*able)
    )


@given(FEW_LEVELS)
def test_switches_are_the_fewest_that_the_best_play_can_do_with(means_TK: Floats) -> None:
    assert switches(means_TK) == fewest_changes(means_TK)
    assert all(0 < start < len(means_TK) for start in changes(means_TK))


@given(FEW_LEVELS, st.permutations(range(2)))
def test_the_order_of_the_actions_changes_no_count(means_TK: Floats, order: list[int]) -> None:
    assert changes(means_TK[:, [*order, *range(2, means_TK.shape[1])]]) == changes(means_TK)


def test_a_tie_with_a_better_index_is_no_change() -> None:
    assert changes(np.array([[0.2, 0.8], [0.8, 0.8], [0.8, 0.8 - 1e-12], [0.2, 0.8]])) == []


def test_an_action_that_was_equal_and_stays_alone_is_a_change_for_who_left_it() -> None:
    assert changes(np.array([[0.8, 0.2], [0.8, 0.8], [0.2, 0.8]])) == [2]


@pytest.mark.parametrize("gap", [0.0, 1e-12, TIE / 2])
def test_equals_are_all_best(gap: float) -> None:
    assert best_of(np.array([0.5, 0.5 - gap, 0.2])).tolist() == [True, True, False]
