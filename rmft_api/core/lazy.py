"""Names of a package that are imported when they are first used."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package; `names` are those of each of its modules.

    For type checkers the package imports the same names under TYPE_CHECKING.
    """

    def getattr_(name: str) -> Any:
        for module, its_names in names.items():
            if name in its_names:
                return getattr(import_module(f"{package}.{module}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return getattr_
