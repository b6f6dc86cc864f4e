"""Kill -9 at every step of a call and of an outbox action; then the run goes on."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from rmft_api.journal import FILE
from tests.journal import program
from tests.journal.program import CALLS, CAP, COST, JOB_COST, JOB_WORST, WORST

ROOT = Path(__file__).parents[2]
EXPECTED = [*(f"call/{i}" for i in range(CALLS)), "job-1"]
CLEAN_BILL = Counter([*(f"call/{i}" for i in range(CALLS)), "job"])

ONE_BY_ONE = {
    "run.locked": 0,
    "run.creating": 0,
    "run.opened": 0,
    "call.reserved:3": 0,
    "call.answered:3": 1,
    "call.saved:3": 1,
    "job.looked": 0,
    "job.intended": 0,
    "job.acted": 0,
    "job.recorded": 0,
}
"""Points of a run that asks one thing at a time, and how many calls it then has to ask twice."""
AT_ONCE = 3
TOGETHER = [
    *("call.reserved:1", "call.reserved:5"),
    *("call.answered:1", "call.answered:6"),
    *("journal.commit:3", "journal.commit:6", "journal.commit:9"),
    *("journal.committed:4", "journal.committed:7", "journal.committed:9"),
]
"""Points of a run that asks `AT_ONCE` things at once."""


def run(
    directory: Path, crash_at: str = "", at_once: int = AT_ONCE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.journal.program", str(directory), str(at_once)],
        env={**os.environ, "RMFT_CRASH_AT": crash_at, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def killed_and_resumed(directory: Path, point: str, at_once: int) -> Counter[str]:
    """What was billed more than once, after the promises that hold whatever the point."""
    killed = run(directory, point, at_once)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run(directory, at_once=at_once)
    assert resumed.returncode == 0, resumed.stderr
    *said, spent, reserved = resumed.stdout.split()
    assert said == EXPECTED
    billed = Counter(program.Provider(directory / "bill").billed())
    assert billed["job"] == 1
    cost = sum((JOB_COST if name == "job" else COST) * n for name, n in billed.items())
    assert cost <= int(spent) + int(reserved) <= CAP
    return billed - CLEAN_BILL


@pytest.mark.parametrize(("point", "twice"), ONE_BY_ONE.items())
def test_a_run_killed_anywhere_asks_again_only_for_a_reply_that_was_not_saved(
    tmp_path: Path, point: str, twice: int
) -> None:
    assert sum(killed_and_resumed(tmp_path, point, at_once=1).values()) == twice


@pytest.mark.parametrize("point", TOGETHER)
def test_a_run_killed_anywhere_asks_again_at_most_for_what_was_under_way(
    tmp_path: Path, point: str
) -> None:
    twice = killed_and_resumed(tmp_path, point, at_once=AT_ONCE)
    assert sum(twice.values()) <= AT_ONCE
    assert set(twice.values()) <= {1}


def test_a_finished_run_asks_nothing_when_it_is_run_again(tmp_path: Path) -> None:
    undisturbed = run(tmp_path).stdout
    assert run(tmp_path).stdout == undisturbed
    assert undisturbed.split()[:-2] == EXPECTED
    assert Counter(program.Provider(tmp_path / "bill").billed()) == CLEAN_BILL
    assert undisturbed.split()[-2:] == [str(CALLS * COST + JOB_COST), "0"]
    assert JOB_WORST > JOB_COST
    assert WORST > COST


ACKNOWLEDGE = """
import asyncio, pathlib, sys
from rmft_api.journal import Journal
async def main():
    journal = Journal.create(pathlib.Path(sys.argv[1]), "{}", {})
    async def one(worker):
        for i in range(10**6):
            await journal.put("row", f"{worker}/{i}", "x" * 300)
            sys.stdout.write(f"{worker}/{i}\\n")
            sys.stdout.flush()
    await asyncio.gather(*(one(worker) for worker in range(20)))
asyncio.run(main())
"""


@pytest.mark.parametrize("after_rows", [1, 200, 1500])
def test_no_acknowledged_row_is_lost_by_kill(tmp_path: Path, after_rows: int) -> None:
    from rmft_api.journal import Journal

    run_dir = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", ACKNOWLEDGE, str(run_dir)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(after_rows)]
        writer.kill()
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    assert (run_dir / FILE).exists()
    journal = Journal.open(run_dir)
    kept = {key for key, _ in journal.all("row", str)}
    journal.close()
    assert set(acknowledged) <= kept
