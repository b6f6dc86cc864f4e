"""Players whose regrets are given, as tests of tables over them need."""

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from rmft_api.evaluation.scoring import Performance


def played(regret_M: ArrayLike) -> Performance:
    """One player's plays, of which the regret of each scenario matters alone."""
    regrets_M = np.asarray(regret_M, dtype=np.float64)
    ones = np.ones(len(regrets_M))
    return Performance(
        regret_M=regrets_M,
        suff_fail_M=0.0 * ones,
        k_min_frac_M=0.5 * ones,
        valid_M=ones,
        least_M=0.0 * ones,
        measures=cast("Any", None),
        rounds=(),
        locked_M=0.0 * ones,
        numbers=tuple(range(len(regrets_M))),
        own={},
    )
