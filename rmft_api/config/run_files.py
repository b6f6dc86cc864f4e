"""Finds a run file: by its path, or by the name of one that ships with the package."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from rmft_api.core import resources
from rmft_api.core.errors import ConfigError

_SUFFIX = ".toml"
_GRIDS = frozenset({"ablations"})
"""Shipped files that are grids of runs, which `rmft-api ablate` takes."""


def shipped() -> tuple[str, ...]:
    """The names of the shipped run files, sorted."""
    names = {path.stem for path in resources.run_files_dir().glob(f"*{_SUFFIX}")}
    return tuple(sorted(names - _GRIDS))


def find_shipped(name: str) -> Path:
    """The shipped file of this name, whatever lies in the working folder."""
    return resources.run_files_dir() / f"{name}{_SUFFIX}"


def quickstart() -> Path:
    """The shipped quick start: what is run without a file."""
    return resources.run_files_dir() / f"quickstart{_SUFFIX}"


def ablations() -> Path:
    """The shipped grid: what `rmft-api ablate` runs without a file."""
    return resources.run_files_dir() / f"ablations{_SUFFIX}"


def find(file: str | os.PathLike[str]) -> Path:
    """The file that a path or a name stands for. Raises ConfigError where there is none.

    `.toml` may be left out. A name without a folder is looked for in the working folder, then in
    its `runs/`, then among the shipped files.
    """
    written = os.fspath(file)
    found = next((path for path in _candidates(written) if _is_there(path)), None)
    if found is None:
        raise ConfigError(_unknown(written))
    return found


def beside(file: str, folder: Path) -> Path:
    """As `find`, for a name that another file says: its own folder comes first."""
    near = folder / file
    return near if _is_there(near) else find(file)


def _candidates(written: str) -> Iterator[Path]:
    if not written or "\0" in written:
        return
    names = (written,) if written.endswith(_SUFFIX) else (written, written + _SUFFIX)
    yield from map(Path, names)
    if Path(written).name == written:
        for folder in (Path("runs"), resources.run_files_dir()):
            yield from (folder / name for name in names if name.endswith(_SUFFIX))


def _is_there(path: Path) -> bool:
    """Whether there is something to read, be it a pipe."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:  # a name too long, a folder that may not be looked into
        return False


def _unknown(written: str) -> str:
    """What there is in place of a file that is not there."""
    names = shipped()
    wanted = Path(written).name.removesuffix(_SUFFIX).lower()
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    meant = f", did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"no run file {written!r}{meant}; shipped run files: {', '.join(names)}"
