"""The engines that a server runs, by name; each base model belongs to one of them.

An engine of your own is named `module:Class`. It is imported here and again in the training
process, so the module must be importable by both.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import NamedTuple, cast

from rmft_api.errors import ConfigError
from rmft_api.local_server.engine import Engine, Registry


def imported(spec: str) -> Engine:
    """Make the engine `module:Class`. Raises ConfigError when it cannot be imported."""
    module, _, name = spec.partition(":")
    try:
        return cast("Engine", getattr(import_module(module), name)())
    except ImportError as error:
        if error.name in _EXTRA:
            raise ConfigError(
                f"the models of this server need {error.name!r}: pip install 'rmft-api[local]'"
            ) from error
        raise ConfigError(f"engine {spec!r} cannot be imported: {error}") from error
    except AttributeError as error:
        raise ConfigError(f"engine {spec!r} cannot be made: {error}") from error


_EXTRA = frozenset({"torch", "safetensors"})

ENGINES: Registry = {
    "tiny": partial(imported, "rmft_api.local_server.tiny.engine:TinyEngine"),
    "numeric": partial(imported, "rmft_api.local_server.numeric.engine:NumericEngine"),
    "scripted": partial(imported, "rmft_api.local_server.scripted:ScriptedEngine"),
}
DEFAULT = ("tiny", "numeric")
"""The engines that are served when none is named; scripted is for trying the wire out."""


def make(name: str) -> Engine:
    """The engine of that name, or `module:Class`. Raises ConfigError; a miss lists what exists."""
    if ":" in name:
        return imported(name)
    if name not in ENGINES:
        known = ", ".join(ENGINES)
        raise ConfigError(f"no engine {name!r}; known: {known}, or module:Class of your own")
    return ENGINES[name]()


class Owner(NamedTuple):
    """The engine that a base model belongs to."""

    name: str
    engine: Engine


def make_all(names: Sequence[str]) -> Mapping[str, Owner]:
    """Base id -> owner. Raises ConfigError when two engines claim one id."""
    owners: dict[str, Owner] = {}
    for name in names:
        engine = make(name)
        for base in engine.bases:
            if base in owners:
                raise ConfigError(f"engines {owners[base].name!r} and {name!r} both have {base!r}")
            owners[base] = Owner(name, engine)
    return owners
