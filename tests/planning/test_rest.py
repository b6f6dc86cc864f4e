"""What is warned of when a run goes on follows from what is left of it."""

from collections.abc import Callable
from datetime import date, timedelta

import msgspec
import pytest

from rmft_api.planning import Phase, RunPlan, Spending, of_the_rest
from rmft_api.planning.plan_vs_actual import Amounts, PhaseSpending
from rmft_api.providers.profile import Profile
from tests.planning.world import NOW, drawn, openai, small

LAST_JOBS, LAST_ANSWERS = date(2027, 1, 6), date(2027, 1, 14)


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    return drawn(small())


def standing(
    plan: RunPlan, done: Callable[[Phase], bool], projected: int | None = None
) -> Spending:
    """The books of a run in which some phases are over."""
    nothing = Amounts(0, 0, 0, 0, 0)
    lines = tuple(
        PhaseSpending(
            phase=phase.name,
            iteration=phase.iteration,
            state="done" if done(phase) else "ahead",
            planned=nothing,
            planned_cost=phase.cost,
            actual=nothing,
            spent=0,
            reserved=0,
            projected=0,
        )
        for phase in plan.phases
    )
    return Spending(lines, plan.total, 0, 0, None, projected)


def told(plan: RunPlan, spent: Spending, day: date, profile: Profile | None = None) -> list[str]:
    one = profile or openai()
    now = NOW + timedelta(days=(day - NOW.date()).days)
    return list(of_the_rest(small(), one, one, plan, spent, now))


def test_jobs_that_would_come_too_late_are_told(plan: RunPlan) -> None:
    nothing_done = standing(plan, lambda phase: False)
    assert "takes no jobs" in told(plan, nothing_done, LAST_JOBS)[0]
    in_time = told(plan, nothing_done, LAST_JOBS - timedelta(days=2))
    assert not any(line.startswith("run ") for line in in_time)


def test_the_end_of_training_is_nothing_to_a_run_that_has_trained(plan: RunPlan) -> None:
    trained = standing(plan, lambda phase: phase.name in ("training", "rollouts"))
    lines = told(plan, trained, LAST_JOBS)
    assert not any("jobs" in line for line in lines)
    assert any("stop answering" in line for line in lines)
    assert "would end on" in told(plan, trained, LAST_ANSWERS)[0]


def test_nothing_speaks_against_a_run_that_is_over(plan: RunPlan) -> None:
    over = standing(plan, lambda phase: True, projected=10**9)
    assert told(plan, over, LAST_ANSWERS) == []


def test_a_budget_that_will_not_last_is_told(plan: RunPlan) -> None:
    dear = standing(plan, lambda phase: False, projected=6_000_000)
    far = openai().model_copy(update={"lifecycle": ()})
    assert told(plan, dear, NOW.date(), far) == [
        "expected to stop at its budget of $5.00 before it ends; resumable"
    ]
    cheap = msgspec.structs.replace(dear, projected=4_000_000)
    assert told(plan, cheap, NOW.date(), far) == []
