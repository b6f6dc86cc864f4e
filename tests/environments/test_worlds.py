"""Problems with state: stock and prices, exact optima, and classes that break their contract."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from math import erfc, exp, factorial, sqrt
from typing import Any

import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.environments import Scenario
from rmft_api.environments.inventory import Inventory
from rmft_api.environments.pricing import Pricing
from rmft_api.environments.worlds import StatefulEnvironment, StatefulProblem
from rmft_api.selection import regret
from rmft_api.testing import StatefulContract


class TestInventory(StatefulContract):
    def make(self, K: int, T: int) -> StatefulEnvironment:
        return Inventory(K=K, T=T)


class TestInventoryWithALongLeadTime(StatefulContract):
    worlds = 150

    def make(self, K: int, T: int) -> StatefulEnvironment:
        return Inventory(K=K, T=T, lead_time=2, lot=3)


class TestInventoryAtOnce(StatefulContract):
    worlds = 150

    def make(self, K: int, T: int) -> StatefulEnvironment:
        return Inventory(K=K, T=T, lead_time=0)


class TestPricing(StatefulContract):
    def make(self, K: int, T: int) -> StatefulEnvironment:
        return Pricing(K=K, T=T, stock=4)


@dataclass(kw_only=True)
class Doors:
    """The door that pays is the one after the last that was opened; no optimum is given."""

    K: int
    T: int
    lowest: float = 0.0
    breach: dict[str, Any] = field(default_factory=dict[str, Any])
    _last: int = 0

    def reset(self, seed: int) -> Any:
        self._last = seed % self.K
        return self.breach.get("reset", (self._last, "Go on."))

    def actions(self, state: int) -> Any:
        return self.breach.get("actions", range(self.K))

    def step(self, action: int) -> Any:
        paid = float(action == (self._last + 1) % self.K)
        self._last = action
        return self.breach.get("step", (paid, action, "Go on."))

    def references(self) -> dict[str, Callable[[int, int], int]]:
        return {"next": self._next, "stay": lambda state, t: state}

    def _next(self, state: int, t: int) -> int:
        return self.breach.get("next", (state + 1) % self.K)


class TestWithoutAnOptimum(StatefulContract):
    def make(self, K: int, T: int) -> StatefulEnvironment:
        return Doors(K=K, T=T)


def drawn(name: str, K: int, T: int, count: int = 12, **options: Any) -> list[Scenario]:
    made = environments.make(name, K, T, options)
    return [made.draw(np.random.default_rng(i)) for i in range(count)]


def regret_of(name: str, scenarios: list[Scenario]) -> np.ndarray[Any, np.dtype[np.float64]]:
    plays = baselines.play(name, scenarios, seed=1)
    return np.array([regret.per_round(play, "reference").sum() for play in plays])


@pytest.mark.parametrize(("name", "own"), [("inventory", "base_stock"), ("pricing", "fixed_price")])
def test_the_optimum_has_no_regret_and_chance_has_more_than_a_good_rule(
    name: str, own: str
) -> None:
    scenarios = drawn(name, K=4, T=20)
    assert np.abs(regret_of("best_dynamic", scenarios)).max() < 1e-9
    rule, chance = regret_of(own, scenarios), regret_of("random", scenarios)
    assert (rule >= -1e-9).all()
    assert 0 < rule.mean() < chance.mean()


def test_the_value_of_stock_is_that_of_a_search_through_all_demands() -> None:
    K, T, cap, lot = 3, 4, 5, 2
    made = Inventory(K=K, T=T, capacity=cap, lot=lot, demand_low=2.0, demand_high=2.0)
    state, _ = made.reset(0)
    chance = [exp(-2.0) * 2.0**d / factorial(d) for d in range(cap)]
    chance.append(1.0 - sum(chance))
    least, width = made._least, made._width  # pyright: ignore[reportPrivateUsage]

    @cache
    def worth(t: int, on_hand: int, coming: int) -> float:
        return 0.0 if t == T else max(action_worth(t, on_hand, coming, a) for a in range(K)
                                      if on_hand + coming + a * lot <= cap)  # fmt: skip

    @cache
    def action_worth(t: int, on_hand: int, coming: int, action: int) -> float:
        total, full = 0.0, on_hand + coming
        for demand, p in enumerate(chance):
            sold = min(full, demand)
            money = 5.0 * sold - 2.0 * action * lot - 0.5 * (full - sold) - (demand - sold)
            total += p * ((money - least) / width + worth(t + 1, full - sold, action * lot))
        return total

    found = made.optimum(state, 0)
    for action in made.actions(state):
        assert found[action] == pytest.approx(action_worth(0, state.on_hand, 0, action))


def test_the_value_of_a_price_is_that_of_a_search_through_all_sales() -> None:
    made = Pricing(K=3, T=5, stock=2, worth_low=50.0, worth_high=50.0)
    state, _ = made.reset(0)
    prices = (20.0, 50.0, 80.0)
    buys = [erfc((price - 50.0) / (15.0 * sqrt(2.0))) / 2.0 for price in prices]

    @cache
    def worth(t: int, left: int) -> float:
        return 0.0 if t == 5 or not left else max(action_worth(t, left, a) for a in range(3))

    @cache
    def action_worth(t: int, left: int, action: int) -> float:
        sold = prices[action] / 80.0 + worth(t + 1, left - 1)
        return buys[action] * sold + (1.0 - buys[action]) * worth(t + 1, left)

    assert made.optimum(state, 0) == pytest.approx([action_worth(0, 2, a) for a in range(3)])


def test_luck_does_not_count_in_the_regret_that_ranks() -> None:
    """Two worlds of one mean, the same play: demands differ, and so does only what was earned."""
    made = environments.make("inventory", 3, 15, {"demand_low": 2.0, "demand_high": 2.0})
    plays = [
        baselines.play("best_dynamic", [made.draw(np.random.default_rng(i))], 1)[0]
        for i in range(6)
    ]
    found = [regret.regrets(play) for play in plays]
    assert max(abs(one.dynamic) for one in found) < 1e-9
    assert len({round(one.realised, 6) for one in found}) > 1


def test_an_unreadable_reply_is_the_worst_action_and_a_reply_that_was_not_asked_too() -> None:
    world = drawn("pricing", K=3, T=6)[0].world
    assert world is not None
    session, worst = world.start(), list[int]()
    for _ in range(world.T):
        worst.append(session.worst())
        session.step(worst[-1])
    unread = regret.regrets(regret.play_in_world(world, [None, None]))
    assert unread.dynamic == pytest.approx(
        regret.regrets(regret.play_in_world(world, worst)).dynamic
    )


def test_without_an_optimum_regret_is_against_the_best_reference() -> None:
    problem = StatefulProblem(lambda: Doors(K=3, T=9), 3, 9, "Doors")
    scenarios = [problem.draw(np.random.default_rng(i)) for i in range(4)]
    assert regret_of("next", scenarios) == pytest.approx(0.0)
    assert regret_of("stay", scenarios) == pytest.approx(9.0)
    assert 3.0 < regret_of("random", scenarios).mean() < 9.0
    world = scenarios[0].world
    assert world is not None
    assert world.reference.startswith("the best of next, stay in each scenario")


@pytest.mark.parametrize(
    ("breach", "says"),
    [
        (
            {"step": (2.0, 0, "")},
            r"Doors\.step\(0\) returned 2\.0 in round 1; a reward from",
        ),
        ({"step": (float("nan"), 0, "")}, r"step\(0\) returned nan"),
        ({"step": ("much", 0, "")}, r"step\(0\) returned 'much'"),
        ({"step": (1.0, 0)}, r"step\(0\) returned \(1\.0, 0\).*\(reward, state, shown\)"),
        ({"step": (1.0, 0, None)}, r"step\(0\) returned None in round 1; text"),
        ({"actions": []}, r"actions\(state\) returned \(\) in round 1; at least one"),
        ({"actions": [3]}, r"actions\(state\) returned \(3,\)"),
        ({"actions": 2}, r"actions\(state\) returned 2"),
        ({"reset": 0}, r"reset\(seed\) returned 0 in round 1; \(state, shown\) expected"),
        ({"next": 7}, r"_next\(state, 0\) returned 7 in round 1; one of"),
    ],
)
def test_a_breach_names_the_method_and_what_it_returned(breach: dict[str, Any], says: str) -> None:
    problem = StatefulProblem(lambda: Doors(K=3, T=9, breach=breach), 3, 9, "Doors")
    with pytest.raises(DataError, match=says):
        problem.try_out(0)


def test_an_error_inside_a_class_is_one_line() -> None:
    problem = StatefulProblem(lambda: Doors(K=3, T=9, breach={"next": None}), 3, 9, "Doors")
    with pytest.raises(DataError, match=r"returned None in round 1"):
        problem.try_out(0)

    class Broken(Doors):
        def step(self, action: int) -> Any:
            raise KeyError("stock")

    broken = StatefulProblem(lambda: Broken(K=3, T=9), 3, 9, "Broken")
    with pytest.raises(DataError, match=r"Broken\.step\(0\) raised KeyError: 'stock' in round 1"):
        broken.try_out(0)


def test_regret_needs_something_to_compare_with() -> None:
    class Bare:
        def reset(self, seed: int) -> tuple[int, str]:
            return 0, ""

        def actions(self, state: int) -> range:
            return range(2)

        def step(self, action: int) -> tuple[float, int, str]:
            return 0.0, 0, ""

    with pytest.raises(ValueError, match=r"Bare has neither optimum\(state, t\) nor references"):
        StatefulProblem(Bare, 2, 3, "Bare")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("inventory", {"capacity": 5}, "largest order, 6, is above capacity=5"),
        ("inventory", {"lead_time": 9}, "lower lead_time"),
        ("inventory", {"leadtime": 1}, "did you mean 'lead_time'"),
        ("inventory", {"price": True}, "price=True is not a finite number"),
        ("pricing", {"lowest_price": 90.0}, "must be below highest_price"),
        ("pricing", {"stock": 0}, "use stock >= 1"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(
    name: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        environments.make(name, 4, 10, options)


def test_a_name_that_no_baseline_has_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match="unknown baseline 'base_stok'; did you mean 'base_stock'"
    ):
        baselines.play("base_stok", drawn("inventory", 3, 5, 1), 1)
    with pytest.raises(ConfigError, match="'ucb1' cannot play scenario 0, which has state"):
        baselines.play("ucb1", drawn("inventory", 3, 5, 1), 1)
