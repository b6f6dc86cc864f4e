"""Whatever a run needs ships with the package."""

import tomllib
from pathlib import Path

from rmft_api.core import resources

ROOT = Path(__file__).parents[2]


def test_every_shipped_run_file_is_named_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    named = {Path(path).name for path in shipped if path.startswith("runs/")}
    assert named == {path.name for path in resources.run_files_dir().glob("*.toml")}


def test_prompt_sets_are_found_beside_the_package() -> None:
    assert {"compact", "standard", "numeric"} <= {p.name for p in resources.prompts_dir().iterdir()}
