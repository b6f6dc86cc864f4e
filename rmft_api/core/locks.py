"""flock, or one line that says why there is none: a file system without it, or a platform."""

from pathlib import Path
from types import ModuleType

from rmft_api.core.errors import ConfigError, StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl: ModuleType | None = None

_ADVICE = (
    "use a folder on a local disk (a network mount may lack flock: mount Lustre with -o flock, "
    "NFS with its lock daemon)"
)


def check_platform() -> None:
    """Raise ConfigError where the platform has no file locks."""
    if fcntl is None:
        raise ConfigError(
            "Linux, macOS or WSL (Windows Subsystem for Linux) is needed: this Python has no "
            "fcntl, so a run could not be locked; start it on one of those"
        )


def exclusive(descriptor: int, folder: Path, *, wait: bool = False) -> None:
    """Lock an open file alone; `folder`: where it lies, for people.

    Raises BlockingIOError when another process holds it (never with `wait`), StorageError where
    the file system cannot lock, ConfigError where the platform cannot.
    """
    check_platform()
    assert fcntl is not None
    _flock(descriptor, folder, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def shared(descriptor: int, folder: Path) -> None:
    """Lock an open file together with other readers. Raises as `exclusive` does."""
    check_platform()
    assert fcntl is not None
    _flock(descriptor, folder, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _flock(descriptor: int, folder: Path, how: int) -> None:
    assert fcntl is not None
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError as error:
        raise StorageError(
            f"files in {str(folder)!r} cannot be locked ({error.strerror}); {_ADVICE}"
        ) from error
