"""What a run has cost, as people and programs see it."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rmft_api.core.waits import Wait
from rmft_api.journal import Journal
from rmft_api.journal.ledger import digest_of
from rmft_api.planning import Cost, PhaseSpending, RunPlan, Spending, spending
from rmft_api.planning.plan_vs_actual import PLAN, Amounts
from rmft_api.report.text.spending import spending_data, spending_table
from rmft_api.session.progress import FILE, TrackedConsole, line_of, status_of
from tests.planning.world import drawn, small

UNKNOWN = PhaseSpending(
    phase="training",
    iteration=1,
    state="ahead",
    planned=Amounts(trained_tokens=None),
    planned_cost=Cost(None, None, None),
    actual=Amounts(),
    spent=0,
    reserved=0,
    projected=None,
)
PLAYED = PhaseSpending(
    phase="rollouts",
    iteration=1,
    state="under way",
    planned=Amounts(calls=200, prompt_tokens=2_000_000, output_tokens=12_000),
    planned_cost=Cost(1_000_000, 2_000_000, 9_000_000),
    actual=Amounts(calls=100, prompt_tokens=990_000, output_tokens=7_000),
    spent=1_250_000,
    reserved=40_000,
    projected=2_500_000,
)
FOUND = Spending((PLAYED, UNKNOWN), Cost(None, None, None), 1_250_000, 40_000, 9_000_000, None)


class Quiet:
    """A console that says nothing."""

    def line(self, text: str) -> None:
        pass

    def stage(self, what: str) -> None:
        pass

    def waiting(self, wait: Wait | None, is_news: bool) -> None:
        pass

    @contextmanager
    def playing(self, what: str, rounds: int) -> Generator[Callable[[int], None]]:
        yield lambda count: None


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    return drawn(small())


def test_actual_stands_before_planned_and_what_is_unknown_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    rows = {line.split()[0]: line for line in spending_table(FOUND).splitlines() if line.strip()}
    assert "100 / 200" in rows["rollouts"]
    assert "990k / 2M" in rows["rollouts"]
    assert rows["rollouts"].split()[-4:] == ["2.00", "1.25", "0.04", "2.50"]
    assert rows["training"].split()[-1] == "unknown"
    assert rows["total"].split()[1:] == ["unknown", "1.25", "0.04", "unknown"]


def test_programs_get_dollars_and_null_for_unknown() -> None:
    data = spending_data(FOUND)
    assert data["projected_usd"] is None
    assert data["budget_usd"] == 9
    first, second = data["phases"]
    assert first["planned_usd"] == {"low": 1, "expected": 2, "worst": 9}
    assert first["actual"]["calls"] == 100
    assert second["planned"]["trained_tokens"] is None


async def test_status_tells_what_is_spent_reserved_and_where_that_is_heading(
    tmp_path: Path, plan: RunPlan
) -> None:
    journal = Journal.create(tmp_path / "trial", "{}", {})
    try:
        await journal.ledger.set_cap(5_000_000)
        await journal.put(PLAN, "", plan)
        await journal.ledger.begin("train/1/0/0/0", "chat", digest_of(b"r"), 250_000)
        done = await journal.ledger.begin("validation/0/0/0/0", "chat", digest_of(b"r"), 90_000)
        await journal.ledger.done(done, b"{}", 80_000)
        TrackedConsole(Quiet(), journal).write("interrupted")
        heading = spending(journal).projected
    finally:
        journal.close()
    assert heading is not None
    told = line_of(tmp_path / "trial")
    assert "$0.08 spent, $0.25 reserved of $5.00" in told
    assert f"heading for ${heading / 1e6:.2f}" in told
    status = status_of(tmp_path / "trial")
    assert status is not None
    assert status.spending is not None
    assert status.spending.projected == heading


def test_status_tells_what_a_run_waits_for_and_until_when(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "trial", "{}", {})
    try:
        tracked = TrackedConsole(Quiet(), journal)
        tracked.stage("iteration 1: training")
        until = time.time() + 7200
        tracked.waiting(Wait("job ftjob-1 is still 'running'", until), is_news=True)
        told = line_of(tmp_path / "trial")
        assert told.startswith("trial: running, iteration 1: training, 0 s ago\n")
        assert "waits until" in told
        assert "(2.0 h): job ftjob-1 is still 'running'" in told
        tracked.waiting(None, is_news=False)
        tracked.write("running")
        assert "waits until" not in line_of(tmp_path / "trial")
    finally:
        journal.close()


def test_a_late_look_from_beside_does_not_revive_a_run_that_ended(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "trial", "{}", {})
    try:
        tracked = TrackedConsole(Quiet(), journal)
        tracked.write("finished")
        tracked.write("running")
        status = status_of(tmp_path / "trial")
        assert status is not None
        assert status.state == "finished"
        assert line_of(tmp_path / "trial").startswith("trial: finished, ")
    finally:
        journal.close()


def test_a_status_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    spending: dict[str, Any] = {
        "lines": [],
        "planned": None,
        "spent": 3,
        "reserved": 0,
        "cap": 9,
        "projected": 4,
    }
    replies = {"number": 7, "tokens": 5.0, "assumed": None}
    said = {"state": "finished", "stage": "test", "rounds": 1, "of": 1, "spent": 3, "reserved": 0}
    written: dict[str, Any] = {
        **said,
        "cap": 9,
        "at": 5,
        "spending": {**spending, "heard": replies},
    }
    (tmp_path / FILE).write_text(json.dumps(written))
    found = status_of(tmp_path)
    assert found is not None
    assert found.spending is not None
    assert found.spending.observed is not None
    assert (found.state, found.spending.observed.number) == ("finished", 7)
