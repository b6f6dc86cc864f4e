"""A grid names its runs, and every mistake in it by its place."""

from pathlib import Path

import pytest

from rmft_api.config import grid
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError

BASE = """
[model]
base = "m"
[rollouts]
trajectories = 8
problems = [{ environment = "bandit" }]
"""
GRID = """
base = "base.toml"
seeds = [3, 4]
set = { iterations = 2 }
[[cell]]
name = "plain"
[[cell]]
name = "half"
set = { "selection.k" = 5, "finetuning.n_epochs" = 1 }
"""


def written(folder: Path, text: str) -> Path:
    (folder / "base.toml").write_text(BASE)
    path = folder / "my.toml"
    path.write_text(text)
    return path


def test_every_cell_and_seed_is_a_run_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, GRID)
    found = list(grid.grid_runs(path, grid.load(path)))
    assert [one.config.name for one in found] == [
        "my-plain-3",
        "my-plain-4",
        "my-half-3",
        "my-half-4",
    ]
    plain, half = found[1].config, found[3].config
    assert (plain.seed, plain.iterations, plain.selection.k) == (4, 2, 4)
    assert (half.selection.k, half.finetuning.n_epochs, half.iterations) == (5, 1, 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GRID.replace('"half"', '"plain"'), "cell 'plain': names must differ"),
        (GRID.replace('"selection.k"', '"selection.kk"'), "cell 'half'.*selection.kk"),
        (GRID.replace('"selection.k"', '"seed.k"'), "'seed' is not a section"),
        (GRID.replace("base.toml", "none.toml"), "none.toml"),
        ('base = "base.toml"', "cell"),
    ],
)
def test_a_mistake_is_named_by_its_place(tmp_path: Path, text: str, why: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=why):
        list(grid.grid_runs(path, grid.load(path)))


def test_the_shipped_grid_is_made_of_runs() -> None:
    path = resources.run_files_dir() / "ablations.toml"
    found = list(grid.grid_runs(path, grid.load(path)))
    assert found[0].cell.set == {}
    assert len({one.config.name for one in found}) == len(found)
