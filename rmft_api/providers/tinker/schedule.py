"""Which examples are in which step, and under which number each request is sent.

Everything follows from the job's metadata and its file, so a process that finds a run half done
asks for the very same steps, under the same numbers.
"""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from rmft_api.providers.tinker.wire import WeightedTokens, chunks

_PLAN = "rmft_plan"
_FILE, _START, _AT = "rmft_file", "rmft_start", "rmft_at"


@dataclass(frozen=True)
class JobPlan:
    """What a job was ordered as; kept in the metadata of its training run."""

    file: str
    start: str
    """The model that it trains."""
    at: int
    """When it was created (seconds since 1970)."""
    epochs: int
    batch_size: int
    rate: float
    seed: int

    def metadata(self) -> dict[str, str]:
        """Its entries."""
        numbers = {name: getattr(self, name) for name in ("epochs", "batch_size", "rate", "seed")}
        return {
            _FILE: self.file,
            _START: self.start,
            _AT: str(self.at),
            _PLAN: json.dumps(numbers),
        }

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> "JobPlan | None":
        """The plan that a training run's metadata hold; None: it is no job of ours."""
        try:
            numbers = cast("dict[str, Any]", json.loads(metadata[_PLAN]))
            return cls(
                file=metadata[_FILE],
                start=metadata[_START],
                at=int(metadata[_AT]),
                epochs=int(numbers["epochs"]),
                batch_size=int(numbers["batch_size"]),
                rate=float(numbers["rate"]),
                seed=int(numbers["seed"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True)
class StepSchedule:
    """The steps of one job."""

    plan: JobPlan
    examples: tuple[WeightedTokens, ...]
    save_every: int

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.plan.epochs * self._per_epoch

    @property
    def tokens(self) -> int:
        """Billed tokens of all steps."""
        return self.plan.epochs * sum(one.billed for one in self.examples)

    @property
    def most_again(self) -> int:
        """Billed tokens that a lost run can cost again: those since the last saved state."""
        each = [self.billed(step) for step in range(self.steps)]
        return max(
            (sum(each[at : at + self.save_every]) for at in range(0, self.steps, self.save_every)),
            default=0,
        )

    def batch(self, step: int) -> tuple[WeightedTokens, ...]:
        """The examples of a step: each epoch has an order of its own."""
        epoch, place = divmod(step, self._per_epoch)
        order = self._orders[epoch]
        chosen = order[place * self.plan.batch_size : (place + 1) * self.plan.batch_size]
        return tuple(self.examples[index] for index in chosen)

    def billed(self, step: int) -> int:
        """Billed tokens of a step."""
        return sum(one.billed for one in self.batch(step))

    def rate(self, step: int) -> float:
        """The learning rate of a step: it falls to 0 in a straight line, as the cookbook's does."""
        return self.plan.rate * (1 - step / self.steps)

    def saves_after(self, step: int) -> bool:
        """Whether the state is saved once the step is done."""
        return (step + 1) % self.save_every == 0 or step + 1 == self.steps

    def number(self, begun_at: int, step: int) -> int:
        """The first request number of a step, in a run that begins with step `begun_at`."""
        return 1 + sum(self._requests[begun_at:step])

    def saving_number(self, begun_at: int, end: int) -> int:
        """The number under which the state after `end` steps is saved."""
        if end == begun_at:
            return 1
        return self.number(begun_at, end) - (2 if end == self.steps else 1)

    @cached_property
    def _requests(self) -> list[int]:
        """How many each step has: its batch, the optimizer, and what is saved after it."""
        found: list[int] = []
        for step in range(self.steps):
            saved = 2 if step + 1 == self.steps else 1
            batch = sum(1 for _ in chunks(self.batch(step)))
            found.append(batch + 1 + (saved if self.saves_after(step) else 0))
        return found

    @property
    def _per_epoch(self) -> int:
        return math.ceil(len(self.examples) / self.plan.batch_size)

    @cached_property
    def _orders(self) -> list[list[int]]:
        orders: list[list[int]] = []
        for epoch in range(self.plan.epochs):
            order = list(range(len(self.examples)))
            random.Random(f"{self.plan.seed}/{epoch}").shuffle(order)
            orders.append(order)
        return orders
