"""Rows of a file, divided once among the splits of a run: no row serves two of them.

The division is a matter of the file and these options alone. It is the same for every seed of a
run, for K, T and the features shown, and for an evaluation on the same file, so that a model never
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
from rmft_api.environments.options import nearest
from rmft_api.environments.table_files import TableFile

SPLITS: tuple[Split, ...] = get_args(Split)
RANDOM, ORDER, NONE, TIME, USER = "random", "order", "none", "time", "user"
WAYS = (RANDOM, ORDER, NONE)
BY_COLUMN = (TIME, USER)
"""Ways that need the column which the option of their name gives."""
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
    """random, order (the first rows to train), time (the same, and rows of one moment stay
    together), user (all rows of one user stay together), none (every row serves the one split that
    uses the file), or a column whose cells say train, validation or test."""
    shares: str
    """Of train, validation and test, such as 60/20/20; a column has its own."""
    seed: int
    """Of a random division."""
    column: str = ""
    """The column of times or of users; empty for every other way."""

    def __post_init__(self) -> None:
        _shares(self.shares)

    def __str__(self) -> str:
        of = f" of column {self.column!r}" if self.column else ""
        return f"split = {self.by!r}{of}, shares = {self.shares!r}, split_seed = {self.seed}"

    def rows(self, log: TableFile, split: Split, least: int) -> Rows:
        """The rows of a split, rising. Raises DataError where there are fewer than `least`."""
        parts = _divided(log, self, least)
        if len(parts[split]) < least:
            raise DataError(self._too_few(log, split, len(parts[split]), least))
        return parts[split]

    def in_words(self, log: TableFile, least: int) -> str:
        """The division in one line."""
        if self.by == NONE:
            return f"{log.path.name}: all {log.rows:,} rows serve one split (split = 'none')"
        parts = _divided(log, self, least)
        counts = ", ".join(f"{len(parts[split]):,} {split}" for split in SPLITS)
        alone = f"no {self.column} and no row" if self._is_by(USER) else "no row"
        return (
            f"{log.path.name}: {log.rows:,} rows divided {self._way()}: {counts}; "
            f"{alone} serves two splits"
        )

    def _way(self) -> str:
        if self._is_by(TIME):
            return f"by time (column {self.column}, the earliest to train)"
        if self._is_by(USER):
            return f"by user (column {self.column}, split_seed = {self.seed})"
        known = {RANDOM: f"at random (split_seed = {self.seed})", ORDER: "in their order"}
        return known.get(self.by, f"by column {self.by}")

    def _is_by(self, way: str) -> bool:
        return bool(self.column) and self.by == way

    def _too_few(self, log: TableFile, split: Split, count: int, least: int) -> str:
        start = f"{log.path}: {count} rows for {split}, {least} are needed"
        if self.by in (RANDOM, NONE, ORDER):
            needed = least if self.by == NONE else least * len(SPLITS)
            return f"{start}: the file has {log.rows} rows and must have at least {needed}"
        if self.column:
            what = "moments" if self.by == TIME else "users"
            return f"{start}: column {self.column!r} has too few {what}; divide in another way"
        return f"{start}: mark more rows {split} in column {self.by!r}"


@functools.lru_cache(maxsize=64)
def _divided(log: TableFile, how: Division, least: int) -> Mapping[Split, Rows]:
    if how.by == NONE:
        return dict.fromkeys(SPLITS, tuple(range(log.rows)))
    if how.column:
        return _by_groups(log, how)
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


def by_way(split: str, default: str, *, time: str, user: str) -> tuple[str, str]:
    """What a `split` option means, and the column that it needs; absent: `default`.

    `time` and `user` are the options that name those columns; without one, the word is a column of
    the file like any other.
    """
    by = split or default
    return by, {TIME: time, USER: user}.get(by, "")


def _by_groups(log: TableFile, how: Division) -> Mapping[Split, Rows]:
    """Rows that must stay together, by moments in their order or by users at random.

    A group goes to the split in whose share its middle row lies.
    """
    cells = log.times(how.column) if how.by == TIME else tuple(log.words(how.column))
    groups: dict[object, list[int]] = {}
    for row, cell in enumerate(cells):
        groups.setdefault(cell, []).append(row)
    if len(groups) < len(SPLITS):
        cell = log.columns[how.column][0]
        raise DataError(
            f"{log.path}: column {how.column!r} has {len(groups)} different values (the first is "
            f"{str(cell)!r}), {len(SPLITS)} are needed to divide by; use split = 'random'"
        )
    members = list(groups.values())
    if how.by == USER:
        rng = seeds.rng(how.seed, "users of a file")
        order: list[int] = rng.permutation(len(members)).tolist()
        members = [members[i] for i in order]
    ends = np.cumsum(_shares(how.shares)) * log.rows
    sizes = np.array([len(rows) for rows in members])
    middles = np.cumsum(sizes) - sizes / 2
    places = np.searchsorted(ends[:-1], middles, side="right").tolist()
    parts: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for rows, place in zip(members, places, strict=True):
        parts[SPLITS[place]] += rows
    return {split: tuple(sorted(rows)) for split, rows in parts.items()}


def _by_column(log: TableFile, name: str) -> Mapping[Split, Rows]:
    if name not in log.columns and name in BY_COLUMN:
        raise DataError(
            f"{log.path}: split={name!r} needs the option {name} = 'COLUMN'; "
            f"its columns are {', '.join(log.columns)}"
        )
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
