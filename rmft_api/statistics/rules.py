"""When to stop evaluating, and whether to continue training."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rmft_api.core.records import Interval, Record
from rmft_api.statistics.arrays import Floats
from rmft_api.statistics.intervals import LEVEL, mean_interval

Gate = Literal["continue", "stop", "fall_back"]


class Look(Record, frozen=True):
    """What a rule says after some scenarios."""

    interval: Interval
    stop: bool
    more: int | None
    """Scenarios (in all) to have played before the next look; None when it stops."""


@dataclass(frozen=True)
class StoppingRule:
    """Evaluate until the interval is narrow enough, or the scenarios are used up.

    How it keeps its level: the looks are fixed beforehand, and each look's interval is made at
    1 - (1 - level) / number of looks. All of them hold together with probability `level` (the union
    bound), so the one that the rule happens to stop at holds too, whatever made it stop. Values
    between looks must not be looked at.
    """

    half_width: float
    """Narrow enough."""
    looks: tuple[int, ...]
    """Numbers of scenarios at which to look, rising; see `doubling`."""
    level: float = LEVEL

    def __post_init__(self) -> None:
        if not self.half_width > 0:
            raise ValueError(f"half_width={self.half_width!r} must be above 0")
        rising = all(a < b for a, b in itertools.pairwise(self.looks))
        if not self.looks or self.looks[0] < 2 or not rising:
            raise ValueError(f"looks={self.looks} must rise, from 2 scenarios or more")

    def look(self, values: Sequence[float] | Floats) -> Look:
        """Judge the values of exactly one of the looks' numbers of scenarios."""
        if len(values) not in self.looks:
            raise ValueError(f"{len(values)} scenarios are none of the looks {self.looks}")
        later = [count for count in self.looks if count > len(values)]
        interval = mean_interval(values, 1.0 - (1.0 - self.level) / len(self.looks))
        stop = not later or (interval.high - interval.low) / 2.0 <= self.half_width
        return Look(interval, stop, None if stop else later[0])


def doubling(first: int, most: int) -> tuple[int, ...]:
    """Looks at first, 2 first, 4 first ... and `most`: few, so that each costs little width."""
    looks: list[int] = []
    while first < most:
        looks.append(first)
        first *= 2
    return (*looks, most)


def gate(drops: Sequence[Interval], worse: bool, patience: int = 2, least: float = 0.0) -> Gate:
    """Whether to train on, after each iteration's validation.

    `drops` holds, for every iteration so far, the paired fall of regret from the champion of its
    time to the new model (above 0: better). stop: for `patience` iterations in a row the fall was
    not above `least`. fall_back: the newest model is surely `worse` (`exchange.rise_by_chance`), so
    the next iteration starts from the champion. continue: otherwise.
    """
    recent = drops[-patience:]
    if len(recent) == patience and all(drop.mean <= least for drop in recent):
        return "stop"
    return "fall_back" if worse else "continue"
