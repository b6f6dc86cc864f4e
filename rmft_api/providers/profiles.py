"""Profiles: the facts about each endpoint, as data.

A profile says where an endpoint is, what it can do, and what it needs; an adapter reads it and
never asks for a name. Shipped ones stand in `profiles.toml`; a file of your own, named in
`RMFT_PROFILES`, adds to them:

    [my-vllm]
    like = "openai-compatible"
    base_url = "http://10.0.0.7:8000/v1"
    chat = { n = 64, check_model = false }
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from rmft_api.config.validation_errors import unreadable
from rmft_api.core.errors import ConfigError
from rmft_api.providers.profile import Profile, Secret, checked

__all__ = ["Profile", "Secret", "load", "load_all"]

SHIPPED = Path(__file__).with_name("profiles.toml")
OWN_ENV = "RMFT_PROFILES"
"""Environment variable that names a profiles file of the user's own."""
Raw = dict[str, Any]


def load(name: str, own: Path | None = None) -> Profile:
    """A profile by name, from `own` or as shipped. Raises ConfigError."""
    known = load_all(own)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(f"no profile {name!r}; {hint}")
    return known[name]


_ITS_OWN = ("prices", "lifecycle", "tried")
"""Keys that a profile does not take from the one that it is like."""


def load_all(own: Path | None = None) -> dict[str, Profile]:
    """All profiles by name; those of `own` add to the shipped ones or replace them."""
    tables = dict(_shipped())
    own = own or (Path(named) if (named := os.environ.get(OWN_ENV)) else None)
    if own is not None:
        for name, table in _tables(own).items():
            tables[name] = _inherit(name, table, tables)
    return {name: checked(name, {"name": name, **table}) for name, table in tables.items()}


@cache
def _shipped() -> Mapping[str, Raw]:
    return _tables(SHIPPED)


def _tables(path: Path) -> dict[str, Raw]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"profiles: {unreadable(path, error)}") from error
    for name, table in raw.items():
        if not isinstance(table, dict):
            raise ConfigError(f"profiles {path}: {name!r} must be a table, e.g. [{name}]")
    return cast("dict[str, Raw]", raw)


def _inherit(name: str, table: Raw, known: Mapping[str, Raw]) -> Raw:
    """Fill what `table` leaves out from the profile it is `like`, else from its own namesake."""
    like = table.get("like", name)
    if "like" in table and like not in known:
        raise ConfigError(f"profile {name!r}: like={like!r} is unknown; known: {', '.join(known)}")
    base = known.get(like, {})
    if like != name:
        # A copy elsewhere has other prices and dates than its model, and was not tried: it says so.
        base = {key: value for key, value in base.items() if key not in _ITS_OWN}
    return _merge(base, {key: value for key, value in table.items() if key != "like"})


def _merge(base: Raw, over: Raw) -> Raw:
    merged = dict(base)
    for key, value in over.items():
        below = base.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merge(cast(Raw, below), cast(Raw, value)) if both else value
    return merged
