"""A bandit from a file: every row is a case, with what every action would have earned in it."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from rmft_api.core.errors import DataError
from rmft_api.core.records import Feedback, RegretKind, Split
from rmft_api.environments import options, table_files
from rmft_api.environments.division import Division, Rows, by_way
from rmft_api.environments.noise import gap
from rmft_api.environments.scenario import Floats, Scenario
from rmft_api.environments.table_files import TableFile

Scale = Literal["none", "unit"]
Order = Literal["shuffled", "file"]
LEAST = 2
"""Rows of a split from which T are drawn with replacement: one row alone leaves no chance."""


@dataclass(frozen=True, kw_only=True)
class TableEnvironment:
    """Scenarios are rows of a CSV, TSV or Parquet file; an action is one of its reward columns.

    Columns are named in one string: `"mail, call, visit"`, or with a star, `"reward_*"`.
    With features it is a contextual bandit: they are shown before the choice, and regret is against
    the best action of each row. Without them the rows are one stationary bandit, and regret is
    against the best column's mean. In the file's order it is against the best fixed action.
    """

    K: int
    T: int
    path: str
    """A .csv, .tsv or .parquet file."""
    rewards: str = "reward_*"
    """The reward columns, one for each action. Where there are more than K, K of them are drawn."""
    features: str = ""
    """Columns that are shown before the choice; numbers or words."""
    means: str = ""
    """Columns of expected rewards, in the order of `rewards`, where a model of yours knows them:
    regret is then free of each row's luck."""
    scale: Scale = "none"
    """unit: all rewards are moved to [0, 1] together; none: they must lie there."""
    order: Order = "shuffled"
    """shuffled: T rows drawn with replacement; file: T rows that follow each other."""
    feedback: Feedback = "bandit"
    """full: what every action would have earned is shown after each round."""
    shuffle: bool = True
    """Give the actions their names in a drawn order, so that no name goes with a column. false:
    column i has the story's name i; names are listed in a drawn order all the same."""
    split: str = ""
    """How rows are divided among training, validation and test, once for all: random, order (the
    first to train), time, user, a column whose cells say train, validation or test, or none where
    only one split uses the file. Absent: in the file's order where `order` is file, else random."""
    time: str = ""
    """The column of times that split = 'time' divides by: the earliest rows train."""
    user: str = ""
    """The column that split = 'user' divides by: all rows of one user serve one split."""
    shares: str = "60/20/20"
    """Per cent of the rows to train, validation and test."""
    split_seed: int = 0
    """Of a random division: it is the same for every seed of a run."""
    folder: Path = field(default_factory=Path.cwd)
    """Where a relative `path` starts; no option of a run file."""

    def __post_init__(self) -> None:
        options.one_of("scale", self.scale, get_args(Scale))
        options.one_of("order", self.order, get_args(Order))
        options.one_of("feedback", self.feedback, get_args(Feedback))
        for name in ("path", "rewards", "features", "means", "split", "time", "user"):
            options.text(name, getattr(self, name))
        options.truth("shuffle", self.shuffle)
        options.whole("split_seed", self.split_seed, low=0)
        _ = self._division
        tables = self._tables()
        if self.order == "file" and len(tables.rewards) < self.T:
            raise ValueError(
                f"{self.path} has {len(tables.rewards)} rows, T={self.T} rounds in the file's "
                "order need as many; use a smaller T or order = 'shuffled'"
            )

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario of all rows; means are the rows' own rewards where nothing better is known."""
        return self._drawn(rng, tuple(range(len(self._tables().rewards))))

    def draw_from(self, split: Split, rng: np.random.Generator) -> Scenario:
        """A scenario of the split's own rows. Raises DataError where they are too few."""
        return self._drawn(rng, self._division.rows(self._file(), split, self._least))

    def check(self, split: Split) -> None:
        """Raise DataError where the split has too few rows."""
        self._division.rows(self._file(), split, self._least)

    @property
    def source(self) -> tuple[Path, Division]:
        """The file, and how it is divided."""
        return self._file().path.resolve(), self._division

    def divided(self) -> str:
        """How the rows are divided, in one line."""
        return self._division.in_words(self._file(), self._least)

    @property
    def _division(self) -> Division:
        default = "order" if self.order == "file" else "random"
        by, column = by_way(self.split, default, time=self.time, user=self.user)
        return Division(by, self.shares, self.split_seed, column)

    @property
    def _least(self) -> int:
        """Rows that a split must have to be played."""
        return self.T if self.order == "file" else LEAST

    def _drawn(self, rng: np.random.Generator, rows: Rows) -> Scenario:
        tables = self._tables()
        rows_T = self._rows(rng, rows)
        columns_K = self._columns(rng, tables.rewards.shape[1])
        rewards_TK = tables.rewards[rows_T][:, columns_K]
        means_TK = self._means(tables, rows, rows_T)[:, columns_K]
        steady = self._kind() == "pseudo"
        return Scenario(
            rewards=rewards_TK,
            means=means_TK,
            feedback=self.feedback,
            regret=self._kind(),
            contexts=tables.contexts and tuple(tables.contexts[row] for row in rows_T),
            features=None if tables.features is None else tables.features[rows_T],
            facts={"gap": gap(means_TK[0])} if steady else {},
            bears=None if self.shuffle else tuple(columns_K),
        )

    def _kind(self) -> RegretKind:
        if self.features:
            return "dynamic"
        return "static" if self.order == "file" or self.feedback == "full" else "pseudo"

    def _rows(self, rng: np.random.Generator, rows: Rows) -> list[int]:
        if self.order == "shuffled":
            return [rows[i] for i in rng.integers(len(rows), size=self.T).tolist()]
        start = int(rng.integers(len(rows) - self.T + 1))
        return list(rows[start : start + self.T])

    def _columns(self, rng: np.random.Generator, count: int) -> list[int]:
        drawn = rng.permutation(count)[: self.K]
        return (drawn if self.shuffle else np.sort(drawn)).tolist()

    def _means(self, tables: "_Tables", rows: Rows, rows_T: list[int]) -> Floats:
        if tables.means is not None:
            return tables.means[rows_T]
        if self._kind() == "pseudo":
            means_K = tables.rewards[list(rows)].mean(axis=0)
            return np.broadcast_to(means_K, (self.T, tables.rewards.shape[1]))
        return tables.rewards[rows_T]

    def _tables(self) -> "_Tables":
        return _made(self._file(), self.rewards, self.features, self.means, self.scale, self.K)

    def _file(self) -> TableFile:
        return table_files.read(str(self.folder / self.path))


@dataclass(frozen=True, eq=False)
class _Tables:
    """A file as play needs it: rows x actions, and what is shown of each row."""

    rewards: Floats
    means: Floats | None
    features: Floats | None
    contexts: tuple[str, ...] | None


@functools.lru_cache(maxsize=16)
def _made(
    file: TableFile, rewards: str, features: str, means: str, scale: Scale, K: int
) -> _Tables:
    """The tables of a file, worked out once. Raises DataError."""
    names, shown = file.named(rewards), file.named(features)
    expected = file.named(means)
    if len(names) < max(K, 2):
        raise DataError(
            f"{file.path}: rewards={rewards!r} are {len(names)} columns, K={K} actions need as many"
        )
    if both := set(shown) & {*names, *expected}:
        raise DataError(
            f"{file.path}: {min(both)!r} is both a feature and a reward: it gives the answer away"
        )
    if expected and len(expected) != len(names):
        raise DataError(
            f"{file.path}: {len(expected)} columns of means for {len(names)} of rewards"
        )
    rewards_RK = np.stack([file.numbers(name) for name in names], axis=1)
    means_RK = np.stack([file.numbers(name) for name in expected], axis=1) if expected else None
    low, high = float(rewards_RK.min()), float(rewards_RK.max())
    if scale == "unit" and high > low:
        rewards_RK = (rewards_RK - low) / (high - low)
        means_RK = None if means_RK is None else (means_RK - low) / (high - low)
    _check_bounds(file, names, rewards_RK)
    return _Tables(
        rewards=rewards_RK,
        means=means_RK,
        features=np.concatenate([file.coded(name) for name in shown], axis=1) if shown else None,
        contexts=tuple(file.in_words(shown)) if shown else None,
    )


def _check_bounds(file: TableFile, names: tuple[str, ...], rewards_RK: Floats) -> None:
    outside = np.argwhere((rewards_RK < 0) | (rewards_RK > 1))
    if len(outside):
        row, column = (int(i) for i in outside[0])
        raise DataError(
            f"{file.path}: column {names[column]!r}, row {row + 1}: {rewards_RK[row, column]:g} is "
            "outside 0 to 1; scale = 'unit' moves all rewards there"
        )
