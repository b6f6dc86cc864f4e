"""Uniform numbers with an address: (seed of the prompt, index of the token)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: every input bit changes about half of the output bits."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def addresses(seeds: Sequence[int]) -> NDArray[np.uint64]:
    """Where each seed's sequence begins; a seed may be any integer."""
    return _mix(np.array([seed % 2**64 for seed in seeds], np.uint64) + _STEP)


def uniforms(starts: NDArray[np.uint64], index: int) -> NDArray[np.float64]:
    """Number `index` of every sequence, in [0, 1)."""
    with np.errstate(over="ignore"):
        bits = _mix(starts + _STEP * np.uint64(index + 1))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
