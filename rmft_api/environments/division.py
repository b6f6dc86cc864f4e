"""Rows of a file, divided once among the splits of a run: no row serves two of them.

The division is a matter of the file and these options alone. It is the same for every seed of a
run, for K, T and the features told, and for an evaluation on the same file, so that a model never
meets in a test what it has learnt from.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from rmft_api.core import seeds
from rmft_api.core.errors import DataError
from rmft_api.core.records import Split
from rmft_api.environments.logs import LogTable
from rmft_api.environments.options import nearest

SPLITS: tuple[Split, ...] = get_args(Split)
RANDOM, ORDER, NONE = "random", "order", "none"
WAYS = (RANDOM, ORDER, NONE)
Rows = tuple[int, ...]
_WORDS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What a column may call the splits, in any case."""


@dataclass(frozen=True)
class Division:
    """How the rows of a file are divided."""

    by: str
    """random, order (the first rows to train), none (every row serves the one split that uses the
    file), or a column whose cells say train, validation or test."""
    shares: str
    """Of train, validation and test, such as 60/20/20; a column has its own."""
    seed: int
    """Of a random division."""

    def __post_init__(self) -> None:
        _shares(self.shares)

    def __str__(self) -> str:
        return f"split = {self.by!r}, shares = {self.shares!r}, split_seed = {self.seed}"

    def rows(self, log: LogTable, split: Split, least: int) -> Rows:
        """The rows of a split, rising. Raises DataError where there are fewer than `least`."""
        parts = _divided(log, self, least)
        if len(parts[split]) < least:
            raise DataError(self._too_few(log, split, len(parts[split]), least))
        return parts[split]

    def in_words(self, log: LogTable, least: int) -> str:
        """The division in one line."""
        if self.by == NONE:
            return f"{log.path.name}: all {log.rows:,} rows serve one split (split = 'none')"
        parts = _divided(log, self, least)
        how = {RANDOM: f"at random (split_seed = {self.seed})", ORDER: "in their order"}
        counts = ", ".join(f"{len(parts[split]):,} {split}" for split in SPLITS)
        return (
            f"{log.path.name}: {log.rows:,} rows divided {how.get(self.by, f'by column {self.by}')}"
            f": {counts}; no row serves two splits"
        )

    def _too_few(self, log: LogTable, split: Split, count: int, least: int) -> str:
        start = f"{log.path}: {count} rows for {split}, {least} are needed"
        if self.by in (RANDOM, NONE, ORDER):
            needed = least if self.by == NONE else least * len(SPLITS)
            return f"{start}: the file has {log.rows} rows and must have at least {needed}"
        return f"{start}: mark more rows {split} in column {self.by!r}"


@functools.lru_cache(maxsize=64)
def _divided(log: LogTable, how: Division, least: int) -> Mapping[Split, Rows]:
    if how.by == NONE:
        return dict.fromkeys(SPLITS, tuple(range(log.rows)))
    if how.by not in WAYS:
        return _by_column(log, how.by)
    order: list[int] = list(range(log.rows))
    if how.by == RANDOM:
        order = seeds.rng(how.seed, "rows of a file").permutation(log.rows).tolist()
    counts = _counts(log.rows, _shares(how.shares), least)
    ends = np.cumsum(counts).tolist()
    return {
        split: tuple(sorted(order[end - count : end]))
        for split, count, end in zip(SPLITS, counts, ends, strict=True)
    }


def _by_column(log: LogTable, name: str) -> Mapping[Split, Rows]:
    if name not in log.columns:
        raise DataError(
            f"{log.path}: split={name!r} is neither {', '.join(WAYS)} nor a column"
            f"{nearest(name, [*WAYS, *log.columns])}"
        )
    parts: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for row, word in enumerate(log.words(name)):
        split = _WORDS.get(word.lower())
        if split is None:
            raise DataError(
                f"{log.path}: column {name!r}, row {row + 1}: {word!r} is none of "
                f"{', '.join(SPLITS)}"
            )
        parts[split].append(row)
    return {split: tuple(rows) for split, rows in parts.items()}


def _counts(rows: int, shares: tuple[float, ...], least: int) -> list[int]:
    """Rows of each split by its share, at least `least` each where there are enough."""
    if rows < least * len(shares):
        return [rows // len(shares) + (i < rows % len(shares)) for i in range(len(shares))]
    counts = [max(least, math.floor(rows * share)) for share in shares]
    while (missing := rows - sum(counts)) != 0:
        step = 1 if missing > 0 else -1
        able = [i for i, count in enumerate(counts) if step > 0 or count > least]
        owed = [rows * shares[i] - counts[i] for i in able]
        best = max if step > 0 else min
        counts[able[owed.index(best(owed))]] += step
    return counts


def _shares(text: str) -> tuple[float, ...]:
    """The shares, adding up to 1. Raises ValueError."""
    try:
        parts = [float(part) for part in str(text).split("/")]
    except ValueError:
        parts = []
    if len(parts) != len(SPLITS) or not all(math.isfinite(p) and p > 0 for p in parts):
        raise ValueError(
            f"shares={text!r} must be three numbers above 0, for train, validation and test, "
            "such as '60/20/20'"
        )
    return tuple(part / sum(parts) for part in parts)
