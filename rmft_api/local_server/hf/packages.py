"""The packages behind open models, as they are: typed in part or not at all, so `Any` to us."""

from importlib import import_module
from typing import Any


def package(name: str) -> Any:
    """A package of the extra [open]. Raises ImportError that names it."""
    return import_module(name)
