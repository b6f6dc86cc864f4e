"""The engines that a server runs, by name; each base model belongs to one of them.

An engine of your own is named `module:Class`. It is imported here and again in the training
process, so the module must be importable by both. An open model is named `hf:` and its settings.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import NamedTuple, cast

from rmft_api.core.errors import ConfigError
from rmft_api.local_server.engine import Engine, Registry


def imported(spec: str, *arguments: str) -> Engine:
    """Make the engine `module:Class`. Raises ConfigError when it cannot be imported."""
    module, _, name = spec.partition(":")
    try:
        return cast("Engine", getattr(import_module(module), name)(*arguments))
    except ImportError as error:
        if error.name in _EXTRAS:
            raise ConfigError(
                f"the models of this server need {error.name!r}: "
                f"pip install 'rmft-api[{_EXTRAS[error.name]}]'"
            ) from error
        raise ConfigError(f"engine {spec!r} cannot be imported: {error}") from error
    except AttributeError as error:
        raise ConfigError(f"engine {spec!r} cannot be made: {error}") from error


_EXTRAS = {
    **dict.fromkeys(("torch", "safetensors"), "local"),
    **dict.fromkeys(("transformers", "peft", "trl", "accelerate", "datasets", "gguf"), "open"),
}

ENGINES: Registry = {
    "tiny": partial(imported, "rmft_api.local_server.tiny.engine:TinyEngine"),
    "numeric": partial(imported, "rmft_api.local_server.numeric.engine:NumericEngine"),
    "players": partial(imported, "rmft_api.local_server.scripted_players:ScriptedPlayersEngine"),
    "scripted": partial(imported, "rmft_api.local_server.last_answer:LastAnswerEngine"),
}
OPEN = "hf"
"""The family of open models; each has settings of its own, so none is made from the name alone."""
DEFAULT = ("tiny", "numeric", "players")
"""The engines that are served when none is named. "scripted" is to try the wire (`last_answer`)."""


def make(name: str) -> Engine:
    """The engine of that name, or `module:Class`. Raises ConfigError; a miss lists what exists."""
    family, _, settings = name.partition(":")
    if family == OPEN:
        return imported("rmft_api.local_server.hf.engine:from_json", settings)
    if ":" in name:
        return imported(name)
    if name not in ENGINES:
        known = ", ".join((*ENGINES, OPEN))
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
