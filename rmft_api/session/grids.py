"""The record of an ablation grid: which runs are its cells, so that its page can be made later."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from rmft_api.config.grid import GridRun
from rmft_api.core import serialization
from rmft_api.core.errors import StorageError
from rmft_api.core.files import make_directory, replace_file
from rmft_api.core.names import as_run_name
from rmft_api.core.records import Record
from rmft_api.session.run_directories import GRID, is_run


class GridCellRecord(Record, frozen=True):
    """One cell: what it changes, and its runs."""

    name: str
    says: str
    changes: dict[str, str]
    """What it sets, by key."""
    runs: tuple[str, ...]
    """One a seed, by name."""


class GridRecord(Record, frozen=True):
    """What a grid was started with; the first cell is the one that others are held against."""

    name: str
    cells: tuple[GridCellRecord, ...]


def keep(places: Sequence[GridRun], runs: Path) -> None:
    """Record the grid of these runs; cells that were recorded before stay. Raises StorageError.

    Nothing is recorded where a run has the grid's name.
    """
    grid = places[0].grid
    if not grid or is_run(runs / as_run_name(grid)):
        return
    directory = runs / as_run_name(grid)
    known = {one.name: one for one in _known(directory)}
    cells = {cell.name: cell for cell in _cells(places)}
    make_directory(directory)
    every = {**{n: cells.get(n, one) for n, one in known.items()}, **cells}
    record = GridRecord(directory.name, tuple(every.values()))
    replace_file(directory / GRID, serialization.encode(record))


def record_of(directory: Path) -> GridRecord:
    """The record of a grid. Raises StorageError for one that cannot be read."""
    path = directory / GRID
    try:
        return serialization.decode(path.read_bytes(), GridRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise StorageError(
            f"{path} cannot be read ({error}); `rmft-api ablate FILE` writes it again"
        ) from error


def _known(directory: Path) -> tuple[GridCellRecord, ...]:
    try:
        return record_of(directory).cells
    except StorageError:  # none, or a damaged one, which is written again
        return ()


def _cells(places: Sequence[GridRun]) -> list[GridCellRecord]:
    found: dict[str, list[GridRun]] = {}
    for place in places:
        found.setdefault(place.cell.name, []).append(place)
    return [
        GridCellRecord(
            name,
            some[0].cell.says,
            _in_words(some[0].cell.set),
            tuple(one.config.name for one in some),
        )
        for name, some in found.items()
    ]


def _in_words(changes: Mapping[str, object]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else repr(value) for key, value in changes.items()}
