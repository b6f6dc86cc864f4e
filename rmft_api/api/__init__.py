"""The public Python API. Nothing is imported before it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmft_api.api.decider import Decider
    from rmft_api.api.decision_game import Decision, Game

_MODULES = {
    "Decider": "rmft_api.api.decider",
    "Decision": "rmft_api.api.decision_game",
    "Game": "rmft_api.api.decision_game",
}
__all__ = ["Decider", "Decision", "Game"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'rmft_api.api' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
