"""Suites: what `rmft-api eval` plays, as TOML files. Those here ship; a path names one of yours."""

from collections.abc import Iterable
from pathlib import Path

from rmft_api.config.changes import Change
from rmft_api.core.errors import ConfigError
from rmft_api.suites.suite import Suite, load_file

__all__ = ["Suite", "load", "names"]
_HERE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The suites that ship."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


def load(name: str, overrides: Iterable[str | Change] = ()) -> Suite:
    """A shipped suite by its name, or one of the user's by its path. Raises ConfigError."""
    if name.endswith(".toml"):
        return load_file(Path(name), overrides)
    if name not in names():
        raise ConfigError(
            f"no suite {name!r}; shipped: {', '.join(names())}; or give the path of a .toml file"
        )
    return load_file(_HERE / f"{name}.toml", overrides)
