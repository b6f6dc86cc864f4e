"""Where runs lie, and which name means which directory."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

from rmft_api.core.errors import UsageError
from rmft_api.core.names import A_NAME, RUN_NAME, as_run_name

JOURNAL = "journal.sqlite"
FAMILY = "family.json"
"""The record of a family of seeds, in the folder of its name."""
GRID = "grid.json"
"""The record of an ablation grid, in the folder of its file's name."""


def run_directory(runs: Path, name: str) -> Path:
    """The directory of run `name`. Raises UsageError for what cannot be a run's name."""
    if not RUN_NAME.match(name):
        raise UsageError(f"{name!r} is not a valid run name; names have {A_NAME}{_known(runs)}")
    return runs / name


def existing_run(runs: Path, name: str) -> Path:
    """As `run_directory`, for a run that must be there: by its name, its run file's or its path."""
    ways = (Path(name) if os.sep in name else None, *(runs / one for one in _meant(name)))
    found = next((way for way in ways if way is not None and is_run(way)), None)
    if found is not None:
        return found
    family = next((runs / one for one in _meant(name) if is_family(runs / one)), None)
    if family is not None:
        raise UsageError(
            f"{family.name!r} is a family of runs with different seeds; name one of them: "
            f"{', '.join(one for one in run_names(runs) if one.startswith(f'{family.name}-seed-'))}"
        )
    directory = run_directory(runs, name)
    if os.path.lexists(directory):
        raise UsageError(f"{str(directory)!r} is not a run: {_kind(directory)}{_known(runs)}")
    raise UsageError(f"no run {name!r} in {str(runs)!r}{_known(runs)}")


def existing_place(runs: Path, name: str) -> Path:
    """As `existing_run`, or the folder of a family: whatever can be resumed, or reported as one."""
    ways = (Path(name) if os.sep in name else None, *(runs / one for one in _meant(name)))
    found = next((way for way in ways if way is not None and is_family(way)), None)
    return existing_run(runs, name) if found is None else found


def existing_page(runs: Path, name: str) -> Path:
    """As `existing_place`, or the folder of an ablation grid: whatever has a page."""
    path = Path(name)
    ways = (path if os.sep in name else None, runs / as_run_name(path.name.removesuffix(".toml")))
    for way in ways:
        if way is not None and is_grid(way) and not is_run(way):
            return way
    return existing_place(runs, name)


def grid_names(runs: Path) -> list[str]:
    """The ablation grids in a folder, by name."""
    return sorted(path.parent.name for path in runs.glob(f"*/{GRID}") if not is_run(path.parent))


def family_names(runs: Path) -> list[str]:
    """The families of seeds in a folder, by name."""
    return sorted(path.parent.name for path in runs.glob(f"*/{FAMILY}"))


def run_names(runs: Path) -> list[str]:
    """The runs in a folder, by name; what else lies there is passed over."""
    try:
        found = sorted(entry.name for entry in os.scandir(runs))
    except OSError:
        return []
    return [name for name in found if RUN_NAME.match(name) and is_run(runs / name)]


def _meant(name: str) -> Iterator[str]:
    """The runs that a word may stand for: `gpt-4.1-mini.toml` begins the run gpt-4-1-mini."""
    if RUN_NAME.match(name):
        yield name
    path = Path(name)
    if path.suffix == ".toml":
        yield from _written_in(path)
    yield as_run_name(path.name.removesuffix(".toml"))


def _written_in(path: Path) -> Iterator[str]:
    """The name that a run file says, where it says one."""
    try:
        name = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("name")
    except (OSError, ValueError):
        return
    if isinstance(name, str) and RUN_NAME.match(name):
        yield name


def is_run(directory: Path) -> bool:
    """Whether a run lies in a directory."""
    try:
        return (directory / JOURNAL).is_file()
    except OSError:  # a folder that may not be looked into
        return False


def is_family(directory: Path) -> bool:
    """Whether a directory has the record of a family."""
    try:
        return (directory / FAMILY).is_file()
    except OSError:
        return False


def is_grid(directory: Path) -> bool:
    """Whether a directory has the record of an ablation grid."""
    try:
        return (directory / GRID).is_file()
    except OSError:
        return False


def _kind(path: Path) -> str:
    """What lies where a run would."""
    if path.is_symlink() and not path.exists():
        return f"a link to {str(path.readlink())!r}, which does not exist"
    if not path.is_dir():
        return "a file, and runs are folders"
    try:
        next(path.iterdir(), None)
    except OSError as error:
        return f"the folder cannot be read ({error.strerror})"
    return f"the folder has no {JOURNAL}"


def _known(runs: Path) -> str:
    names = run_names(runs)
    return f"; runs there: {', '.join(names)}" if names else "; `rmft-api run` starts one"
