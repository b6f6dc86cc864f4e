"""Public classification data as contextual bandits: name the class of what is shown.

The data ship with scikit-learn (no download). A round shows one row; the action that stands for its
class earns 1, every other one 0. So what every action would have earned is known, and regret is the
number of mistakes. Classes are dealt to the actions again in every scenario: which name means which
class has to be learnt. Rows are divided once, 60/20/20 in every class, so none serves two splits.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Feedback, Split
from rmft_api.environments import options
from rmft_api.environments.scenario import Floats, Scenario

Data = Literal["digits", "wine", "iris", "breast_cancer"]
_SHARES = (0.6, 0.8)
"""Where validation and test begin, in each class's rows."""
_BLOCK = 2
"""Pixels on a side that become one number: 8 x 8 pixels are shown as 4 x 4 numbers."""


class Rows(NamedTuple):
    """A data set."""

    features: Floats
    """N x d, in [0, 1]."""
    labels: Any
    """N classes, from 0."""
    words: tuple[str, ...]
    """What is shown of each row."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """K classes of a data set; where it has more, K of them are drawn for each scenario."""

    K: int
    T: int
    data: Data = "digits"
    feedback: Feedback = "bandit"
    """bandit: the chosen action's reward is shown. full: all K."""

    def __post_init__(self) -> None:
        options.one_of("data", self.data, get_args(Data))
        options.one_of("feedback", self.feedback, get_args(Feedback))
        classes = len(np.unique(_rows(self.data).labels))
        if classes < self.K:
            raise ValueError(f"{self.data} has {classes} classes, not K={self.K}")

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario of training rows."""
        return self.draw_from("train", rng)

    def draw_from(self, split: Split, rng: np.random.Generator) -> Scenario:
        """A scenario of the split's own rows, drawn with replacement, classes equally likely."""
        rows = _rows(self.data)
        dealt_K = rng.permutation(len(np.unique(rows.labels)))[: self.K]
        right_T = rng.integers(self.K, size=self.T)
        pools = _pools(self.data, split)
        classes_T: list[int] = dealt_K[right_T].tolist()
        places = [pools[label][int(rng.integers(len(pools[label])))] for label in classes_T]
        rewards_TK = np.eye(self.K)[right_T]
        return Scenario(
            rewards=rewards_TK,
            means=rewards_TK,
            feedback=self.feedback,
            regret="dynamic",
            contexts=tuple(rows.words[place] for place in places),
            features=rows.features[places],
        )


@functools.cache
def _rows(data: str) -> Rows:
    try:
        load: Any = getattr(import_module("sklearn.datasets"), f"load_{data}")
    except ImportError:
        raise ConfigError(
            "environment 'classification' needs scikit-learn: pip install 'rmft-api[logs]'"
        ) from None
    found: Any = load()
    table: Floats = np.asarray(found.data, dtype=np.float64)
    if data == "digits":
        return Rows(*_inks(table), np.asarray(found.target), _pictures(table))
    low, high = table.min(axis=0), table.max(axis=0)
    names = [str(name) for name in found.feature_names]
    return Rows((table - low) / (high - low), np.asarray(found.target), _lists(names, table))


@functools.cache
def _pools(data: str, split: Split) -> tuple[list[int], ...]:
    """The split's rows of each class."""
    labels, turn = _rows(data).labels, get_args(Split).index(split)
    pools: list[list[int]] = []
    for label in range(int(labels.max()) + 1):
        mine = np.random.default_rng(label).permutation(np.flatnonzero(labels == label))
        ends = [0, *(round(share * len(mine)) for share in _SHARES), len(mine)]
        pools.append(mine[ends[turn] : ends[turn + 1]].tolist())
    return tuple(pools)


def _inks(table: Floats) -> tuple[Floats]:
    """Mean ink of each block of pixels, in [0, 1]."""
    side = 8 // _BLOCK
    blocks = table.reshape(-1, side, _BLOCK, side, _BLOCK).mean(axis=(2, 4)) / 16.0
    return (blocks.reshape(len(table), -1),)


def _pictures(table: Floats) -> tuple[str, ...]:
    """Rows of ink from 0 to 9, from above."""
    side = 8 // _BLOCK
    inks = np.round(9 * _inks(table)[0]).astype(int).reshape(-1, side, side).tolist()
    return tuple(
        "ink from 0 to 9, row by row: " + " / ".join(" ".join(map(str, row)) for row in one)
        for one in inks
    )


def _lists(names: Sequence[str], table: Floats) -> tuple[str, ...]:
    return tuple(
        ", ".join(f"{name} {value:.3g}" for name, value in zip(names, row, strict=True))
        for row in table.tolist()
    )
