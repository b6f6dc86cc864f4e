"""NS-MAB: a bandit whose means move. Only the chosen reward is shown; dynamic regret ranks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from rmft_api.environments import noise, options
from rmft_api.environments.best import changes
from rmft_api.environments.scenario import Floats, Scenario

Process = Literal["abrupt", "drift", "sine"]


@dataclass(frozen=True, kw_only=True)
class Nonstationary:
    """K actions whose means change at once, wander, or swing."""

    K: int
    T: int
    process: Process = "abrupt"
    """abrupt: new means at change points, each with a new best action.
    drift: reflected random walks in [0, 1]. sine: every action swings with a phase of its own."""
    reward: noise.Reward = "bernoulli"
    switches: int | None = None
    """abrupt: number of change points; one for every 25 rounds when absent, at least one."""
    speed: float = 0.5
    """drift: how far a mean wanders over all T rounds (its standard deviation, unreflected)."""
    period: float | None = None
    """sine: rounds of a full swing; drawn between T/2 and T when absent."""
    sd: float = 0.2
    clip: bool = True

    def __post_init__(self) -> None:
        noise.check(self.reward, self.sd, self.clip)
        options.one_of("process", self.process, get_args(Process))
        options.number("speed", self.speed, low=0)
        if self.period is not None:
            options.number("period", self.period, low=2)
        if self.switches is not None:
            options.whole("switches", self.switches, low=0)
            if self.switches >= self.T:
                raise ValueError(f"switches={self.switches} do not fit between T={self.T} rounds")

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario; facts: V_T (variation budget) and switches (changes of the best action)."""
        means_TK = PROCESSES[self.process](self, rng)
        rewards_TK, means_TK = noise.around(rng, means_TK, self.reward, self.sd, self.clip)
        return Scenario(
            rewards=rewards_TK,
            means=means_TK,
            feedback="bandit",
            regret="dynamic",
            facts={"V_T": variation(means_TK), "switches": float(switches(means_TK))},
        )


def _abrupt(problem: Nonstationary, rng: np.random.Generator) -> Floats:
    count = max(1, problem.T // 25) if problem.switches is None else problem.switches
    starts = change_points(rng, problem.T, min(count, problem.T - 1))
    level_K = rng.random(problem.K)
    levels = [level_K]
    for _ in starts:
        level_K = with_another_best(rng, rng.random(problem.K), int(level_K.argmax()))
        levels.append(level_K)
    lengths = np.diff([0, *starts, problem.T])
    return np.repeat(np.array(levels), lengths, axis=0)


def _drift(problem: Nonstationary, rng: np.random.Generator) -> Floats:
    steps_TK = rng.standard_normal((problem.T, problem.K)) * (problem.speed / np.sqrt(problem.T))
    steps_TK[0] = rng.random(problem.K)
    folded_TK = np.mod(np.cumsum(steps_TK, axis=0), 2.0)
    return np.minimum(folded_TK, 2.0 - folded_TK)  # reflected at 0 and 1


def _sine(problem: Nonstationary, rng: np.random.Generator) -> Floats:
    period = rng.uniform(0.5, 1.0) * problem.T if problem.period is None else problem.period
    phase_K = rng.uniform(0.0, 2.0 * np.pi, problem.K)
    angle_T = 2.0 * np.pi * np.arange(problem.T) / max(period, 2.0)
    return 0.5 + 0.4 * np.sin(angle_T[:, None] + phase_K)


PROCESSES: dict[Process, Callable[[Nonstationary, np.random.Generator], Floats]] = {
    "abrupt": _abrupt,
    "drift": _drift,
    "sine": _sine,
}


def change_points(rng: np.random.Generator, T: int, count: int) -> list[int]:
    """`count` rounds (from 0) at which something new begins: evenly spread, then jittered.

    Stretches differ in length, yet none is shorter than about half of its even share.
    """
    share = T / (count + 1)
    even = share * np.arange(1, count + 1)
    moved = np.rint(even + rng.uniform(-0.25, 0.25, count) * share).astype(int).tolist()
    points: list[int] = []
    for i, point in enumerate(moved):
        first = points[-1] + 1 if points else 1
        points.append(min(max(point, first), T - count + i))
    return points


def with_another_best(rng: np.random.Generator, level_K: Floats, old_best: int) -> Floats:
    """The same means, the best of them moved away from `old_best`."""
    if int(level_K.argmax()) == old_best:
        other = (old_best + int(rng.integers(1, len(level_K)))) % len(level_K)
        level_K[[old_best, other]] = level_K[[other, old_best]]
    return level_K


def variation(means_TK: Floats) -> float:
    """V_T: the largest move of any mean, summed over rounds."""
    return float(np.abs(np.diff(means_TK, axis=0)).max(axis=1).sum())


def switches(means_TK: Floats) -> int:
    """How often the best action changes; a tie is no change."""
    return len(changes(means_TK))
