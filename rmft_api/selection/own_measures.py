"""Measures of one's own: from one play to a number, or None where it has no meaning there.

A function is given `PlayArrays` of one play: rewards and means (T x K), the actions (-1 where a
reply could not be read) and the policies. `module:function`, or an entry point.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from rmft_api.core.errors import ConfigError, DataError
from rmft_api.environments import loading
from rmft_api.selection.regret import Floats, PlayArrays

GROUP = "rmft_api.measures"
"""The entry-point group that other packages name their measures in."""
OwnMeasures = Mapping[str, Callable[[PlayArrays], Any]]
"""By the name in the run file."""


def load(names: Sequence[str], folder: Path | None) -> OwnMeasures:
    """The functions. Raises ConfigError."""
    found = {name: loading.own("measure", GROUP, name, folder) for name in names}
    for name, measure in found.items():
        if not callable(measure):
            raise ConfigError(f"measure {name!r} is {measure!r}, not a function")
    return found


def of_plays(own: OwnMeasures, plays: Sequence[Sequence[PlayArrays]]) -> Mapping[str, Floats]:
    """Each measure's mean over the plays of each scenario (axis M); NaN where it has no meaning."""
    return {
        name: np.array([_mean([_asked(name, measure, play) for play in some]) for some in plays])
        for name, measure in own.items()
    }


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else math.nan


def _asked(name: str, measure: Callable[[PlayArrays], Any], play: PlayArrays) -> float | None:
    """A play's figure. Raises DataError that names what came."""
    T, K = play.rewards_TK.shape
    what = f"measure {name}: of a play with T={T}, K={K} it"
    arrays: Any = (array.copy() for array in play)
    copy = PlayArrays(*arrays)
    try:
        found = measure(copy)
    except Exception as error:
        raise DataError(f"{what} raised {type(error).__name__}: {error}") from error
    if found is None:
        return None
    number: Any = cast("Any", found).item() if isinstance(found, np.generic) else found
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise DataError(f"{what} returned {found!r}; a finite number or None expected")
    return float(number)
