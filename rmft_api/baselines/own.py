"""Algorithms of one's own: `module:Class`, or an entry point of another package.

A class is made with `GameInfo` and its options, and is an `Algorithm`. Its attribute `needs` says
the feedback it needs ("bandit", "full" or "features"; the first where it is missing), and
`known_mix = False` that it hides its distribution in draws of its own.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rmft_api.baselines.game import Algorithm, GameInfo, Needs
from rmft_api.core.errors import ConfigError, DataError, RmftError
from rmft_api.environments import loading
from rmft_api.selection.regret import Floats, Ints

GROUP = "rmft_api.baselines"
"""The entry-point group that other packages name their algorithms in."""


def names() -> tuple[str, ...]:
    """Those of installed packages; none is loaded."""
    return loading.plugins(GROUP)


def is_own(name: str) -> bool:
    """Whether a name leads out of this package."""
    return ":" in name or name in names()


def load(name: str, folder: Path | None) -> Callable[..., Any]:
    """The class; `module:Class` is looked for in `folder` first. Raises ConfigError."""
    found: Any = loading.own("baseline", GROUP, name, folder)
    if not callable(found):
        raise ConfigError(f"baseline {name!r} is {found!r}, not a class")
    if needs_of(found) not in get_args(Needs):
        raise ConfigError(f"baseline {name!r}: needs={needs_of(found)!r}; use {get_args(Needs)}")
    return found


def needs_of(algorithm: object) -> Needs:
    """The feedback that the class needs."""
    return getattr(algorithm, "needs", "bandit")


def made(name: str, algorithm: Any, known: GameInfo, options: dict[str, Any]) -> Algorithm:
    """The player, watched. Raises DataError that names what went wrong."""
    player = _asked(name, "__init__", functools.partial(algorithm, known, **options))
    missing = [method for method in _methods(player) if not callable(getattr(player, method, None))]
    if missing:
        raise DataError(
            f"baseline {name}: the class has no method {missing[0]}; inherit "
            "rmft_api.baselines.Algorithm, or write it"
        )
    return _Watched(name, player, known)


def _methods(player: Any) -> tuple[str, ...]:
    """What the class must have: a way to decide, and a way to learn."""
    decides = "mix" if hasattr(player, "mix") and not hasattr(player, "choose") else "choose"
    return (decides, "learn_all" if needs_of(player) == "full" else "learn")


def _asked(name: str, method: str, call: Any) -> Any:
    """What a method returns; an error inside it becomes one line."""
    try:
        return call()
    except RmftError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise DataError(f"baseline {name}: {method} raised {problem}") from error


class _Watched(Algorithm):
    """An algorithm of somebody else, whose answers are looked at before they count."""

    def __init__(self, name: str, player: Any, known: GameInfo) -> None:
        self._name, self._player, self._known = name, player, known

    def choose(self, t: int) -> Ints:
        """N actions from 0 to K - 1."""
        found = self._from("choose", t, self._player.choose)
        try:
            actions = np.asarray(found)
        except ValueError:  # rows of different lengths
            actions = np.array([])
        fits = actions.shape == (self._known.N,) and actions.dtype.kind in "iu"
        if not fits or not (actions.min() >= 0 and actions.max() < self._known.K):
            raise self._breach(
                "choose", t, found, f"{self._known.N} whole numbers from 0 to {self._known.K - 1}"
            )
        return actions.astype(np.int64)

    def mix(self, t: int) -> Floats | None:
        """N x K probabilities, or None."""
        mix = getattr(self._player, "mix", None)
        found = None if mix is None else self._from("mix", t, mix)
        if found is None:
            return None
        shape = (self._known.N, self._known.K)
        try:
            mixed: Floats = np.asarray(found, dtype=np.float64)
        except (TypeError, ValueError):
            mixed = np.array([])
        sums = mixed.sum(axis=1) if mixed.shape == shape else np.zeros(1)
        if not (np.abs(sums - 1.0) < 1e-6).all() or (mixed < 0).any():
            raise self._breach("mix", t, found, f"{shape[0]} x {shape[1]} probabilities")
        return mixed

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """Hand on what a bandit sees."""
        learn = getattr(self._player, "learn", None)
        if learn is not None:  # a class that needs full information may learn from that alone
            _asked(self._name, f"learn({t}, ...)", lambda: learn(t, actions_N, earned_N))

    def learn_all(self, t: int, faced_NK: Floats) -> None:
        """Hand on what full information shows."""
        if needs_of(self._player) == "full":  # a bandit is never shown what it did not choose
            _asked(self._name, f"learn_all({t}, ...)", lambda: self._player.learn_all(t, faced_NK))

    def _from(self, method: str, t: int, bound: Any) -> Any:
        return _asked(self._name, f"{method}({t})", lambda: bound(t))

    def _breach(self, method: str, t: int, found: Any, expected: str) -> DataError:
        text = " ".join(repr(found).split())[:120]
        return DataError(
            f"baseline {self._name}: {method}({t}) returned {text}; {expected} expected"
        )
