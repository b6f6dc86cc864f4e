"""What each action would have earned, learnt from what the shown ones did (scikit-learn).

A reward model is fitted on training rows alone. For those rows themselves it answers cross-fitted:
each fold is predicted by a model that has not seen it, so that no row meets its own luck.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmft_api.core import seeds
from rmft_api.core.errors import ConfigError
from rmft_api.environments.scenario import Floats

Kind = Literal["linear", "trees"]
"""linear: a logistic regression for each action (ridge, where rewards are not 0 or 1); trees:
gradient boosting for each action."""
Ints = NDArray[np.int64]
FOLDS = 5
DECIMALS = 6
"""Of predictions: the same on every machine, whatever its arithmetic library adds up first."""
_Predict = Callable[[Floats], Floats]


class LoggedRewards(NamedTuple):
    """Rows of a log as numbers, axis N."""

    features_Nd: Floats
    actions_N: Ints
    rewards_N: Floats

    def without(self, left_N: NDArray[np.bool_]) -> "LoggedRewards":
        """The other rows."""
        kept_N = ~left_N
        return LoggedRewards(
            self.features_Nd[kept_N], self.actions_N[kept_N], self.rewards_N[kept_N]
        )


class RewardCalibration(NamedTuple):
    """How a reward model does on rows that it has not seen, for the actions that were shown."""

    rows: int
    predicted: float
    """Mean."""
    seen: float
    """Mean."""
    error: float
    """Mean distance of predicted and seen over ten groups of rows, by prediction."""
    explained: float
    """Share of the variance around each action's training mean; below 0: worse than that mean."""


class RewardModel(NamedTuple):
    """Predicts the reward of every action."""

    predictors: tuple[_Predict, ...]

    def predict(self, features_Nd: Floats) -> Floats:
        """N x A expected rewards in [0, 1]."""
        columns = [predict(features_Nd) for predict in self.predictors]
        return np.stack(columns, axis=1).clip(0.0, 1.0).round(DECIMALS)


def fit(kind: Kind, rows: LoggedRewards, actions: int) -> RewardModel:
    """A model for each action, from the rows that showed it. Raises ConfigError without the extra.

    An action without rows gets the mean of all.
    """
    every = float(rows.rewards_N.mean())
    predictors: list[_Predict] = []
    for action in range(actions):
        mine = rows.actions_N == action
        predictors.append(
            _fitted(kind, rows.features_Nd[mine], rows.rewards_N[mine])
            if mine.any()
            else _constant(every)
        )
    return RewardModel(tuple(predictors))


def cross_fitted(
    kind: Kind, rows: LoggedRewards, actions: int, groups_N: Ints, seed: int
) -> Floats:
    """N x A predictions for the rows themselves; rows of one group are in one fold."""
    names, place_N = np.unique(groups_N, return_inverse=True)
    folds = min(FOLDS, len(names))
    if folds < 2:
        return fit(kind, rows, actions).predict(rows.features_Nd)
    drawn = seeds.rng(seed, "folds of a log").permutation(len(names)) % folds
    fold_N = drawn[place_N]
    found_NA: Floats = np.empty((len(rows.rewards_N), actions))
    for fold in range(folds):
        inside = fold_N == fold
        found_NA[inside] = fit(kind, rows.without(inside), actions).predict(
            rows.features_Nd[inside]
        )
    return found_NA


def calibration(predicted_NA: Floats, rows: LoggedRewards, means_A: Floats) -> RewardCalibration:
    """Of predictions for rows that the model has not seen; `means_A` are of its training rows."""
    shown_N = predicted_NA[np.arange(len(rows.actions_N)), rows.actions_N]
    order = np.argsort(shown_N, kind="stable")
    tenths = [part for part in np.array_split(order, 10) if len(part)]
    apart = [abs(shown_N[part].mean() - rows.rewards_N[part].mean()) for part in tenths]
    around = float(((rows.rewards_N - means_A[rows.actions_N]) ** 2).mean())
    left = float(((rows.rewards_N - shown_N) ** 2).mean())
    return RewardCalibration(
        rows=len(shown_N),
        predicted=float(shown_N.mean()),
        seen=float(rows.rewards_N.mean()),
        error=float(np.average(apart, weights=[len(part) for part in tenths])),
        explained=1.0 - left / around if around > 0 else 0.0,
    )


def shown_probabilities(features_Nd: Floats, actions_N: Ints, asked_Md: Floats, A: int) -> Floats:
    """M x A: how probably the log's own policy shows each action, by logistic regression."""
    shown, coded_N = np.unique(actions_N, return_inverse=True)
    found_MA = np.zeros((len(asked_Md), A))
    if len(shown) == 1:
        found_MA[:, shown[0]] = 1.0
        return found_MA
    model: Any = _sklearn("linear_model").LogisticRegression(max_iter=1000)
    found_MA[:, shown] = model.fit(features_Nd, coded_N).predict_proba(asked_Md)
    return found_MA


def _fitted(kind: Kind, features_Nd: Floats, rewards_N: Floats) -> _Predict:
    values = np.unique(rewards_N)
    if len(values) == 1:  # nothing to distinguish: the share that one more of each kind would give
        return _constant((float(rewards_N.sum()) + 0.5) / (len(rewards_N) + 1.0))
    if np.isin(values, (0.0, 1.0)).all():
        classifier = _classifier(kind).fit(features_Nd, rewards_N.astype(np.int64))
        return lambda asked: classifier.predict_proba(asked)[:, 1]
    regressor = _regressor(kind).fit(features_Nd, rewards_N)
    return lambda asked: regressor.predict(asked)


def _constant(value: float) -> _Predict:
    return lambda asked: np.full(len(asked), value)


def _classifier(kind: Kind) -> Any:
    if kind == "linear":
        return _sklearn("linear_model").LogisticRegression(max_iter=1000)
    return _sklearn("ensemble").HistGradientBoostingClassifier(**_TREES)


def _regressor(kind: Kind) -> Any:
    if kind == "linear":
        return _sklearn("linear_model").Ridge()
    return _sklearn("ensemble").HistGradientBoostingRegressor(**_TREES)


_TREES = {"max_iter": 100, "max_leaf_nodes": 8, "random_state": 0, "early_stopping": False}


def _sklearn(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError:
        raise ConfigError(
            "environment 'logs' with features needs scikit-learn: pip install 'rmft-api[logs]'"
        ) from None
