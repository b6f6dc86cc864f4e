"""Pricing of limited stock: what to ask for a piece, with few pieces and a last day.

Every round one customer comes, who buys one piece if its price is at most what it is worth to them.
What that is was drawn beforehand: normal around a mean that is drawn for each scenario and shown to
nobody. A round earns the price of what was sold, as a share of the highest price. Pieces that are
left after the last round are worth nothing.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import erfc, sqrt
from typing import NamedTuple

import numpy as np

from rmft_api.environments import options
from rmft_api.environments.scenario import Floats
from rmft_api.environments.worlds import Policy

MEANS = 16
"""Mean worths that scenarios draw from, evenly between `worth_low` and `worth_high`."""
MOST_CELLS = 2_000_000
"""Of the table of action values."""


class Shelf(NamedTuple):
    """What is known when a price is set."""

    left: int


class _Market(NamedTuple):
    """All that the optimum depends on."""

    prices: tuple[float, ...]
    T: int
    stock: int
    mean: float
    spread: float


@dataclass(kw_only=True)
class Pricing:
    """K prices, evenly from `lowest_price` to `highest_price`."""

    K: int
    T: int
    stock: int = 8
    """Pieces in the first round."""
    lowest_price: float = 20.0
    highest_price: float = 80.0
    worth_low: float = 30.0
    worth_high: float = 70.0
    """What a piece is worth to a customer on average: drawn between these for each scenario."""
    spread: float = 15.0
    """Standard deviation of that worth from customer to customer."""
    named: bool = True
    """Call each action what it is; false: by the names of the story, which say nothing of it."""
    _mean: float = field(default=0.0, init=False)
    _worth_T: tuple[float, ...] = field(default=(), init=False)
    _left: int = field(default=0, init=False)
    _t: int = field(default=0, init=False)

    story = "state/limited-stock"
    """Its story where the run file names no other."""

    def __post_init__(self) -> None:
        options.truth("named", self.named)
        options.whole("stock", self.stock, low=1)
        options.number("lowest_price", self.lowest_price, low=0.0)
        options.number("highest_price", self.highest_price)
        options.number("worth_low", self.worth_low)
        options.number("worth_high", self.worth_high, low=self.worth_low)
        options.number("spread", self.spread, low=1e-6)
        if self.lowest_price >= self.highest_price:
            raise ValueError(
                f"lowest_price={self.lowest_price:g} must be below "
                f"highest_price={self.highest_price:g}"
            )
        if len({f"{price:g}" for price in self._prices}) < self.K:
            raise ValueError(f"K={self.K} prices look the same; spread them wider")
        if (cells := (self.stock + 1) * self.K * self.T) > MOST_CELLS:
            raise ValueError(
                f"the optimum has {cells} values to compute, {MOST_CELLS} are the most; lower "
                "stock, K or T"
            )

    @property
    def _prices(self) -> tuple[float, ...]:
        each: list[float] = np.linspace(self.lowest_price, self.highest_price, self.K).tolist()
        return tuple(round(price, 2) for price in each)

    @property
    def names(self) -> tuple[str, ...] | None:
        """What the actions are called; None: as the story says."""
        if not self.named:
            return None
        return tuple(f"price {price:g}" for price in self._prices)

    def reset(self, seed: int) -> tuple[Shelf, str]:
        """Draw the mean worth, and what a piece is worth to each of T customers."""
        rng = np.random.default_rng(seed)
        share = int(rng.integers(MEANS)) / (MEANS - 1)
        self._mean = self.worth_low + share * (self.worth_high - self.worth_low)
        drawn: list[float] = rng.normal(self._mean, self.spread, self.T).tolist()
        self._worth_T, self._left, self._t = tuple(drawn), self.stock, 0
        return Shelf(self._left), self._observation()

    def actions(self, state: Shelf) -> Sequence[int]:
        """Every price while there is something to sell; then one, for nothing depends on it."""
        return range(self.K if state.left else 1)

    def step(self, action: int) -> tuple[float, Shelf, str]:
        """Ask the price; one customer buys or does not."""
        price = self._prices[action]
        sells = self._left > 0 and price <= self._worth_T[self._t]
        had = self._left
        self._left, self._t = self._left - sells, self._t + 1
        result = f"Last round one was {'sold' if sells else 'not sold'}. " if had else ""
        return price / self._top if sells else 0.0, Shelf(self._left), result + self._observation()

    def optimum(self, state: Shelf, t: int) -> Floats:
        """Q of each price, by backward induction over the distribution of worth."""
        return _values(self._market())[t, state.left] / self._top

    def references(self) -> Mapping[str, Policy]:
        """The best price to keep, by the distribution of worth; and the highest one."""
        return {"fixed_price": self._fixed, "highest_price": self._highest}

    def _fixed(self, state: Shelf, t: int) -> int:
        return _best_fixed(self._market()) if state.left else 0

    def _highest(self, state: Shelf, t: int) -> int:
        return self.K - 1 if state.left else 0

    def _market(self) -> _Market:
        return _Market(self._prices, self.T, self.stock, self._mean, self.spread)

    @property
    def _top(self) -> float:
        return self._prices[-1]

    def _observation(self) -> str:
        if not self._left:
            return "Sold out."
        return f"Pieces left: {self._left}."


def _chances(market: _Market) -> Floats:
    """That a customer buys, by price."""
    scale = market.spread * sqrt(2.0)
    return np.array([erfc((price - market.mean) / scale) / 2.0 for price in market.prices])


@functools.lru_cache(maxsize=64)
def _values(market: _Market) -> Floats:
    """Q in money of [t, pieces left, price]."""
    prices_K, chance_K = np.array(market.prices), _chances(market)
    values = np.zeros((market.T, market.stock + 1, len(prices_K)))
    next_ = np.zeros(market.stock + 1)
    for t in reversed(range(market.T)):
        sold = prices_K + next_[:-1, None]
        kept = next_[1:, None]
        values[t, 1:] = chance_K * sold + (1.0 - chance_K) * kept
        next_ = values[t].max(axis=-1)
    return values


@functools.lru_cache(maxsize=256)
def _best_fixed(market: _Market) -> int:
    """The price that earns most on average if it is kept throughout."""
    worth: list[float] = []
    for price, chance in zip(market.prices, _chances(market), strict=True):
        next_ = np.zeros(market.stock + 1)
        for _ in range(market.T):
            sells = chance * (price + next_[:-1]) + (1.0 - chance) * next_[1:]
            next_ = np.concatenate([[0.0], sells])
        worth.append(float(next_[-1]))
    return int(np.argmax(worth))
