"""A grid: one run, and the changes to it that are to be compared, cell by cell and seed by seed.

Its file stands beside run files:

    base = "quickstart.toml"        # the run that every cell changes
    seeds = [1, 2]
    set = { iterations = 3 }        # for all cells; keys as --set takes them
    [[cell]]
    name = "rmft"                   # the first cell is what the others are held against
    [[cell]]
    name = "random"
    says = "the control: it must not improve"
    set = { "selection.rank_by" = "random" }
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from rmft_api.config import changes, run_files
from rmft_api.config import schema as configs
from rmft_api.config.schema import RunConfig, Section
from rmft_api.config.validation_errors import first_mistake
from rmft_api.core import paths
from rmft_api.core.errors import ConfigError
from rmft_api.core.names import A_NAME, RUN_NAME
from rmft_api.core.paths import Origin


class Cell(Section):
    """One way of doing it."""

    name: str
    says: str = ""
    """What it is there for, in a few words."""
    set: dict[str, Any] = Field(default_factory=dict)


class Grid(Section):
    """The file."""

    base: str
    """A run file beside the grid's own, or what `rmft-api run` takes."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    set: dict[str, Any] = Field(default_factory=dict)
    cell: Annotated[tuple[Cell, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_names(self) -> Self:
        names = [cell.name for cell in self.cell]
        for name in names:
            if not RUN_NAME.match(name) or names.count(name) > 1:
                raise ValueError(f"cell {name!r}: names must differ, and have {A_NAME}")
        return self


@dataclass(frozen=True)
class GridRun:
    """One cell with one seed: a run of its own."""

    cell: Cell
    seed: int
    config: RunConfig
    grid: str = ""
    """The grid's name: its file's."""


def load(path: Path) -> Grid:
    """Read a grid. Raises ConfigError."""
    try:
        return Grid.model_validate(configs.read(path))
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_mistake(error, Grid)}") from None


def grid_runs(path: Path, grid: Grid) -> Iterator[GridRun]:
    """Every run of the grid, cell by cell. Raises ConfigError for a cell that is no run."""
    base_file = run_files.beside(grid.base, path.parent)
    base = configs.read(base_file)
    for cell in grid.cell:
        for seed in grid.seeds:
            config = _config(path, base_file, base, grid, cell, seed)
            yield GridRun(cell, seed, config, path.stem)


def _config(
    path: Path, base_file: Path, base: Mapping[str, Any], grid: Grid, cell: Cell, seed: int
) -> RunConfig:
    raw: dict[str, Any] = copy.deepcopy(dict(base))
    raw["name"] = f"{path.stem}-{cell.name}-{seed}"[:64]
    raw["seed"] = seed
    for key, value in {**grid.set, **cell.set}.items():
        changes.place(raw, key, value, path.parent)
    folder = base_file.absolute().parent
    raw = paths.settled(raw, folder, Path.cwd())
    return configs.parse(raw, f"{path}, cell {cell.name!r}", Origin(folder))
