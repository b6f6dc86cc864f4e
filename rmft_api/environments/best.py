"""Which actions are best, and when that changes: equals are all best (docs/method.md 2)."""

import numpy as np
from numpy.typing import NDArray

from rmft_api.environments.scenario import Floats

Bools = NDArray[np.bool_]
TIE = 1e-9
"""Means this close count as equal."""


def best_of(means: Floats) -> Bools:
    """Which actions have the largest mean of their row; any leading axes."""
    return means >= means.max(axis=-1, keepdims=True) - TIE


def changes(means_TK: Floats) -> list[int]:
    """The rounds (from 0) at which the best action changes.

    A stretch lasts for as long as one action is best in all of its rounds. So these are as many as
    the fewest changes of action that a play which always takes a best one can do with.
    """
    if (means_TK == means_TK[0]).all():
        return []
    best_TK = best_of(means_TK)
    if (best_TK.sum(axis=1) == 1).all():  # nobody is equal: any change is one
        return (np.flatnonzero((best_TK[1:] != best_TK[:-1]).any(axis=1)) + 1).tolist()
    starts: list[int] = []
    common_K = best_TK[0]
    for t, best_K in enumerate(best_TK):
        common_K = common_K & best_K
        if not common_K.any():
            starts.append(t)
            common_K = best_K
    return starts
