"""A log of what was shown: each row holds one action and what it earned, and nothing of the others.

Read and checked here, column by column; every mistake is one line with file, column, row and what
to do. What a run makes of it stands in `logs.py`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from rmft_api.core.errors import DataError
from rmft_api.core.records import Split
from rmft_api.environments.division import SPLITS, Division, Rows
from rmft_api.environments.options import nearest
from rmft_api.environments.reward_models import Ints, LoggedRewards
from rmft_api.environments.scenario import Floats
from rmft_api.environments.table_files import TableFile, label, split_names

Rare = Literal["refuse", "exclude"]
Scale = Literal["none", "unit"]
MOST_NAMED = 8
"""Actions that are listed one by one."""
LEAST = 2
"""Rows of a split: one row alone leaves no chance."""


@dataclass(frozen=True)
class LogColumns:
    """Which columns mean what, and what is asked of them; hashable, so that a log is read once."""

    action: str
    reward: str
    propensity: str
    features: str
    time: str
    user: str
    actions: str
    min_rows: int
    rare: Rare
    scale: Scale
    division: Division


@dataclass(frozen=True, eq=False)
class ShownLog:
    """The rows that are used, axis N, in the file's order; A actions."""

    table: TableFile
    columns: LogColumns
    actions: tuple[str, ...]
    """As the file names them, in order."""
    excluded: Mapping[str, int]
    """Actions that are left out, and how many rows each has."""
    file_rows: Ints
    """Each row's place in the file, from 0."""
    actions_N: Ints
    rewards_N: Floats
    propensities_N: Floats | None
    """None where the log has none."""
    features_Nd: Floats | None
    contexts: tuple[str, ...] | None
    users_N: Ints
    """Rows that go together; each alone where no column says so."""
    parts: Mapping[Split, Ints]

    @property
    def A(self) -> int:
        """How many actions."""
        return len(self.actions)

    @cached_property
    def written_names(self) -> tuple[str, ...]:
        """What a model is shown for each action: the file's word, without what answers need."""
        return tuple(_speakable(self.actions))

    def rows_of(self, split: Split, action: int) -> Ints:
        """The split's rows that showed an action."""
        part = self.parts[split]
        return part[self.actions_N[part] == action]

    def counts(self, split: Split) -> Ints:
        """Rows of each action in a split."""
        return np.bincount(self.actions_N[self.parts[split]], minlength=self.A)

    def rewards_in(self, split: Split) -> LoggedRewards:
        """The split's rows, for a reward model."""
        part = self.parts[split]
        features = np.zeros((len(part), 0)) if self.features_Nd is None else self.features_Nd[part]
        return LoggedRewards(features, self.actions_N[part], self.rewards_N[part])

    @cached_property
    def weights_N(self) -> Floats:
        """1 / propensity, all 1 where the log has none."""
        if self.propensities_N is None:
            return np.ones(len(self.rewards_N))
        return 1.0 / self.propensities_N

    def means(self, split: Split) -> Floats:
        """Each action's mean reward in a split, rows weighted against how probably it was shown."""
        found: list[float] = []
        for action in range(self.A):
            rows = self.rows_of(split, action)
            every = float(self.rewards_N[self.parts[split]].mean())
            found.append(
                float(np.average(self.rewards_N[rows], weights=self.weights_N[rows]))
                if len(rows)
                else every
            )
        return np.array(found)

    def effective_rows(self, split: Split) -> Floats:
        """Of each action: (sum w)^2 / sum w^2 of its rows' weights w = 1 / propensity."""
        found = np.zeros(self.A)
        for action in range(self.A):
            weights = self.weights_N[self.rows_of(split, action)]
            if len(weights):
                found[action] = weights.sum() ** 2 / (weights**2).sum()
        return found


def read_log(table: TableFile, columns: LogColumns) -> ShownLog:
    """The log that these columns of a file are. Raises DataError."""
    names = _Names(table, columns)
    words = table.labels(columns.action)
    rewards = _rewards(table, columns)
    propensities = _propensities(table, columns.propensity) if columns.propensity else None
    if columns.time:
        table.times(columns.time)
    division: dict[Split, Rows] = {s: columns.division.rows(table, s, LEAST) for s in SPLITS}
    known, excluded = _actions(table, columns, words, division)
    kept = np.array([row for row, word in enumerate(words) if word in known], dtype=np.int64)
    if propensities is not None:  # of the actions that are left: exact where the others are as
        propensities = propensities / (len(kept) / table.rows)  # probable in every context
        propensities = propensities.clip(None, 1.0)[kept]
    places = {word: place for place, word in enumerate(known)}
    new = np.full(table.rows, -1, dtype=np.int64)
    new[kept] = np.arange(len(kept))
    parts: dict[Split, Ints] = {
        s: _within(new[np.array(rows, dtype=np.int64)]) for s, rows in division.items()
    }
    features = names.features
    return ShownLog(
        table=table,
        columns=columns,
        actions=known,
        excluded=excluded,
        file_rows=kept,
        actions_N=np.array([places[words[row]] for row in kept.tolist()], dtype=np.int64),
        rewards_N=rewards[kept],
        propensities_N=propensities,
        features_Nd=_coded(table, features)[kept] if features else None,
        contexts=_contexts(table, features, kept) if features else None,
        users_N=_users(table, columns.user)[kept],
        parts=parts,
    )


class _Names:
    """The columns that are named, each there and each meant once. Raises DataError."""

    def __init__(self, table: TableFile, columns: LogColumns) -> None:
        single = ("action", "reward", "propensity", "time", "user")
        used: dict[str, str] = {}
        for role in single:
            name: str = getattr(columns, role)
            if not name and role in ("action", "reward"):
                raise DataError(
                    f"{table.path}: {role} names no column; write {role} = 'COLUMN', one of "
                    f"{', '.join(table.columns)}"
                )
            if name and name not in table.columns:
                raise DataError(
                    f"{table.path}: {role} = {name!r}: no such column{nearest(name, table.columns)}"
                )
            if name and name in used and role != "user":
                raise DataError(
                    f"{table.path}: column {name!r} is both {used[name]} and {role}; name another"
                )
            if name:
                used[name] = role
        self.features = table.named(columns.features)
        for name in self.features:
            if used.get(name) in ("action", "reward", "propensity"):
                raise DataError(
                    f"{table.path}: column {name!r} is both {used[name]} and a feature: it would "
                    "be shown before the choice; leave it out of features"
                )
            _check_varies(table, name, "says nothing; leave it out of features")
        if columns.user:
            _check_varies(table, columns.user, "is one user for all; leave user out")
        _check_varies(table, columns.action, "leaves nothing to decide; name the column of actions")


def _check_varies(table: TableFile, name: str, so: str) -> None:
    cells = table.columns[name]
    if len(cells) == 1:
        raise DataError(f"{table.path}: holds one row; a log has rows of several actions")
    if all(cell == cells[0] for cell in cells):
        raise DataError(
            f"{table.path}: column {name!r}, rows 1 to {len(cells)}: {str(cells[0])!r} in every "
            f"row, which {so}"
        )


def _rewards(table: TableFile, columns: LogColumns) -> Floats:
    name = columns.reward
    values = table.numbers(name)
    _check_varies(table, name, "leaves nothing to learn; name the column of rewards")
    low, high = float(values.min()), float(values.max())
    if columns.scale == "unit":
        return (values - low) / (high - low)
    outside = np.flatnonzero((values < 0) | (values > 1))
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{table.path}: column {name!r}, row {row + 1}: {values[row]:g} is outside 0 to 1; "
            "scale = 'unit' moves all rewards there"
        )
    return values


def _propensities(table: TableFile, name: str) -> Floats:
    values = table.numbers(name)
    outside = np.flatnonzero((values <= 0) | (values > 1))
    if len(outside):
        row = int(outside[0])
        fix = (
            "an action that was shown has a probability above 0; correct or remove the row"
            if values[row] <= 0
            else "write probabilities, not per cent: 0.25 for 25"
        )
        raise DataError(
            f"{table.path}: column {name!r}, row {row + 1}: {values[row]:g} is no probability "
            f"above 0 and up to 1; {fix}"
        )
    if (values == 1).all():
        raise DataError(
            f"{table.path}: column {name!r}, rows 1 to {table.rows}: 1 in every row, as if nothing "
            "else could have been shown, so the rows say nothing of other actions; leave "
            "propensity out where this is no probability"
        )
    return values


def _actions(
    table: TableFile,
    columns: LogColumns,
    words: Sequence[str],
    division: Mapping[Split, Sequence[int]],
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The actions that are used, and those that are left out with their rows. Raises DataError."""
    shown = _sorted(set(words))
    named = (_as_shown(word, shown) for word in split_names(columns.actions, shown))
    wanted = list(dict.fromkeys(named)) or shown
    for word in wanted:
        if word not in shown:
            raise DataError(
                f"{table.path}: column {columns.action!r} never shows action {word!r}"
                f"{nearest(word, shown)}; take it out of actions: the log says nothing about it"
            )
    least = _least_rows(wanted, words, columns, division)
    rare = {word: found for word, found in least.items() if found[0] < columns.min_rows}
    if rare and columns.rare == "refuse":
        word, (count, split) = next(iter(rare.items()))
        raise DataError(
            f"{table.path}: column {columns.action!r}: action {word!r} has {count} rows for "
            f"{split}, min_rows = {columns.min_rows} are needed; rare = 'exclude' leaves out "
            f"{_some(rare)}, or lower min_rows"
        )
    kept = tuple(word for word in wanted if word not in rare)
    if len(kept) < 2:
        raise DataError(
            f"{table.path}: column {columns.action!r}: {len(kept)} of {len(wanted)} actions have "
            f"min_rows = {columns.min_rows} rows in each split; two are needed: lower min_rows, or "
            "bring more rows"
        )
    left = [word for word in shown if word not in kept]
    return kept, {word: words.count(word) for word in left}


def _some(words: Collection[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(words) - MOST_NAMED
    shown = ", ".join(map(repr, list(words)[:MOST_NAMED]))
    return f"{shown} and {more} more" if more > 0 else shown


def _as_shown(word: str, shown: Sequence[str]) -> str:
    """The file's own word for an action: 1 for 1.0, True for true where only one can be meant."""
    if word in shown:
        return word
    alike = [one for one in shown if one.casefold() == word.casefold()]
    return alike[0] if len(alike) == 1 else label(word)


def _least_rows(
    wanted: Sequence[str],
    words: Sequence[str],
    columns: LogColumns,
    division: Mapping[Split, Sequence[int]],
) -> dict[str, tuple[int, Split]]:
    """The fewest rows of each action in a split that needs them, and which split that is.

    With features only the training rows are learnt from; without them each split draws its own.
    """
    needed: tuple[Split, ...] = ("train",) if columns.features else SPLITS
    counts = {split: Counter(words[row] for row in division[split]) for split in needed}
    return {
        word: min(((counts[split][word], split) for split in needed), key=lambda one: one[0])
        for word in wanted
    }


_NOT_SAID = re.compile(
    r"[<>,:\"'`*\x00-\x1f\x7f\ud800-\udfff\s\u00a0\u00ad\u2000-\u200b\u200e\u200f\u2028-\u202f\u2060\ufeff]+"
)
"""What answers need for themselves (prompts/contexts.py), and what nobody sees."""
LONGEST_NAME = 60
"""Characters of an action's name; what is longer is cut."""


def _speakable(actions: Sequence[str]) -> Iterator[str]:
    """A name for each action that no answer can confuse with another's."""
    used: set[str] = set()
    for place, action in enumerate(actions, start=1):
        said = _NOT_SAID.sub(" ", action).strip(" .;!")[:LONGEST_NAME].strip() or f"action {place}"
        name, number = said, 1
        while name.casefold() in used:
            number += 1
            name = f"{said} ({number})"
        used.add(name.casefold())
        yield name


def _sorted(words: set[str]) -> list[str]:
    """By number where all are numbers, else by letter."""
    try:
        return sorted(words, key=float)
    except ValueError:
        return sorted(words)


def _coded(table: TableFile, names: Sequence[str]) -> Floats:
    return np.concatenate([table.coded(name) for name in names], axis=1)


def _contexts(table: TableFile, names: Sequence[str], kept: Ints) -> tuple[str, ...]:
    shown = table.in_words(names)
    rows: list[int] = kept.tolist()
    return tuple(shown[row] for row in rows)


def _users(table: TableFile, name: str) -> Ints:
    if not name:
        return np.arange(table.rows)
    return np.unique(np.array(table.words(name)), return_inverse=True)[1].astype(np.int64)


def _within(rows: Ints) -> Ints:
    """The rows that are used."""
    return rows[rows >= 0]
