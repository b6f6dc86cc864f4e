"""Randomness with an address: every draw is named by where it is used, never by what ran before.

So concurrency, order and resuming change nothing (docs/design.md 7).
"""

import hashlib

import numpy as np

Path = int | str


def number(seed: int, *path: Path) -> int:
    """A 31-bit number for one place in a run, e.g. `number(seed, "reply", 3, 17, 0, 12)`."""
    return int.from_bytes(_digest(seed, path)[:4], "big") >> 1


def rng(seed: int, *path: Path) -> np.random.Generator:
    """An independent stream for one place in a run."""
    return np.random.default_rng(int.from_bytes(_digest(seed, path), "big"))


def _digest(seed: int, path: tuple[Path, ...]) -> bytes:
    # repr keeps 1 and "1" apart, and the comma keeps ("a", "b") and ("ab",) apart.
    return hashlib.blake2b(repr((seed, *path)).encode(), digest_size=16).digest()
