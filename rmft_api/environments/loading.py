"""What a user names by `module:name`: imported from the working folder, then from anywhere."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from rmft_api.errors import ConfigError


def imported(what: str, spec: str) -> Any:
    """The object `module:name`. Raises ConfigError where there is none. Runs the module's code."""
    module, _, name = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(import_module(module), name)
    except (ImportError, ValueError, SyntaxError, TypeError) as error:
        raise ConfigError(f"{what} {spec!r} cannot be imported: {error}") from error
    except AttributeError:
        raise ConfigError(f"{what} {spec!r}: module {module!r} has no {name!r}") from None
