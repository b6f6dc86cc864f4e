"""A run is one process's alone: without locks, a line says what is missing and nothing begins."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from rmft_api.core import locks
from rmft_api.core.errors import ConfigError, StorageError
from rmft_api.journal.lock import RunLock, is_owned
from rmft_api.local_server import storage
from rmft_api.session.environment_checks import of_the_machine
from tests.cli.test_doctor import NOW, found

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
for name in {missing}:
    sys.modules.pop(name, None)
import signal
if "fcntl" in {missing}:  # what else Windows has not
    del signal.SIGHUP, signal.pthread_sigmask
sys.argv = ["rmft-api", *sys.argv[1:]]
from rmft_api.cli.main import main
main()
"""


def without(missing: tuple[str, ...], *words: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(missing=missing)
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def no_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    def flock(descriptor: int, how: int) -> NoReturn:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", flock)
    return request.param


def test_a_folder_without_flock_is_named_with_what_to_do(tmp_path: Path, no_flock: int) -> None:
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for lock in (RunLock.own, RunLock.share, is_owned):
        with pytest.raises(StorageError) as caught:
            lock(tmp_path)
        line = str(caught.value)
        assert str(tmp_path) in line
        assert os.strerror(no_flock) in line
        assert "local disk" in line
        assert caught.value.exit_code == 74
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_the_local_server_says_the_same_of_its_state(tmp_path: Path, no_flock: int) -> None:
    with pytest.raises(StorageError, match="local disk"), storage.owned(tmp_path / "state"):
        pass
    with pytest.raises(StorageError, match="local disk"), storage.waited_for(tmp_path / "a.lock"):
        pass


def test_doctor_finds_a_folder_without_flock(tmp_path: Path, no_flock: int) -> None:
    journal = found(list(of_the_machine(tmp_path, NOW.date(), local=False)), "journal")
    assert journal.verdict == "fail"
    assert os.strerror(no_flock) in journal.said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["doctor", "run", "status", "resume", "serve", "cleanup", "eval"]
)
def test_a_platform_without_fcntl_is_told_in_one_line(command: str) -> None:
    ended = without(("fcntl", "uvloop"), command)
    assert ended.returncode == 78
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "Linux, macOS or WSL" in ended.stderr


def test_a_journal_is_not_opened_without_fcntl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(ConfigError, match="WSL"):
        RunLock.own(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_uvloop_is_not_needed(tmp_path: Path) -> None:
    ended = without(("uvloop",), "status", "--runs", str(tmp_path))
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0
