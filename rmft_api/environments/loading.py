"""What a user names by `module:name`: beside the run file, in the working folder, or anywhere.

Installed packages name theirs as entry points; a name without a colon is one of those.
"""

import functools
import sys
from collections.abc import Iterable
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from rmft_api.core.errors import ConfigError
from rmft_api.environments.options import nearest

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


def plugins(group: str) -> tuple[str, ...]:
    """The names that installed packages have in an entry-point group; none is loaded."""
    return tuple(sorted(plugin.name for plugin in entry_points(group=group)))


def own(what: str, group: str, spec: str, folder: Path | None, known: Iterable[str] = ()) -> Any:
    """`module:name`, or an entry point. Raises ConfigError, with the nearest of `known` names."""
    if ":" in spec:
        return imported(what, spec, folder)
    names = plugins(group)
    if spec not in names:
        raise ConfigError(f"unknown {what} {spec!r}{nearest(spec, [*known, *names])}")
    return _plugin(what, group, spec)


@functools.cache
def _plugin(what: str, group: str, name: str) -> Any:
    found = next(plugin for plugin in entry_points(group=group) if plugin.name == name)
    try:
        return found.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{what} {name!r} cannot be loaded from {found.value!r}: {error}"
        ) from error


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
