"""Forked processes and fast clocks: what the matrix stands on."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_provider.client import ROOT
from tests.faults.nursery import Born, Nursery
from tests.faults.world import clocks

SLEEPY = """
import asyncio, time
from tests.faults import speed
real = time.perf_counter()
speed.speed_up(100, time.time())
wall = time.time()
asyncio.run(asyncio.sleep(30))
assert 29 < time.time() - wall < 60, time.time() - wall
assert time.perf_counter() - real < 3
"""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    nursery = Nursery(folder, "tests.fake_provider.__main__", clocks(1))
    yield nursery
    nursery.close()


def bear(nursery: Nursery, folder: Path, *arguments: str) -> Born:
    out, err = folder / "out", folder / "err"
    return nursery.bear(arguments, cwd=folder, environ={"HOME": "/x"}, stdout=out, stderr=err)


def test_a_forked_process_has_its_own_arguments_streams_and_exit_code(
    nursery: Nursery, tmp_path: Path
) -> None:
    assert bear(nursery, tmp_path, "--what").wait(10) == 2
    assert "required: --state" in (tmp_path / "err").read_text()


def test_a_forked_process_is_killed_like_any_other(nursery: Nursery, tmp_path: Path) -> None:
    child = bear(nursery, tmp_path, "--state", "books")
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.3)
    assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    assert child.wait(10) == -9
    assert (tmp_path / "books" / "provider.sqlite").exists()


def test_half_a_minute_passes_in_a_third_of_a_second() -> None:
    subprocess.run([sys.executable, "-c", SLEEPY], check=True, cwd=ROOT, timeout=30)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_watched_process_is_struck_at_the_very_call_that_was_named(
    nursery: Nursery, tmp_path: Path
) -> None:
    strike = ("-e", "trace=mkdir", "-e", "inject=mkdir:signal=KILL:when=1")
    child = nursery.bear(
        ("--state", "books"),
        cwd=tmp_path,
        environ={},
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        tracer=("-o", "/dev/null", *strike),
    )
    assert child.wait(10) == -9
    assert not (tmp_path / "books").exists()
