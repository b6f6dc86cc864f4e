"""The probability simplex: Euclidean projection onto it, and the loss whose link it is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


def project(logits_NK: Floats) -> Floats:
    """The distribution nearest to each row of logits; adding the same to all of a row is nothing.

    Every row is computed by itself, so that its bits do not depend on its neighbours.
    """
    K: int = logits_NK.shape[-1]
    falling_NK = -np.sort(-logits_NK, axis=-1)
    surplus_NK = np.cumsum(falling_NK, axis=-1) - 1.0
    is_support_NK = falling_NK * np.arange(1, K + 1) > surplus_NK
    support_N = is_support_NK.sum(axis=-1, keepdims=True)
    threshold_N = np.take_along_axis(surplus_NK, support_N - 1, axis=-1) / support_N
    return np.maximum(logits_NK - threshold_N, 0.0)


def in_units(policies_NK: Floats, units: int) -> Whole:
    """Probabilities in whole parts of `units` that sum to it exactly (largest remainders go up)."""
    parts_NK = policies_NK * units
    whole_NK = np.floor(parts_NK)
    missing_N = units - whole_NK.sum(axis=-1, keepdims=True)
    order_NK = np.argsort(whole_NK - parts_NK, axis=-1, kind="stable")
    rank_NK = np.argsort(order_NK, axis=-1, kind="stable")
    return (whole_NK + (rank_NK < missing_N)).astype(np.int64)


class Loss(NamedTuple):
    """Means over rows, and what the optimiser needs."""

    mean: float
    accuracy: float
    """Share of rows whose likeliest action is the target's."""
    gradient_NK: Floats
    """Of the mean, by the logits."""


def loss(logits_NK: Floats, targets_NK: Floats) -> Loss:
    """What cross-entropy is to softmax, for the projection (sparsemax loss, a Fenchel-Young loss).

    Convex in the logits, at least half the squared distance of the policies, and its gradient is
    policy minus target, which never vanishes while they differ: a policy stuck in a corner learns.
    """
    policies_NK = project(logits_NK)
    apart_NK = policies_NK - targets_NK
    rows_N = (logits_NK * apart_NK).sum(axis=-1) - 0.5 * (policies_NK**2 - targets_NK**2).sum(-1)
    agree_N = policies_NK.argmax(axis=-1) == targets_NK.argmax(axis=-1)
    return Loss(float(rows_N.mean()), float(agree_N.mean()), apart_NK / len(apart_NK))
