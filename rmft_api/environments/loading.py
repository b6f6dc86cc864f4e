"""What a user names by `module:name`: beside the run file, in the working folder, or anywhere."""

import sys
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

from rmft_api.core.errors import ConfigError

_FOUND: dict[tuple[str, str], ModuleType] = {}
"""What was imported from which folder: two run files may each have a module of one name."""


def imported(what: str, spec: str, folder: Path | None = None) -> Any:
    """The object `module:name`. Raises ConfigError where there is none. Runs the module's code."""
    module, _, name = spec.partition(":")
    try:
        return getattr(_module(module, str((folder or Path.cwd()).resolve())), name)
    except (ImportError, ValueError, SyntaxError, TypeError) as error:
        raise ConfigError(f"{what} {spec!r} cannot be imported: {error}") from error
    except AttributeError:
        raise ConfigError(f"{what} {spec!r}: module {module!r} has no {name!r}") from None


def _module(name: str, folder: str) -> ModuleType:
    """The folder's own module before any other of its name."""
    if (folder, name) not in _FOUND:
        root = name.partition(".")[0]
        _forget_others(root, folder)
        invalidate_caches()
        sys.path[:0] = [folder, str(Path.cwd())]
        try:
            _FOUND[folder, name] = import_module(name)
        finally:
            del sys.path[:2]
            sys.path += [one for one in (folder, str(Path.cwd())) if one not in sys.path]
    return _FOUND[folder, name]


def _forget_others(root: str, folder: str) -> None:
    """Let a module of another folder not stand in the way of this folder's own."""
    own = [Path(folder, f"{root}.py"), Path(folder, root, "__init__.py")]
    known = sys.modules.get(root)
    file = getattr(known, "__file__", None)
    if known is None or file is None or Path(file).resolve() in [path.resolve() for path in own]:
        return
    if not any(path.is_file() for path in own):
        return
    for name in [one for one in sys.modules if one == root or one.startswith(f"{root}.")]:
        del sys.modules[name]
