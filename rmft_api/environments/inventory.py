"""Stock control with a lead time: how much to order, when what is ordered comes later.

Every round an order is placed, what was ordered `lead_time` rounds ago arrives, and customers ask
for a number of pieces. What cannot be served is lost. A round earns price x sold - cost x ordered -
holding x left - penalty x lost, scaled to [0, 1] by the least and the most that a round can bring.
The mean demand is drawn for each scenario and never shown.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, factorial
from typing import NamedTuple

import numpy as np

from rmft_api.environments import options
from rmft_api.environments.scenario import Floats
from rmft_api.environments.worlds import Policy

MOST_CELLS = 2_000_000
"""Of the table of action values: 16 MB, and below a second of work."""


class Stock(NamedTuple):
    """What is known when an order is placed."""

    on_hand: int
    coming: tuple[int, ...]
    """The orders on their way as actions, the next to arrive first; as many as the lead time."""


class _Market(NamedTuple):
    """All that the optimum depends on."""

    K: int
    T: int
    lead_time: int
    lot: int
    capacity: int
    price: float
    cost: float
    holding: float
    penalty: float
    mean: float


@dataclass(kw_only=True)
class Inventory:
    """K order sizes: 0, `lot`, 2 `lot` and so on, as far as the store has room."""

    K: int
    T: int
    lead_time: int = 1
    """Rounds until an order arrives; 0: before the same round's customers."""
    lot: int = 2
    """Pieces between one order size and the next."""
    capacity: int = 12
    """The most pieces in store and on order together."""
    demand_low: float = 1.5
    demand_high: float = 4.5
    """The mean demand of a scenario is drawn between these, in steps of a half; demand is Poisson,
    cut at `capacity`."""
    price: float = 5.0
    cost: float = 2.0
    holding: float = 0.5
    """Cost of a piece that is left after a round."""
    penalty: float = 1.0
    """Cost of a piece that was asked for in vain."""
    named: bool = True
    """Call each action what it is; false: by the names of the story, which say nothing of it."""
    _mean: float = field(default=0.0, init=False)
    _demand_T: tuple[int, ...] = field(default=(), init=False)
    _stock: Stock = field(default=Stock(0, ()), init=False)
    _t: int = field(default=0, init=False)

    story = "state/stock-control"
    """Its story where the run file names no other."""

    def __post_init__(self) -> None:
        options.truth("named", self.named)
        for name, low in (("lead_time", 0), ("lot", 1), ("capacity", 1)):
            options.whole(name, getattr(self, name), low)
        for name in ("price", "cost", "holding", "penalty"):
            options.number(name, getattr(self, name), low=0.0)
        options.number("demand_low", self.demand_low, 0.5, self.capacity)
        options.number("demand_high", self.demand_high, self.demand_low, self.capacity)
        if (self.K - 1) * self.lot > self.capacity:
            raise ValueError(
                f"the largest order, {(self.K - 1) * self.lot}, is above capacity={self.capacity}"
            )
        cells = (self.capacity + 1) * self.K ** (self.lead_time + 1) * self.T
        if cells > MOST_CELLS:
            raise ValueError(
                f"the optimum has {cells} values to compute, {MOST_CELLS} are the most; lower "
                "lead_time, capacity, K or T"
            )
        if self.price + self.cost + self.holding + self.penalty == 0:
            raise ValueError("price, cost, holding and penalty are all 0: every order is worth 0")

    @property
    def names(self) -> tuple[str, ...] | None:
        """What the actions are called; None: as the story says."""
        if not self.named:
            return None
        return tuple(f"order {action * self.lot}" for action in range(self.K))

    def reset(self, seed: int) -> tuple[Stock, str]:
        """Draw the mean and T demands; the store begins with about one round's worth."""
        rng = np.random.default_rng(seed)
        halves = int(2 * (self.demand_high - self.demand_low) + 1e-9)
        self._mean = self.demand_low + int(rng.integers(halves + 1)) / 2
        drawn: list[int] = rng.poisson(self._mean, self.T).clip(max=self.capacity).tolist()
        self._demand_T, self._t = tuple(drawn), 0
        first = min(round((self.demand_low + self.demand_high) / 2), self.capacity)
        self._stock = Stock(first, (0,) * self.lead_time)
        return self._stock, self._observation()

    def actions(self, state: Stock) -> Sequence[int]:
        """Orders that the store has room for once everything has come."""
        room = self.capacity - state.on_hand - self.lot * sum(state.coming)
        return range(min(self.K, room // self.lot + 1))

    def step(self, action: int) -> tuple[float, Stock, str]:
        """Order, receive, sell."""
        way = (*self._stock.coming, action)
        full = self._stock.on_hand + way[0] * self.lot
        asked = self._demand_T[self._t]
        sold = min(full, asked)
        reward = self._scaled(sold, action * self.lot, full - sold, asked - sold)
        self._stock, self._t = Stock(full - sold, way[1:]), self._t + 1
        lost = f", {asked - sold} asked in vain" if asked > sold else ""
        return reward, self._stock, f"Last round {sold} sold{lost}. {self._observation()}"

    def optimum(self, state: Stock, t: int) -> Floats:
        """Q of each order, by backward induction over the distribution of demand."""
        place = (t, state.on_hand, *state.coming)
        found: Floats = _values(self._market())[place]
        return (found - self._least * (self.T - t)) / self._width

    def references(self) -> Mapping[str, Policy]:
        """Base-stock policies, which fill up to a level whatever happens."""
        return {"base_stock": self._base_stock, "order_the_mean": self._order_the_mean}

    def _base_stock(self, state: Stock, t: int) -> int:
        """Up to the mean demand until the order has come and been sold, and a deviation more."""
        rounds = self.lead_time + 1
        level = self._mean * rounds + (self._mean * rounds) ** 0.5
        return self._order(state, level - state.on_hand - self.lot * sum(state.coming))

    def _order_the_mean(self, state: Stock, t: int) -> int:
        """The mean demand, whatever is in store."""
        return self._order(state, self._mean)

    def _order(self, state: Stock, pieces: float) -> int:
        return min(max(0, round(pieces / self.lot)), len(self.actions(state)) - 1)

    def _market(self) -> _Market:
        return _Market(
            self.K, self.T, self.lead_time, self.lot, self.capacity,
            self.price, self.cost, self.holding, self.penalty, self._mean,
        )  # fmt: skip

    @property
    def _least(self) -> float:
        idle = max(self.holding, self.penalty) * self.capacity
        return -self.cost * (self.K - 1) * self.lot - idle

    @property
    def _width(self) -> float:
        return self.price * self.capacity - self._least

    def _scaled(self, sold: int, ordered: int, left: int, lost: int) -> float:
        gain = self.price * sold - self.cost * ordered
        return (gain - self.holding * left - self.penalty * lost - self._least) / self._width

    def _observation(self) -> str:
        pieces = [action * self.lot for action in self._stock.coming]
        due = [f"{n} in {_rounds(i)}" for i, n in enumerate(pieces) if n]
        coming = f"arriving: {', '.join(due)}" if due else "nothing on order"
        return f"In store: {self._stock.on_hand}; {coming}."


def _rounds(i: int) -> str:
    return "this round" if i == 0 else f"{i} round{'s' if i > 1 else ''}"


@functools.lru_cache(maxsize=64)
def _values(market: _Market) -> Floats:
    """Q in money of [t, on hand, orders on their way ..., action]; impossible orders -inf."""
    cap, K, L = market.capacity, market.K, market.lead_time
    gain_y, after_yh = _a_round(market)
    pieces_K = np.arange(K) * market.lot
    shape = (cap + 1, *(K,) * L)
    arrived = np.minimum(np.arange(cap + 1)[:, None] + pieces_K, cap)  # by on hand, what arrives
    position = np.add.outer(np.arange(cap + 1), np.zeros((K,) * (L + 1)))
    for axis in range(L + 1):  # what is on its way, and the order itself
        position = position + pieces_K.reshape((1, *(-1 if a == axis else 1 for a in range(L + 1))))
    values = np.empty((market.T, *shape, K))
    next_ = np.zeros(shape)
    for t in reversed(range(market.T)):
        later = np.tensordot(after_yh, next_, axes=1)  # by what stands in store, orders on the way
        gain = gain_y.reshape((-1, *(1,) * L)) + later
        values[t] = gain[arrived] - market.cost * pieces_K
        values[t][position > cap] = -np.inf
        next_ = np.where(np.isfinite(best := values[t].max(axis=-1)), best, 0.0)
    return values


def _a_round(market: _Market) -> tuple[Floats, Floats]:
    """By the pieces in store: what a round earns on average, and the chances of what is left."""
    cap, mean = market.capacity, market.mean
    chance = np.array([exp(-mean) * mean**d / factorial(d) for d in range(cap + 1)])
    chance[-1] += 1.0 - chance.sum()  # larger demands are cut
    y, d = np.arange(cap + 1)[:, None], np.arange(cap + 1)
    sold, left = np.minimum(y, d), np.maximum(y - d, 0)
    money = market.price * sold - market.holding * left - market.penalty * (d - sold)
    after = np.zeros((cap + 1, cap + 1))
    for asked in range(cap + 1):
        after[np.arange(cap + 1), left[:, asked]] += chance[asked]
    return money @ chance, after
