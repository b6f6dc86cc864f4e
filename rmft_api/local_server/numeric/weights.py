"""Weights files: safetensors, with the family's name inside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from rmft_api.core.errors import DataError
from rmft_api.local_server.numeric.family import Tensors
from rmft_api.local_server.numeric.simplex import Floats


def save(path: Path, family: str, tensors: Tensors) -> None:
    """Write the file; the same weights give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), path, metadata={"family": family})


def load(path: Path, family: str, like: Tensors) -> Tensors:
    """Read weights shaped as those of `like`. Raises DataError for another model's file."""
    try:
        found, tensors = _read(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"weights {path}: cannot be read: {error}") from error
    if found != family or _shapes(tensors) != _shapes(like):
        raise DataError(f"weights {path} are of {found!r}, not of {family!r} as it is now")
    return tensors


def _read(path: Path) -> tuple[str | None, dict[str, Floats]]:
    opened: Any = safe_open(path, framework="numpy")
    with opened as file:
        metadata = cast("Mapping[str, str]", file.metadata() or {})
        names = cast("list[str]", list(file.keys()))
        tensors = {name: np.asarray(file.get_tensor(name), dtype=np.float64) for name in names}
    return metadata.get("family"), tensors


def _shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in tensors.items()}
