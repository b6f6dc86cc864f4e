"""Noise on logits, from the seed of one answer alone."""

import functools
import random

import numpy as np

from rmft_api.local_server.numeric.simplex import Floats


@functools.lru_cache(maxsize=1 << 14)
def draw(seed: int, K: int) -> Floats:
    """K standard normal numbers, read-only. Rounds that share a seed share them.

    Cached because they do: making a generator costs more than all the rest of an answer.
    """
    generator = random.Random(seed)
    noise_K = np.array([generator.gauss() for _ in range(K)])
    noise_K.flags.writeable = False
    return noise_K
