"""The one array type of this package, and the level of what it says."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL = 0.95


def checked(values: Sequence[float] | Floats) -> Floats:
    """Figures that an interval can be made of. Raises ValueError for others."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError("an interval needs a list of at least one figure")
    if not np.isfinite(array).all():
        raise ValueError(f"figures must be finite, got {array[~np.isfinite(array)][0]}")
    return array
