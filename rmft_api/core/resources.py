"""Where the files that ship with the package lie: beside it in a checkout, inside it in a wheel."""

from pathlib import Path

from rmft_api.core.errors import ConfigError

_PACKAGE = Path(__file__).parent.parent
_ROOTS = (_PACKAGE / "shared", _PACKAGE.parent)


def prompts_dir() -> Path:
    """The folder of prompt sets."""
    return _folder("prompts")


def run_files_dir() -> Path:
    """The folder of shipped run files."""
    return _folder("runs")


def _folder(name: str) -> Path:
    for root in _ROOTS:
        if (root / name).is_dir():
            return root / name
    raise ConfigError(f"the folder {name!r} that ships with rmft-api is missing; install it again")
