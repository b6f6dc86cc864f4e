"""Cells of a grid are compared over seeds: a seed is the unit of chance, not a scenario."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rmft_api.config.grid import Cell, GridRun
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import BudgetError, ConfigError
from rmft_api.evaluation.scoring import Performance
from rmft_api.session import ablations, budgets
from tests.performances import played

M = 40


@dataclasses.dataclass
class Named:
    """What `compared` takes of a run's settings."""

    name: str


def rows(
    monkeypatch: pytest.MonkeyPatch, seeds: int, effect: float, better: float = 1.0
) -> list[ablations.AblationRow]:
    """The second cell is worse by `better`; each seed moves that by its own `effect`."""
    rng = np.random.default_rng(0)
    ends: dict[str, tuple[Performance, Performance]] = {}
    places: list[GridRun] = []
    for seed in range(seeds):
        base = 5 + rng.standard_normal(M)
        first = base - 2 + 0.3 * rng.standard_normal(M)
        gap = better + effect * rng.standard_normal()
        second = first + gap + 0.3 * rng.standard_normal(M)
        for cell, regret_M in (("rmft", first), ("random", second)):
            name = f"{cell}-{seed}"
            places.append(GridRun(Cell(name=cell), seed, cast("Any", Named(name))))
            ends[name] = (played(base), played(regret_M))

    def read(directory: Path) -> tuple[Performance, Performance]:
        return ends[directory.name]

    monkeypatch.setattr(ablations, "_ends", read)
    return ablations.compared(places, Path("runs"))


def test_where_seeds_differ_the_interval_is_that_of_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    (first, second), (_, alike) = rows(monkeypatch, 4, 1.0), rows(monkeypatch, 4, 0.0)
    assert (first.seeds, first.scenarios, first.against) == (4, 4 * M, None)
    assert second.against is not None
    assert alike.against is not None
    wide, narrow = second.against, alike.against
    assert wide.drop.high - wide.drop.low > 1.5 > narrow.drop.high - narrow.drop.low
    assert wide.p > 0.05 > narrow.p
    assert narrow.drop.high < -0.8
    assert first.drop.mean == pytest.approx(2.0, abs=0.1)


def test_one_seed_has_the_interval_of_its_scenarios_and_two_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, one = rows(monkeypatch, 1, 0.0)
    _, two = rows(monkeypatch, 2, 0.0)
    assert one.regret.known
    assert one.against is not None
    assert one.against.drop.known
    assert not two.regret.known
    assert "an interval over seeds needs at least 3" in ablations.table_of([two])


def test_cells_that_were_tested_on_other_scenarios_are_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long, short = played(np.ones(M)), played(np.ones(M - 1))

    def read(directory: Path) -> tuple[Performance, Performance]:
        return (long, long) if directory.name == "a" else (short, short)

    monkeypatch.setattr(ablations, "_ends", read)
    places = [GridRun(Cell(name=n), 1, cast("Any", Named(n))) for n in ("a", "b")]
    with pytest.raises(ConfigError, match="have different test scenarios"):
        ablations.compared(places, Path("runs"))


class Spending:
    """Runs that spend what they are asked to, or the whole cap where that is less."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **usd: float) -> None:
        self.wanted, self.spent, self.caps = usd, dict[str, float](), dict[str, float | None]()
        monkeypatch.setattr(ablations, "begin", self.begin)
        monkeypatch.setattr(ablations, "compared", self.compared)
        monkeypatch.setattr(budgets, "_taken", self.taken)

    async def begin(self, config: RunConfig, *arguments: Any, **options: Any) -> None:
        cap, wanted = config.budget_usd, self.wanted[config.name]
        self.caps[config.name] = cap
        self.spent[config.name] = wanted if cap is None else min(wanted, cap)
        if cap is not None and wanted > cap:
            raise BudgetError(f"{config.name} is at its budget")

    def taken(self, directory: Path) -> int:
        return round(self.spent.get(directory.name, 0.0) * 1e6)

    def compared(self, places: Any, runs: Path) -> list[ablations.AblationRow]:
        return []


def places(*names: str, budget_usd: float | None = None) -> list[GridRun]:
    raw: dict[str, Any] = {
        "model": {"base": "scripted-random"},
        "rollouts": {"problems": [{"environment": "bandit", "K": 2, "T": 6}]},
        "budget_usd": budget_usd,
    }
    return [
        GridRun(Cell(name=name), 1, RunConfig.model_validate({**raw, "name": name}))
        for name in names
    ]


async def test_a_budget_is_for_all_cells_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spending = Spending(monkeypatch, a=2.0, b=2.0, c=2.0)
    with pytest.raises(BudgetError, match="b is at its budget"):
        await ablations.run_all(places("a", "b", "c"), tmp_path, budget_usd=3.0)
    assert spending.caps == {"a": 3.0, "b": pytest.approx(1.0)}
    assert sum(spending.spent.values()) == pytest.approx(3.0)


async def test_a_cell_that_the_others_leave_nothing_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spending = Spending(monkeypatch, a=1.0, b=2.0, c=2.0)
    with pytest.raises(BudgetError, match=r"whole budget before 'c'; .* higher --budget continues"):
        await ablations.run_all(places("a", "b", "c"), tmp_path, budget_usd=3.0)
    assert list(spending.caps) == ["a", "b"]


async def test_a_cells_own_lower_cap_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spending = Spending(monkeypatch, a=0.1)
    await ablations.run_all(places("a", budget_usd=0.5), tmp_path, budget_usd=3.0)
    assert spending.caps == {"a": 0.5}
    await ablations.run_all(places("a", budget_usd=0.5), tmp_path)
    assert spending.caps == {"a": 0.5}
