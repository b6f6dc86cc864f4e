"""Addressed chance for many trajectories at once: a draw depends on where it is used alone.

A trajectory has a 64-bit key; a draw is SplitMix64 of that key at the counter made of round, lane
and action. So the plays of a scenario are the same whatever else is played beside it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rmft_api.core import seeds
from rmft_api.selection.regret import Floats

Bits = NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S11, S27, S30, S31 = (np.uint64(shift) for shift in (11, 27, 30, 31))
LANE = 16
"""Bits below the lane: the action's place. A lane is one use of chance within a round."""
ROUND = 32


class RandomStreams:
    """The streams of N trajectories."""

    def __init__(self, seed: int, name: str, indices: Sequence[int]) -> None:
        keys = [(seeds.number(seed, "baseline", name, i) << 31) for i in indices]
        low = [seeds.number(seed, "baseline", name, i, "low") for i in indices]
        self._keys_N = np.array(keys, dtype=np.uint64) | np.array(low, dtype=np.uint64)

    def uniform(self, t: int, K: int, lane: int = 0) -> Floats:
        """N x K draws from U(0, 1), 0 and 1 excluded."""
        base = (t << ROUND) + (lane << LANE)
        return _unit(self._keys_N[:, None], np.arange(base, base + K, dtype=np.uint64))

    def normal(self, t: int, K: int, lane: int = 0) -> Floats:
        """N x K draws from N(0, 1); uses `lane` and the one after."""
        return _normal(self.uniform(t, K, lane), self.uniform(t, K, lane + 1))

    def beta(self, t: int, wins_NK: Floats, losses_NK: Floats) -> Floats:
        """N x K draws from Beta(wins, losses); both at least 1."""
        K = wins_NK.shape[1]
        shapes = np.concatenate([wins_NK, losses_NK], axis=1)
        gammas = self._gamma(t, shapes)
        return gammas[:, :K] / (gammas[:, :K] + gammas[:, K:])

    def _gamma(self, t: int, shapes: Floats) -> Floats:
        """Marsaglia and Tsang's rejection; a rejected place draws again from its next lanes."""
        flat = shapes.ravel()
        place = (np.arange(flat.size) % shapes.shape[1]).astype(np.uint64)
        keys = np.repeat(self._keys_N, shapes.shape[1])
        gammas = np.empty_like(flat)
        open_ = np.arange(flat.size)
        lane = 0
        while open_.size:
            base = np.uint64((t << ROUND) + (lane << LANE))
            draws, accepted = _try_gamma(flat[open_], keys[open_], place[open_] + base)
            gammas[open_[accepted]] = draws[accepted]
            open_ = open_[~accepted]
            lane += 3
        return gammas.reshape(shapes.shape)


def _try_gamma(shapes: Floats, keys: Bits, counters: Bits) -> tuple[Floats, NDArray[np.bool_]]:
    step = np.uint64(1 << LANE)
    u = _unit(keys, counters)
    x = _normal(_unit(keys, counters + step), _unit(keys, counters + step + step))
    d = shapes - 1.0 / 3.0
    v = (1.0 + x / np.sqrt(9.0 * d)) ** 3
    accepted = (u < 1.0 - 0.0331 * x**4) & (
        v > 0.0
    )  # their squeeze: settles most without logarithms
    left = np.flatnonzero(~accepted & (v > 0.0))
    bound = 0.5 * x[left] ** 2 + d[left] * (1.0 - v[left] + np.log(v[left]))
    accepted[left] = np.log(u[left]) < bound
    return d * v, accepted


def _unit(keys: Bits, counters: Bits) -> Floats:
    z = keys + GOLDEN * (counters + np.uint64(1))
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    z ^= z >> S31
    return ((z >> S11).astype(np.float64) + 0.5) * 2.0**-53


def _normal(u: Floats, v: Floats) -> Floats:
    """Box and Muller."""
    return np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * np.pi * v)
