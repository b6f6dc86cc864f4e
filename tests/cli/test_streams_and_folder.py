"""What a shell, a service manager or a full disk may leave of the program's surroundings."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rmft_api.cli.errors import guarded


@pytest.mark.parametrize("closed", [(0,), (1, 2), (0, 1, 2)])
def test_no_file_gets_the_number_of_a_closed_stream(closed: tuple[int, ...]) -> None:
    code = f"""
import os, sys
from rmft_api.cli.main import open_streams
for number in {closed}:
    os.close(number)
open_streams()
print("said", file=sys.stdout, flush=True)
os._exit(os.open(os.devnull, os.O_RDONLY))
"""
    number = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode
    assert number > 2


def test_a_working_folder_that_is_gone_is_told_in_one_line(tmp_path: Path) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m rmft_api models'
    ended = subprocess.run(
        ["sh", "-c", script, sys.executable], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 64
    assert ended.stderr.splitlines() == [
        "rmft-api: the working folder no longer exists; change to one that does"
    ]


def test_output_that_a_full_disk_refuses_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(SystemExit) as ended:
        guarded(full)
    assert ended.value.code == 74
    assert capsys.readouterr().err.startswith("rmft-api: output cannot be written (No space left")


def test_other_errors_of_the_system_are_still_bugs() -> None:
    def lost() -> None:
        raise FileNotFoundError(errno.ENOENT, "no such file")

    with pytest.raises(FileNotFoundError):
        guarded(lost)
