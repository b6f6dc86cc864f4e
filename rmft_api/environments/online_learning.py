"""FOL: full-information online learning. All K rewards are shown after acting; static regret ranks.

Processes without chance inside a round have `means` equal to `rewards`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from rmft_api.environments import noise, options
from rmft_api.environments.nonstationary import change_points, switches, variation
from rmft_api.environments.scenario import Extremes, Floats, Scenario

Process = Literal[
    "gaussian",
    "uniform",
    "bernoulli",
    "alternating",
    "sine",
    "piecewise",
    "rotating",
    "shift",
    "adaptive",
]
LOW, HIGH = 0.1, 0.9
"""Where the means of the processes lie, so that clipping and coins leave them something to say."""


@dataclass(frozen=True, kw_only=True)
class OnlineLearning:
    """K actions, a distribution over them each round, and a sequence that may be adversarial."""

    K: int
    T: int
    process: Process = "gaussian"
    """gaussian, uniform, bernoulli: chance around means that stand still.
    alternating: two actions pay in turn, so that following the leader always comes too late.
    sine: swings. piecewise: constant levels that change. rotating: the best action moves on in
    blocks of doubling length. shift: after a third to a half of the rounds the means change hands.
    adaptive: an adversary pays 0 on the likeliest action and U(.8, 1) elsewhere."""
    sd: float = 0.2
    """gaussian, shift: of the rewards before clipping."""
    switches: int | None = None
    """piecewise: number of changes; one for every 25 rounds when absent, at least one."""
    clip: bool = True

    def __post_init__(self) -> None:
        options.one_of("process", self.process, get_args(Process))
        noise.check("gaussian", self.sd, self.clip)
        if self.switches is not None:
            options.whole("switches", self.switches, low=0)
            if self.switches >= self.T:
                raise ValueError(f"switches={self.switches} do not fit between T={self.T} rounds")

    def draw(self, rng: np.random.Generator) -> Scenario:
        """A scenario with full feedback; facts: V_T and switches of its means."""
        rewards_TK, means_TK = PROCESSES[self.process](self, rng)
        return Scenario(
            rewards=rewards_TK,
            means=means_TK,
            feedback="full",
            regret="static",
            adversary=ZeroTheFavourite() if self.process == "adaptive" else None,
            facts={"V_T": variation(means_TK), "switches": float(switches(means_TK))},
        )


@dataclass(frozen=True)
class ZeroTheFavourite:
    """The adaptive adversary: the likeliest action (the first of equals) earns 0."""

    on_batches: ClassVar[bool] = True

    def __call__(self, t: int, policy: Floats, row: Floats) -> Floats:
        """The row with the favourite's reward put to 0."""
        favourite = policy.argmax(axis=-1, keepdims=True)
        answer = row.copy()
        np.put_along_axis(answer, favourite, 0.0, axis=-1)
        return answer

    def extremes(self, t: int, row: Floats) -> Extremes:
        """Nothing is earned by who is certain; nobody else's favourite costs an action its pay."""
        return Extremes(row, min(0.0, float(row.min())))


Draw = Callable[[OnlineLearning, np.random.Generator], tuple[Floats, Floats]]


def _levels(problem: OnlineLearning, rng: np.random.Generator) -> Floats:
    return np.broadcast_to(rng.uniform(LOW, HIGH, problem.K), (problem.T, problem.K))


def _around_levels(reward: noise.Reward) -> Draw:
    def draw(problem: OnlineLearning, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return noise.around(rng, _levels(problem, rng), reward, problem.sd, problem.clip)

    return draw


def _shift(problem: OnlineLearning, rng: np.random.Generator) -> tuple[Floats, Floats]:
    means_TK = _levels(problem, rng).copy()
    start = max(1, round(problem.T * rng.uniform(1 / 3, 1 / 2)))
    turn = int(rng.integers(1, problem.K))
    means_TK[start:] = np.roll(means_TK[start:], turn, axis=1)
    return noise.around(rng, means_TK, "gaussian", problem.sd, problem.clip)


def _alternating(problem: OnlineLearning, rng: np.random.Generator) -> Floats:
    order_K = rng.permutation(problem.K)
    rewards_TK = np.broadcast_to(rng.uniform(0.0, 0.2, problem.K), (problem.T, problem.K)).copy()
    odd_T = np.arange(problem.T) % 2
    rewards_TK[:, order_K[0]] = 1 - odd_T
    rewards_TK[:, order_K[1]] = odd_T
    # Half a step ahead, the first leads exactly when the second is about to pay.
    rewards_TK[0, order_K[0]] = 0.5
    return rewards_TK


def _sine(problem: OnlineLearning, rng: np.random.Generator) -> Floats:
    period = rng.uniform(0.5, 1.0) * problem.T
    phase_K = rng.uniform(0.0, 2.0 * np.pi, problem.K)
    centre_K = rng.uniform(0.4, 0.6, problem.K)
    angle_T = 2.0 * np.pi * np.arange(problem.T) / max(period, 2.0)
    return centre_K + 0.4 * np.sin(angle_T[:, None] + phase_K)


def _piecewise(problem: OnlineLearning, rng: np.random.Generator) -> Floats:
    count = max(1, problem.T // 25) if problem.switches is None else problem.switches
    starts = change_points(rng, problem.T, min(count, problem.T - 1))
    levels = rng.uniform(LOW, HIGH, (len(starts) + 1, problem.K))
    return np.repeat(levels, np.diff([0, *starts, problem.T]), axis=0)


def _rotating(problem: OnlineLearning, rng: np.random.Generator) -> Floats:
    order_K = rng.permutation(problem.K)
    block_T = np.log2(np.arange(1, problem.T + 1)).astype(int)  # 1, 2, 4, 8 ... rounds
    rewards_TK = np.full((problem.T, problem.K), LOW)
    rewards_TK[np.arange(problem.T), order_K[block_T % problem.K]] = HIGH
    return rewards_TK


def _adaptive(problem: OnlineLearning, rng: np.random.Generator) -> Floats:
    return rng.uniform(0.8, 1.0, (problem.T, problem.K))


def _certain(table: Callable[[OnlineLearning, np.random.Generator], Floats]) -> Draw:
    def draw(problem: OnlineLearning, rng: np.random.Generator) -> tuple[Floats, Floats]:
        rewards_TK = table(problem, rng)
        return rewards_TK, rewards_TK

    return draw


PROCESSES: dict[Process, Draw] = {
    "gaussian": _around_levels("gaussian"),
    "uniform": _around_levels("uniform"),
    "bernoulli": _around_levels("bernoulli"),
    "shift": _shift,
    "alternating": _certain(_alternating),
    "sine": _certain(_sine),
    "piecewise": _certain(_piecewise),
    "rotating": _certain(_rotating),
    "adaptive": _certain(_adaptive),
}
