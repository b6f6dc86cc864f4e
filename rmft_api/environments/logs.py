"""A bandit from a log of what was shown: of each decision, one action and what it earned.

What the other actions would have earned nobody knows, so a world is made from the log, in one of
two ways, and what each assumes is stated in the plan and beside the results.

Without features, an action's reward is one of its own rows' in the log, drawn with replacement.
With features, a reward model learns from the training rows what each action earns in each context.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from rmft_api.core.records import Split
from rmft_api.environments import options, reward_models, table_files
from rmft_api.environments.division import RANDOM, SPLITS, Division, by_way
from rmft_api.environments.log_reader import (
    LEAST,
    MOST_NAMED,
    LogColumns,
    Rare,
    Scale,
    ShownLog,
    read_log,
)
from rmft_api.environments.noise import gap
from rmft_api.environments.reward_models import Ints, Kind, RewardCalibration
from rmft_api.environments.scenario import Floats, Scenario
from rmft_api.environments.table_files import TableFile

Names = Literal["log", "story"]
LUCK = 201
"""Residuals kept of each action, evenly by rank: what rewards deviate by from their mean."""


@dataclass(frozen=True, kw_only=True)
class LoggedFeedback:
    """Scenarios are drawn from the rows of a CSV, TSV or Parquet file of shown actions."""

    K: int
    """Where the log has more actions, K of them are drawn."""
    T: int
    path: str
    """A .csv, .tsv or .parquet file."""
    action: str = ""
    """The column of actions: words or numbers."""
    reward: str = ""
    """The column of what the shown action earned."""
    propensity: str = ""
    """The column of the probability with which the log's own policy showed that action. Absent: it
    is estimated where it is needed."""
    features: str = ""
    """Columns that are shown before the choice; numbers or words."""
    time: str = ""
    """The column of times; rows must be in their order. split = 'time' divides by it."""
    user: str = ""
    """The column of users; split = 'user' keeps the rows of each together."""
    actions: str = ""
    """The actions to use, in order, in one string; absent: all that the log shows."""
    min_rows: int = 10
    """Rows that each action needs in every split, with features in the training rows."""
    rare: Rare = "refuse"
    """What an action with fewer rows is: refused, or left out (exclude)."""
    reward_model: Kind = "linear"
    """With features: linear (logistic or ridge regression) or trees (gradient boosting)."""
    scale: Scale = "none"
    """unit: rewards are moved to [0, 1]; none: they must lie there."""
    shuffle: bool = True
    """Of names of the story: they are dealt again in each scenario, so that no name goes with an
    action. false: action i has the story's name i; names are listed in a drawn order all the same.
    The log's own names stay with their actions."""
    names: Names = "log"
    """What actions are called: log (as the file calls them) or story (names that say nothing)."""
    split: str = ""
    """How rows are divided among training, validation and test, once for all: random, order, time,
    user, a column whose cells say train, validation or test, or none where only one split uses the
    file. Absent: by time where a column of times is named, else random."""
    shares: str = "60/20/20"
    """Per cent of the rows to train, validation and test."""
    split_seed: int = 0
    """Of a division by chance: it is the same for every seed of a run."""
    folder: Path = field(default_factory=Path.cwd)
    """Where a relative `path` starts; no option of a run file."""

    def __post_init__(self) -> None:
        options.one_of("rare", self.rare, get_args(Rare))
        options.one_of("scale", self.scale, get_args(Scale))
        options.one_of("reward_model", self.reward_model, get_args(Kind))
        options.one_of("names", self.names, get_args(Names))
        options.truth("shuffle", self.shuffle)
        options.whole("split_seed", self.split_seed, low=0)
        options.whole("min_rows", self.min_rows, low=2)
        for name in ("path", "action", "reward", "propensity", "features", "time", "user"):
            options.text(name, getattr(self, name))
        options.text("actions", self.actions)
        options.text("split", self.split)
        found = self.shown()
        if found.A < self.K:
            raise ValueError(
                f"{self.path} has {found.A} actions ({', '.join(found.actions[:MOST_NAMED])}), "
                f"not K={self.K}; use K = {found.A}"
            )

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario of the training rows."""
        return self.draw_from("train", rng)

    def draw_from(self, split: Split, rng: np.random.Generator) -> Scenario:
        """A scenario of the split's own rows."""
        log = self.shown()
        columns_K = self._columns(rng, log.A)
        if log.contexts is None:
            return self._of_rows(log, split, columns_K, rng)
        return self._of_contexts(log, split, columns_K, rng)

    def check(self, split: Split) -> None:
        """Raise DataError where the split cannot be played."""
        self._division.rows(self._table(), split, LEAST)

    @property
    def source(self) -> tuple[Path, Division]:
        """The file, and how it is divided."""
        return self._table().path.resolve(), self._division

    def divided(self) -> str:
        """How the rows are divided, in one line."""
        return self._division.in_words(self._table(), LEAST)

    def description(self) -> tuple[str, ...]:
        """What the world made from this log holds and assumes, a line each."""
        return tuple(_described(self.shown(), self.reward_model))

    def shown(self) -> ShownLog:
        """The log. Raises ConfigError, DataError."""
        return _shown(self._table(), self._named)

    def names_of(self, actions: Sequence[int]) -> tuple[str, ...] | None:
        """What these actions of the log are called; None where the story names them."""
        written = self.shown().written_names
        return tuple(written[action] for action in actions) if self.names == "log" else None

    def expected(self) -> Floats:
        """N x A: what every action earns in each row's context, without that row's own luck."""
        return _expected(self.shown(), self.reward_model).rewards_NA

    @property
    def _named(self) -> LogColumns:
        return LogColumns(
            action=self.action,
            reward=self.reward,
            propensity=self.propensity,
            features=self.features,
            time=self.time,
            user=self.user,
            actions=self.actions,
            min_rows=self.min_rows,
            rare=self.rare,
            scale=self.scale,
            division=self._division,
        )

    @property
    def _division(self) -> Division:
        default = "time" if self.time else RANDOM
        by, column = by_way(self.split, default, time=self.time, user=self.user)
        return Division(by, self.shares, self.split_seed, column)

    def _table(self) -> TableFile:
        return table_files.read(str(self.folder / self.path))

    def _columns(self, rng: np.random.Generator, count: int) -> list[int]:
        drawn = rng.permutation(count)[: self.K]
        return (drawn if self.shuffle else np.sort(drawn)).tolist()

    def _of_rows(
        self, log: ShownLog, split: Split, columns_K: list[int], rng: np.random.Generator
    ) -> Scenario:
        """Each action's reward is that of one of its own rows, drawn again for every round."""
        rewards_TK: Floats = np.empty((self.T, self.K))
        for place, action in enumerate(columns_K):
            rows, upto = _drawing(log, split, action)
            drawn = np.searchsorted(upto, rng.random(self.T), side="right")
            rewards_TK[:, place] = log.rewards_N[rows[np.minimum(drawn, len(rows) - 1)]]
        means_K = log.means(split)[columns_K]
        return Scenario(
            rewards=rewards_TK,
            means=np.broadcast_to(means_K, rewards_TK.shape),
            feedback="bandit",
            regret="pseudo",
            facts={"gap": gap(means_K)},
            bears=None if self.shuffle else tuple(columns_K),
            names=self.names_of(columns_K),
        )

    def _of_contexts(
        self, log: ShownLog, split: Split, columns_K: list[int], rng: np.random.Generator
    ) -> Scenario:
        """Contexts are rows of the split; rewards are drawn around what the model expects."""
        part, world = log.parts[split], _expected(log, self.reward_model)
        rows_T = part[rng.integers(len(part), size=self.T)]
        drawn: list[int] = rows_T.tolist()
        expected_TK = world.rewards_NA[rows_T][:, columns_K]
        u_TK = rng.random((self.T, self.K))
        if world.luck_AR is None:
            rewards_TK, means_TK = (u_TK < expected_TK).astype(np.float64), expected_TK
        else:
            luck_KR = world.luck_AR[columns_K]
            drawn_TK = np.take_along_axis(luck_KR.T, (u_TK * LUCK).astype(np.int64), axis=0)
            rewards_TK = (expected_TK + drawn_TK).clip(0.0, 1.0)
            means_TK = (expected_TK[:, :, None] + luck_KR).clip(0.0, 1.0).mean(axis=2)
        assert log.contexts is not None
        assert log.features_Nd is not None
        return Scenario(
            rewards=rewards_TK,
            means=means_TK,
            feedback="bandit",
            regret="dynamic",
            contexts=tuple(log.contexts[row] for row in drawn),
            features=log.features_Nd[rows_T],
            bears=None if self.shuffle else tuple(columns_K),
            names=self.names_of(columns_K),
        )


@dataclass(frozen=True, eq=False)
class _Expected:
    """What a reward model expects."""

    rewards_NA: Floats
    """For training rows by a model that has not seen them."""
    luck_AR: Floats | None
    """What rewards deviate by; None where they are 0 or 1 and the mean says all."""
    calibration: RewardCalibration
    """On the held-out rows."""


@functools.lru_cache(maxsize=16)
def _shown(table: TableFile, columns: LogColumns) -> ShownLog:
    return read_log(table, columns)


@functools.lru_cache(maxsize=512)
def _drawing(log: ShownLog, split: Split, action: int) -> tuple[Ints, Floats]:
    """An action's rows in a split, and up to where in [0, 1] each is drawn."""
    rows = log.rows_of(split, action)
    weights = log.weights_N[rows]
    return rows, np.cumsum(weights) / weights.sum()


@functools.lru_cache(maxsize=8)
def _expected(log: ShownLog, kind: Kind) -> _Expected:
    """The reward model of a log, fitted once. Without features: each action's training mean."""
    train = log.rewards_in("train")
    held = np.concatenate([log.parts[split] for split in SPLITS if split != "train"])
    held = held if len(held) else log.parts["train"]
    if log.features_Nd is None:
        rewards_NA = np.tile(log.means("train"), (len(log.rewards_N), 1))
        out_NA = rewards_NA[log.parts["train"]]
    else:
        model = reward_models.fit(kind, train, log.A)
        groups = log.users_N[log.parts["train"]]
        out_NA = reward_models.cross_fitted(kind, train, log.A, groups, log.columns.division.seed)
        rewards_NA = model.predict(log.features_Nd)
        rewards_NA[log.parts["train"]] = out_NA
    shown = reward_models.LoggedRewards(
        np.zeros((len(held), 0)), log.actions_N[held], log.rewards_N[held]
    )
    return _Expected(
        rewards_NA=rewards_NA,
        luck_AR=None if _is_binary(log.rewards_N) else _luck(train, out_NA),
        calibration=reward_models.calibration(rewards_NA[held], shown, log.means("train")),
    )


def _is_binary(rewards_N: Floats) -> bool:
    return bool(np.isin(rewards_N, (0.0, 1.0)).all())


def _luck(train: reward_models.LoggedRewards, expected_NA: Floats) -> Floats:
    """A x R residuals of each action, evenly by rank, with mean 0."""
    left_N = train.rewards_N - expected_NA[np.arange(len(train.actions_N)), train.actions_N]
    ranks = (np.arange(LUCK) + 0.5) / LUCK
    rows: list[Floats] = []
    for action in range(expected_NA.shape[1]):
        mine = left_N[train.actions_N == action]
        spread = np.quantile(mine if len(mine) else left_N, ranks)
        rows.append(spread - spread.mean())
    return np.stack(rows)


def _described(log: ShownLog, kind: Kind) -> Iterator[str]:
    name = log.table.path.name
    yield f"{name}: {_actions_in_words(log)}"
    if log.excluded:
        left = _some([f"{action!r} ({rows:,})" for action, rows in log.excluded.items()])
        yield f"{name}: actions left out, with their rows: {left}"
    if changed := _renamed(log):
        yield f"{name}: {changed}"
    yield f"{name}: {_overlap_in_words(log)}"
    if log.table.is_truth(log.columns.reward):
        yield f"{name}: column {log.columns.reward} says true and false, read as 1 and 0"
    if log.contexts is None:
        weighted = ", weighted by 1 / propensity" if log.propensities_N is not None else ""
        yield (
            f"{name}: an action earns what one of its own rows did, drawn with replacement"
            f"{weighted}; this assumes that nothing else which changes rewards went with the choice"
        )
        return
    yield f"{name}: {_model_in_words(_expected(log, kind).calibration, kind)}"
    yield (
        f"{name}: rewards are drawn around that model; this assumes that the features shown hold "
        "all that changed both what was shown and what it earned"
    )


def _actions_in_words(log: ShownLog) -> str:
    totals = np.bincount(log.actions_N, minlength=log.A).tolist()
    if log.A <= MOST_NAMED:
        each = [f"{a} ({rows:,} rows)" for a, rows in zip(log.actions, totals, strict=True)]
        return f"{log.A} actions: {', '.join(each)}; mean reward {log.rewards_N.mean():.4g}"
    fewest = int(np.argmin(totals))
    return (
        f"{log.A} actions of {min(totals):,} ({log.actions[fewest]}) to {max(totals):,} rows; "
        f"mean reward {log.rewards_N.mean():.4g}"
    )


def _renamed(log: ShownLog) -> str:
    """Actions whose names answers could not hold, or distinguish; empty where none is."""
    pairs = zip(log.actions, log.written_names, strict=True)
    changed = [f"{action!r} as {written!r}" for action, written in pairs if action != written]
    return f"actions whose names answers cannot hold are called {_some(changed)}" if changed else ""


def _overlap_in_words(log: ShownLog) -> str:
    """How much the training rows say of each action."""
    rows_A = log.effective_rows("train")
    least = int(rows_A.argmin())
    worth = (
        f"training rows are worth {rows_A.min():,.0f} ({log.actions[least]}) to "
        f"{rows_A.max():,.0f} evenly shown ones for an action"
    )
    if log.propensities_N is None:
        return f"no propensities, so all rows count the same; {worth}"
    low, high = float(log.propensities_N.min()), float(log.propensities_N.max())
    return f"propensities from {low:.3g} to {high:.3g} (column {log.columns.propensity}); {worth}"


def _model_in_words(found: RewardCalibration, kind: Kind) -> str:
    return (
        f"a {kind} reward model of the training rows alone, cross-fitted there; on {found.rows:,} "
        f"held-out rows it expects {found.predicted:.4g} where {found.seen:.4g} was seen, is "
        f"{found.error:.3g} off by tenths, and explains {found.explained:.1%} of what each "
        "action's mean leaves"
    )


def _some(words: list[str]) -> str:
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
