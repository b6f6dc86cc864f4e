"""A rented deployment is paid by the hours begun; how many at most, the plan says."""

from pathlib import Path
from typing import Any

import pytest

from rmft_api.deployments import HourlyCost, Lease
from rmft_api.journal import Journal
from tests.planning.world import drawn, phase, rented, small

HOUR = 1_700_000
ONE_AT_A_TIME: dict[str, Any] = {
    "requests": {"concurrency": 1},
    "rollouts": {"coalesce": False},
}


def hosting(**sections: Any) -> list[tuple[int, int]]:
    """Expected and worst cost of each model's deployment, in hours."""
    plan = drawn(small(**sections), profile=rented())
    costs = [p.cost for p in plan.phases if p.name == "hosting"]
    return [((c.expected or 0) // HOUR, (c.worst or 0) // HOUR) for c in costs]


def test_a_model_is_paid_from_its_deployment_to_the_end_of_what_it_plays() -> None:
    # 2 h until it answers; then (2 + 3 plays) x 6 rounds, and 8 x 6 of rollouts, of 120 s each.
    longest_s = 2 * 3600 + (12 + 6) * 120 + (18 + 6) * 120
    rollouts_s = (48 + 6) * 120
    hours = -(-(longest_s + rollouts_s + 50) // 3600), -(-(longest_s + 50) // 3600)
    assert hosting(**ONE_AT_A_TIME) == [(1, hours[0]), (1, hours[0]), (1, hours[1])]


def test_the_total_has_a_worst_case() -> None:
    plan = drawn(small(), profile=rented())
    assert plan.total.worst == sum(p.cost.worst or 0 for p in plan.phases)
    assert any("worst of hosting" in told for told in plan.assumptions)


def test_a_fall_back_may_deploy_the_champion_anew() -> None:
    plain, falls = hosting(), hosting(gate={"fall_back": True})
    assert [b - a for (_, a), (_, b) in zip(plain, falls, strict=True)] == [3, 3, 0]


def test_where_only_the_ends_are_tested_a_champion_may_stand_beside_the_last_model() -> None:
    hours = [most for _, most in hosting(test_models="ends")]
    assert hours[2] > hours[1]


def test_a_phase_that_may_end_early_stops_to_look() -> None:
    sure = {"scenarios": 100, "half_width": 0.1, "first_look": 24}  # at 24, 48, 96 and 100
    (once, _, _), (often, _, _) = (hosting(validation=v) for v in ({"scenarios": 100}, sure))
    assert often[1] - once[1] == 1  # 3 x 6 rounds of 120 s more


async def test_the_budget_reserves_as_many_hours_as_the_worst_case_and_no_more(
    tmp_path: Path,
) -> None:
    worst = phase(drawn(small(), profile=rented()), "hosting", 1).cost.worst
    assert worst is not None
    now = 0.0
    journal = Journal.create(tmp_path / "trial", "{}", {})
    await journal.ledger.set_cap(10**9)
    rent = HourlyCost(journal, lambda _: HOUR, lambda: now)
    rent.begin("m", Lease(1, "rmft-x", 0))
    now = worst / HOUR * 3600 - 1  # the last second of the worst case
    await rent.keep("m")
    first_hour = HOUR  # reserved with the deployment itself
    assert journal.ledger.totals().spent + first_hour == worst
    journal.close()


@pytest.mark.parametrize("profile", ["openai", "local"])
def test_where_nothing_is_rented_there_is_no_hosting(profile: str) -> None:
    plan = drawn(small(model={"profile": profile}))
    assert not [p for p in plan.phases if p.name == "hosting"]
