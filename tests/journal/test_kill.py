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

NOTHING_UNDER_WAY = ["run.locked", "run.creating", "run.opened", "job.looked", "job.recorded"]
"""Points at which no call is on the wire: going on bills nothing twice."""
UNDER_WAY = [
    *("call.reserved:1", "call.reserved:5"),
    *("call.answered:1", "call.answered:6"),
    *("call.saved:1", "call.saved:6"),
    *("journal.commit:3", "journal.commit:6", "journal.commit:9"),
    *("journal.committed:4", "journal.committed:7", "journal.committed:9"),
    *("job.intended", "job.acted"),
]
AT_ONCE = 3


def run(directory: Path, crash_at: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.journal.program", str(directory)],
        env={**os.environ, "RMFT_CRASH_AT": crash_at, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(tmp_path_factory.mktemp("undisturbed")).stdout


@pytest.mark.parametrize("point", [*NOTHING_UNDER_WAY, *UNDER_WAY])
def test_a_run_killed_anywhere_ends_as_if_it_had_not_been(
    tmp_path: Path, undisturbed: str, point: str
) -> None:
    killed = run(tmp_path, crash_at=point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run(tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    *said, spent, reserved = resumed.stdout.split()
    *expected, _, _ = undisturbed.split()
    assert said == expected == EXPECTED

    billed = Counter(program.Provider(tmp_path / "bill").billed())
    assert billed["job"] == 1
    twice = billed - CLEAN_BILL
    assert all(count == 1 for count in twice.values())
    assert sum(twice.values()) <= (0 if point in NOTHING_UNDER_WAY else AT_ONCE)
    cost = sum((JOB_COST if name == "job" else COST) * n for name, n in billed.items())
    assert cost <= int(spent) + int(reserved) <= CAP


def test_a_finished_run_asks_nothing_when_it_is_run_again(tmp_path: Path, undisturbed: str) -> None:
    assert run(tmp_path).stdout == run(tmp_path).stdout == undisturbed
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
