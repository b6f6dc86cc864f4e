"""How often intervals of a mean regret hold it, and how wide they are (docs/method.md 5).

    python benchmarks/interval_coverage.py --sets 4000

A row is a family of regrets and a number of scenarios: the share of sets whose interval holds the
true mean, of those that have one, by Student's t and by `statistics.regret_interval` (paired
differences: `drop_interval`); the mean width as a multiple of Student's (both from 0 on where
regret cannot be negative); and the share of sets that have an interval at all. Real regrets are
drawn from 6,000 plays of known algorithms, one a scenario.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from rmft_api import baselines, environments, statistics
from rmft_api.core.records import Interval
from rmft_api.environments import ConcreteProblem
from rmft_api.selection import regret
from rmft_api.selection.regret import Floats

SIZES = (4, 10, 24, 30, 36, 48, 96, 120)
POOL = 6000
Draw = Callable[[np.random.Generator, int], Floats]
PROBLEMS = {
    "K=2 Bernoulli T=25": ("bandit", 2, 25, {"reward": "bernoulli"}),
    "K=2 Gaussian T=25": ("bandit", 2, 25, {"reward": "gaussian"}),
    "K=2 Bernoulli T=100": ("bandit", 2, 100, {"reward": "bernoulli"}),
    "K=2 gap .2 T=25": ("bandit", 2, 25, {"reward": "bernoulli", "gap": 0.2}),
    "K=5 Bernoulli T=25": ("bandit", 5, 25, {"reward": "bernoulli"}),
    "hard bandit T=100": ("bandit", 5, 100, {"instance": "hard"}),
}
PLAYERS = ("random", "greedy", "ucb1", "thompson")


def rare(rng: np.random.Generator, N: int) -> Floats:
    """10 for one scenario in ten, 1 for the others."""
    return np.where(rng.random(N) < 0.1, 10.0, 1.0)


FAMILIES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, N: rng.normal(5, 1, N), 5.0),
    "exponential": (lambda rng, N: rng.exponential(1, N), 1.0),
    "lognormal, sd 1": (lambda rng, N: rng.lognormal(0, 1, N), float(np.exp(0.5))),
    "gamma .5": (lambda rng, N: rng.gamma(0.5, 1, N), 0.5),
    "half 0, exponential": (lambda rng, N: rng.exponential(1, N) * (rng.random(N) < 0.5), 0.5),
    "90 % 0, 10 % large": (lambda rng, N: rng.exponential(1, N) * (rare(rng, N) - 1), 0.9),
    "10 % at 10 x, gamma": (lambda rng, N: rng.gamma(4, 0.25, N) * rare(rng, N), 1.9),
    "10 % at 10 x, exp.": (lambda rng, N: rng.exponential(1, N) * rare(rng, N), 1.9),
}


def pools() -> dict[str, dict[str, Floats]]:
    """Problem -> player -> regrets of the same scenarios."""
    found: dict[str, dict[str, Floats]] = {}
    for label, (name, K, T, options) in PROBLEMS.items():
        problem = [ConcreteProblem(name, K, T, options)]
        scenarios = [environments.draw(problem, 11, "test", 0, i) for i in range(POOL)]
        found[label] = {
            player: regret.per_round(
                regret.stack(baselines.play(player, scenarios, 3)), scenarios[0].regret
            ).sum(axis=-1)
            for player in PLAYERS
        }
    return found


def of_pool(pool: Floats) -> tuple[Draw, float]:
    """Draws from a pool, and its mean."""
    return lambda rng, N: pool[rng.integers(len(pool), size=N)], float(pool.mean())


def families() -> Iterator[tuple[str, Draw, float, bool]]:
    """Name, what is drawn, its mean, whether it is a difference."""
    yield from ((name, draw, mean, False) for name, (draw, mean) in FAMILIES.items())
    for label, players in pools().items():
        for name, pool in players.items():
            yield (f"{label} {name}", *of_pool(pool), False)
        for one, other in combinations(PLAYERS, 2):
            drop = players[one] - players[other]
            yield (f"{label} {one} - {other}", *of_pool(drop), True)


def row(draw: Draw, mean: float, paired: bool, N: int, sets: int, seed: int) -> list[float]:
    """Coverage of both, relative width, share of sets with an interval."""
    rng = np.random.default_rng(seed)
    drawn = [draw(rng, N) for _ in range(sets)]
    plain = [statistics.mean_interval(figures) for figures in drawn]
    ours = [(statistics.drop_interval if paired else _regret)(figures) for figures in drawn]
    given = [(one, other) for one, other in zip(ours, plain, strict=True) if one.known]
    if not given:
        return [_held(plain, mean), float("nan"), float("nan"), 0.0]
    least = -np.inf if paired else 0.0
    width = sum(one.high - one.low for one, _ in given)
    plain_width = sum(other.high - max(least, other.low) for _, other in given)
    share = _held([one for one, _ in given], mean)
    return [_held(plain, mean), share, width / plain_width, len(given) / sets]


def _regret(figures: Floats) -> Interval:
    return statistics.regret_interval(figures, least=0.0)


def _held(intervals: Sequence[Interval], mean: float) -> float:
    return sum(one.low <= mean <= one.high for one in intervals) / len(intervals)


def main() -> None:
    """Print a row for each family and number of scenarios, then the least coverages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    heads = ("student", "ours", "width", "given")
    sys.stdout.write(f"{given.sets} sets, seed {given.seed}\n\n{'regrets':44}{'N':>5}")
    sys.stdout.write("".join(f"{head:>9}" for head in heads) + "\n")
    least: dict[tuple[bool, int], float] = {}
    for name, draw, mean, paired in families():
        for size in SIZES:
            figures = row(draw, mean, paired, size, given.sets, given.seed)
            shown = (f"{f:9.3f}" if f == f else f"{'-':>9}" for f in figures)
            sys.stdout.write(f"{name:44}{size:5}" + "".join(shown) + "\n")
            sys.stdout.flush()
            if figures[3]:
                least[paired, size] = min(least.get((paired, size), 1.0), figures[1])
    for (paired, size), share in sorted(least.items()):
        kind = "differences" if paired else "regrets"
        sys.stdout.write(f"least coverage of {kind}, N={size}: {share:.3f}\n")


if __name__ == "__main__":
    main()
