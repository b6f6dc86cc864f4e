"""Whether the newest model is worse than the best before it, or only less lucky.

The best of several was partly lucky on the very scenarios that chose it, so an interval around the
difference to it is wrong far more often than it says. If nothing changed between models, though,
each scenario's figures may be dealt to them in any order. Dealing them many times shows how
far the newest would lie above the least of the others by luck alone: a permutation test
(Pitman 1937), exact whatever the figures' distribution and however few the scenarios.
"""

import math

import numpy as np

from rmft_api.statistics.arrays import Floats

_DRAWS = 30
"""So many of the draws lie above the limit: it is known to about a fifth of its error."""
_TOGETHER = 1_000_000
"""Figures dealt at once."""


def rise(figures_NM: Floats) -> float:
    """How far the last model's mean lies above the least mean of the models before it.

    `figures_NM` holds N scenarios x M models, M >= 2, every model on the same scenarios.
    """
    means_M = figures_NM.mean(axis=0)
    return float(means_M[-1] - means_M[:-1].min())


def rise_by_chance(figures_NM: Floats, error: float, rng: np.random.Generator) -> float:
    """The rise that equal models exceed with probability `error` at most.

    Exact for the given number of draws: the observed deal counts as one of them.
    """
    if figures_NM.ndim != 2 or figures_NM.shape[1] < 2 or not len(figures_NM):
        raise ValueError(f"needs N scenarios x 2 models or more, got shape {figures_NM.shape}")
    if not 0 < error < 1:
        raise ValueError(f"error={error} is not a probability between 0 and 1")
    above = max(_DRAWS, math.ceil(error * 2000))
    draws = math.ceil(above / error) - 1
    together = max(1, _TOGETHER // figures_NM.size)
    found = [
        _dealt(figures_NM, min(together, draws - first), rng) for first in range(0, draws, together)
    ]
    rises_B = np.sort(np.concatenate(found))
    # P(rise > the m-th largest of B draws) <= m / (B + 1), the observed one being exchangeable
    return float(rises_B[draws - math.floor(error * (draws + 1))])


def _dealt(figures_NM: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Rises after the figures of each scenario were dealt to the models again, `count` times.

    Each scenario's figures move on by a number of models, drawn for each: as good as any order, and
    ten times as fast.
    """
    N, M = figures_NM.shape
    moved_BN = rng.integers(M, size=(count, N))
    means_BM = np.zeros((count, M))
    for by in range(M):
        means_BM += (moved_BN == by).astype(np.float64) @ np.roll(figures_NM, by, axis=1)
    means_BM /= N
    return means_BM[:, -1] - means_BM[:, :-1].min(axis=1)
