"""What was planned is held against what was asked for and billed, phase by phase."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rmft_api.core.records import ChatResponse, Choice, Hyperparameters, Job, Usage
from rmft_api.finetuning import FineTuned
from rmft_api.journal import Journal, PhaseKey, PhaseSum
from rmft_api.journal.ledger import digest_of
from rmft_api.planning import Phase, PhaseSpending, RunPlan, Spending, spending
from rmft_api.planning.plan_vs_actual import PLAN, TRAINED
from tests.planning.world import drawn, rented, small

DIGEST = digest_of(b"request")
ASSUMED = 30
"""Tokens of a reply that these plans assume."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.create(tmp_path / "trial", "{}", {})
    yield journal
    journal.close()


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    return drawn(small())


@pytest.fixture(scope="module")
def ends() -> RunPlan:
    return drawn(small().model_copy(update={"test_models": "ends"}))


async def answered(journal: Journal, key: str, usage: Usage, cost: int) -> None:
    attempt = await journal.ledger.begin(key, "chat", DIGEST, cost)
    reply = ChatResponse("r", "m", (Choice("a", "stop"),), usage)
    await journal.ledger.done(attempt, msgspec.json.encode(reply), cost)


async def whole(
    journal: Journal,
    plan: RunPlan,
    name: str,
    iteration: int,
    factor: float,
    reply_tokens: int = ASSUMED,
) -> int:
    """All calls of a phase, at so many times their price."""
    (phase,) = [p for p in plan.phases if (p.name, p.iteration) == (name, iteration)]
    split = "train" if name == "rollouts" else name
    cost = round((phase.cost.expected or 0) * factor / phase.calls)
    for i in range(phase.calls):
        await answered(journal, f"{split}/{iteration}/{i}/0/0", Usage(100, reply_tokens, 5), cost)
    return cost * phase.calls


def phase_of(plan: RunPlan, name: str, iteration: int) -> Phase:
    (one,) = [p for p in plan.phases if (p.name, p.iteration) == (name, iteration)]
    return one


def line(found: Spending, phase: str, iteration: int) -> PhaseSpending:
    (one,) = [li for li in found.lines if (li.phase, li.iteration) == (phase, iteration)]
    return one


async def test_calls_and_money_are_booked_under_the_phase_of_their_key(journal: Journal) -> None:
    await journal.ledger.set_cap(10**9)
    await journal.ledger.enter_iteration(1)
    await answered(journal, "train/1/0/0/0", Usage(100, 20, 64), 7)
    await answered(journal, "train/1/0/1/0", Usage(50, 10), 3)
    await answered(journal, "validation/0/0/0/0", Usage(30, 5), 2)
    job = await journal.ledger.begin("job/abc", "job", DIGEST, 500)
    books = journal.ledger.accounting
    assert books.sums() == {
        PhaseKey("rollouts", 1): PhaseSum(2, 150, 64, 30, spent=10, replies=2),
        PhaseKey("validation", 0): PhaseSum(1, 30, 0, 5, spent=2, replies=1),
        PhaseKey("training", 1): PhaseSum(reserved=500),
    }
    await journal.ledger.done(job, b"{}", None)
    assert books.sums()[PhaseKey("training", 1)] == PhaseSum(reserved=500)
    await journal.ledger.settle("job/abc", 420)
    assert books.sums()[PhaseKey("training", 1)] == PhaseSum(spent=420)


async def test_a_second_look_at_the_books_tells_what_a_first_one_would(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few attempts are read at once."""
    monkeypatch.setattr("rmft_api.journal.accounting.TOGETHER", 3)
    await journal.ledger.set_cap(10**9)
    for number in range(5):
        await journal.ledger.begin(f"train/1/0/{number}/0", "chat", DIGEST, 10)
        await answered(journal, f"test/0/0/{number}/0", Usage(10, 1), number)
        for _ in range(2):  # the second of them finds nothing new
            journal.ledger.accounting.sums()
    looked = journal.ledger.accounting.sums()
    fresh = type(journal.ledger.accounting)(journal.ledger.accounting._writer).sums()  # pyright: ignore[reportPrivateUsage]
    assert looked == fresh
    assert looked[PhaseKey("rollouts", 1)].reserved == 50
    assert looked[PhaseKey("test", 0)].calls == 5


async def test_a_run_at_its_beginning_is_heading_for_its_plan(
    journal: Journal, plan: RunPlan
) -> None:
    await journal.put(PLAN, "", plan)
    found = spending(journal)
    assert found.planned == plan.total
    assert found.projected == plan.total.expected
    assert {one.state for one in found.lines} == {"ahead"}
    assert found.spent == 0


async def test_phases_that_cost_twice_as_much_are_expected_to_go_on_so(
    journal: Journal, plan: RunPlan
) -> None:
    await journal.put(PLAN, "", plan)
    await journal.ledger.set_cap(10**9)
    spent = await whole(journal, plan, "validation", 0, 2.0)
    await whole(journal, plan, "test", 0, 1.0)
    await answered(journal, "train/1/0/0/0", Usage(10, ASSUMED), 0)
    found = spending(journal)
    first, next_ = line(found, "validation", 0), line(found, "validation", 1)
    assert (first.state, next_.state) == ("done", "ahead")
    assert first.spent == first.projected == spent
    expected = next_.planned_cost and next_.planned_cost.expected
    assert expected
    assert next_.projected == pytest.approx(2 * expected, rel=0.05)
    assert line(found, "rollouts", 1).state == "under way"
    assert line(found, "training", 1).projected == plan.phases[3].cost.expected


async def test_half_of_a_phase_costs_what_it_did_and_the_plan_for_the_other_half(
    journal: Journal, plan: RunPlan
) -> None:
    await journal.put(PLAN, "", plan)
    await journal.ledger.set_cap(10**9)
    (phase,) = [p for p in plan.phases if (p.name, p.iteration) == ("validation", 0)]
    for i in range(phase.calls // 2):
        await answered(journal, f"validation/0/{i}/0/0", Usage(10, ASSUMED), 1000)
    found = line(spending(journal), "validation", 0)
    half = 1 - (phase.calls // 2) / phase.calls
    assert found.projected == found.spent + round((phase.cost.expected or 0) * half)
    assert found.actual.calls == phase.calls // 2
    assert found.planned is not None
    assert found.planned.calls == phase.calls


async def test_what_is_ahead_is_projected_with_the_length_that_replies_really_have(
    journal: Journal, plan: RunPlan
) -> None:
    shorter = drawn(small(), reply_tokens=20)
    assert shorter.replies
    await journal.put(PLAN, "", plan)
    await journal.ledger.set_cap(10**9)
    at_length = phase_of(shorter, "validation", 0).cost.expected or 0
    factor = at_length / (phase_of(plan, "validation", 0).cost.expected or 1)
    real = round(shorter.replies.tokens / shorter.replies.number)
    await whole(journal, plan, "validation", 0, factor, real)
    found = spending(journal)
    assert found.observed is not None
    assert (found.observed.tokens, found.observed.assumed) == (real, ASSUMED)
    assert found.projected == pytest.approx(shorter.total.expected, rel=0.01)
    for name in ("rollouts", "training", "validation", "test"):
        at_first, later = (phase_of(one, name, 1).cost.expected for one in (plan, shorter))
        projected = line(found, name, 1).projected
        assert projected == pytest.approx(later, rel=0.005)
        assert projected != pytest.approx(at_first, rel=0.02)


async def test_a_deployment_is_under_way_as_long_as_its_model_is_played(journal: Journal) -> None:
    plan = drawn(small(), profile=rented())
    await journal.put(PLAN, "", plan)
    await journal.ledger.set_cap(10**9)
    await journal.ledger.enter_iteration(1)
    hour = 1_700_000
    for key in ("deploy/rmft-x/1", "rent/rmft-x/1/1", "ready/rmft-x/1"):
        await journal.ledger.begin(key, "rent", DIGEST, hour if key[0] != "d" else 3 * hour)
    await answered(journal, "validation/1/0/0/0", Usage(10, ASSUMED), 5)
    found = spending(journal)
    assert {one.phase for one in found.lines} == {one.name for one in plan.phases}
    assert line(found, "hosting", 1).state == "under way"
    assert line(found, "hosting", 1).projected == 5 * hour
    assert line(found, "hosting", 2).projected == hour
    assert line(found, "validation", 0).state == "done"
    assert line(found, "test", 3).state == "ahead"
    await answered(journal, "validation/2/0/0/0", Usage(10, ASSUMED), 5)
    assert line(spending(journal), "hosting", 1).state == "done"


async def test_a_run_that_is_over_is_heading_nowhere_else(journal: Journal, plan: RunPlan) -> None:
    await journal.put(PLAN, "", plan)
    await journal.ledger.set_cap(10**9)
    await whole(journal, plan, "validation", 0, 0.5)
    await journal.put(TRAINED, "01", trained(12_345))
    await journal.put("results", "", {"any": "thing"})
    found = spending(journal)
    assert found.projected == found.spent
    assert {one.state for one in found.lines} == {"done"}
    assert line(found, "training", 1).actual.trained_tokens == 12_345


def trained(tokens: int) -> FineTuned:
    job = Job("ftjob-1", "succeeded", "m", "file-1", 0)
    return FineTuned("ft:m", "m", "sha", job, tokens, Hyperparameters(), 1)


async def test_without_a_plan_there_are_actual_figures_and_no_projection(
    journal: Journal,
) -> None:
    await journal.ledger.set_cap(10**9)
    await answered(journal, "test/2/0/0/0", Usage(10, 1), 5)
    found = spending(journal)
    assert (found.planned, found.projected) == (None, None)
    assert line(found, "test", 2).planned is None
    assert found.spent == 5


async def test_a_champion_of_any_iteration_is_tested_in_the_place_of_the_last(
    journal: Journal, ends: RunPlan
) -> None:
    await journal.put(PLAN, "", ends)
    await journal.ledger.set_cap(10**9)
    await answered(journal, "test/2/0/0/0", Usage(10, 1), 5)
    tests = [one for one in spending(journal).lines if one.phase == "test"]
    assert [(one.iteration, one.planned is not None) for one in tests] == [(0, True), (2, True)]


async def test_kinds_of_phases_add_up_to_the_whole(journal: Journal, plan: RunPlan) -> None:
    await journal.put(PLAN, "", plan)
    await journal.ledger.set_cap(10**9)
    await whole(journal, plan, "validation", 0, 1.5)
    found = spending(journal)
    kinds: dict[str, Any] = {one.phase: one for one in found.by_phase()}
    assert list(kinds) == ["validation", "test", "rollouts", "training"]
    assert sum(one.projected for one in kinds.values()) == found.projected
    assert sum(one.planned_cost.expected for one in kinds.values()) == plan.total.expected
