"""The projection on the simplex, its rounding and its loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rmft_api.baselines import full_information
from rmft_api.local_server.numeric import simplex
from rmft_api.local_server.numeric.simplex import Floats

LOGITS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(2, 5)),
    elements=st.floats(-50, 50, allow_subnormal=False),
)


@settings(deadline=None)
@given(LOGITS)
def test_a_projection_is_a_distribution_and_the_nearest_one(logits_NK: Floats):
    policies_NK = simplex.project(logits_NK)
    assert (policies_NK >= 0).all()
    assert policies_NK.sum(axis=1) == pytest.approx(1)
    assert policies_NK == pytest.approx(full_information.project(logits_NK), abs=1e-9)
    # The nearest point of a convex set sees the projected one at an obtuse angle to every corner.
    corners = np.eye(logits_NK.shape[1])
    away_NK = logits_NK - policies_NK
    assert ((corners[None] - policies_NK[:, None]) * away_NK[:, None]).sum(-1).max() < 1e-9


@settings(deadline=None)
@given(LOGITS, st.floats(-5, 5))
def test_adding_the_same_to_every_logit_changes_nothing(logits_NK: Floats, shift: float):
    assert simplex.project(logits_NK + shift) == pytest.approx(simplex.project(logits_NK))


@settings(deadline=None)
@given(LOGITS)
def test_rounding_keeps_the_sum_and_moves_no_probability_by_a_unit(logits_NK: Floats):
    policies_NK = simplex.project(logits_NK)
    units_NK = simplex.in_units(policies_NK, 1000)
    assert (units_NK.sum(axis=1) == 1000).all()
    assert (units_NK >= 0).all()
    assert np.abs(units_NK - 1000 * policies_NK).max() < 1 + 1e-6


@settings(deadline=None)
@given(LOGITS, st.integers(0, 2**31))
def test_the_loss_is_never_below_half_the_squared_distance(logits_NK: Floats, seed: int):
    N, K = logits_NK.shape
    targets_NK = np.random.default_rng(seed).dirichlet(np.ones(K), N)
    loss = simplex.loss(logits_NK, targets_NK)
    apart_NK = simplex.project(logits_NK) - targets_NK
    assert loss.mean >= 0.5 * (apart_NK**2).sum(axis=1).mean() - 1e-9


def test_the_loss_has_the_slope_that_it_says():
    rng = np.random.default_rng(1)
    logits_NK, targets_NK = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), 4)
    step = 1e-6
    for row, action in np.ndindex(4, 3):
        moved_NK = logits_NK.copy()
        moved_NK[row, action] += step
        rise = simplex.loss(moved_NK, targets_NK).mean - simplex.loss(logits_NK, targets_NK).mean
        slope = simplex.loss(logits_NK, targets_NK).gradient_NK[row, action]
        assert rise / step == pytest.approx(slope, abs=1e-4)


def test_a_policy_stuck_in_the_wrong_corner_still_learns():
    loss = simplex.loss(np.array([[9.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]]))
    assert loss.gradient_NK.tolist() == [[1.0, -1.0, 0.0]]
    assert loss.accuracy == 0


def test_the_loss_vanishes_where_the_policy_is_right():
    targets_NK = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    loss = simplex.loss(targets_NK + 7.0, targets_NK)
    assert loss.mean == pytest.approx(0)
    assert loss.accuracy == 1
