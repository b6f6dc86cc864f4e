import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal
from rmft_api.core.fault_points import fault_point
met = []
signal.signal(signal.SIGTERM, lambda number, frame: met.append(number))
signal.signal(signal.SIGINT, lambda number, frame: met.append(number))
for point in ("a", "b", "a", "a"):
    fault_point(point)
    print(point, *met, flush=True)
"""


def run(crash_at: str | None) -> subprocess.CompletedProcess[str]:
    given = {} if crash_at is None else {"RMFT_CRASH_AT": crash_at}
    env = {k: v for k, v in os.environ.items() if k != "RMFT_CRASH_AT"} | given
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("crash_at", [None, "", "c", "a:4"])
def test_a_point_that_is_not_named_or_not_reached_does_nothing(crash_at: str | None) -> None:
    result = run(crash_at)
    assert (result.returncode, result.stdout.split()) == (0, ["a", "b", "a", "a"])


def test_the_named_occurrence_kills() -> None:
    result = run("a:2")
    assert (result.returncode, result.stdout.split()) == (-signal.SIGKILL, ["a", "b"])


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("INT", 2)])
def test_other_signals_are_sent_once(name: str, number: int) -> None:
    assert run(f"a:3:{name}").stdout.splitlines() == ["a", "b", "a", f"a {number}"]


def test_an_interrupt_may_come_twice() -> None:
    assert run("b:1:INT2").stdout.splitlines()[1] == "b 2 2"
