"""Whether this machine can keep a run: disk, journal, loopback, clock, packages."""

import importlib.util
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

from rmft_api.core.errors import RmftError
from rmft_api.journal.lock import RunLock
from rmft_api.providers import prices

Verdict = Literal["ok", "note", "fail"]
LEAST_FREE = 2**30
"""Bytes of disk below which a run is likely to fill it."""
LOCAL_PACKAGES = ("torch", "safetensors")


class Finding(NamedTuple):
    """What one check found."""

    what: str
    verdict: Verdict
    said: str


def of_the_machine(runs: Path, today: date, *, local: bool) -> Iterator[Finding]:
    """All checks; `local`: the embedded model is wanted."""
    yield _versions()
    yield _journal(runs)
    yield _disk(runs)
    yield _loopback()
    yield _clock(today)
    yield _local(needed=local)


def _versions() -> Finding:
    python = ".".join(map(str, sys.version_info[:3]))
    return Finding("version", "ok", f"rmft-api {version('rmft-api')}, Python {python}")


def _journal(runs: Path) -> Finding:
    """Whether a run can be locked, and SQLite can keep a journal, where runs are to lie."""
    place = _existing(runs)
    try:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            RunLock.own(Path(folder)).release()
            connection = sqlite3.connect(Path(folder) / "probe.sqlite")
            try:
                mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                connection.execute("CREATE TABLE probe (id INTEGER PRIMARY KEY)")
            finally:
                connection.close()
    except (OSError, sqlite3.Error) as error:
        return Finding("journal", "fail", f"no journal can be kept in {place}: {error}")
    except RmftError as error:
        return Finding("journal", "fail", str(error))
    verdict: Verdict = "ok" if mode == "wal" else "fail"
    said = f"SQLite {sqlite3.sqlite_version}, journal mode {mode} in {place}"
    return Finding("journal", verdict, said)


def _disk(runs: Path) -> Finding:
    place = _existing(runs)
    free = shutil.disk_usage(place).free
    verdict: Verdict = "ok" if free >= LEAST_FREE else "fail"
    return Finding("disk", verdict, f"{free / 2**30:.1f} GiB free in {place}")


def _existing(path: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    path = path.resolve()
    return next(place for place in (path, *path.parents) if place.is_dir())


def _loopback() -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address: tuple[str, int] = server.getsockname()
            with socket.create_connection(address, timeout=2):
                return Finding("loopback", "ok", "127.0.0.1 gives free ports and takes connections")
    except OSError as error:
        return Finding("loopback", "fail", f"127.0.0.1 cannot be used: {error}")


def _clock(today: date) -> Finding:
    """A clock before the price list's own date is wrong: dates and deadlines would be too."""
    newest = max(row.as_of for row in prices.load(prices.SHIPPED).price)
    if today < newest:
        return Finding("clock", "fail", f"says {today}, before this package was made ({newest})")
    age = (today - newest).days
    verdict: Verdict = "note" if age > 90 else "ok"
    return Finding("clock", verdict, f"says {today} (UTC); prices are {age} days old")


def _local(*, needed: bool) -> Finding:
    missing = [name for name in LOCAL_PACKAGES if importlib.util.find_spec(name) is None]
    if not missing:
        return Finding("local", "ok", "the [local] extra is installed")
    said = f"{', '.join(missing)} missing; pip install 'rmft-api[local]'"
    return Finding("local", "fail" if needed else "note", said)
