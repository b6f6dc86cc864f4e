"""How often the interval over seeds holds the true mean (rmft_api/statistics/seeds.py).

    python -m benchmarks.seed_coverage > benchmarks/seed_coverage.txt

Regrets of M scenarios in each of S seeds: normal, lognormal, or of play that sometimes locks in,
with deviation 1; each seed is moved by an effect of its own, whose deviation is a share of that.
Beside it stands the interval that takes all scenarios for independent. A minute of CPU.
"""

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Mapping

import numpy as np

from rmft_api.selection.regret import Floats
from rmft_api.statistics import mean_interval, pooled_interval

Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]


def _lognormal(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    return (rng.lognormal(0.0, 1.0, size) - math.exp(0.5)) / math.sqrt((math.e - 1.0) * math.e)


def _lock_in(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    raw = 0.4 * rng.exponential(1.0, size) + 8.0 * (rng.random(size) < 0.1)
    return (raw - 1.2) / math.sqrt(0.16 + 64.0 * 0.09)


def _rare(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    return ((rng.random(size) < 0.2).astype(np.float64) - 0.2) / 0.4


SCENARIOS: Mapping[str, Draw] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "lognormal": _lognormal,
    "lock-in": _lock_in,
}
EFFECTS: Mapping[str, Draw] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "even": lambda rng, size: (rng.random(size) - 0.5) * math.sqrt(12.0),
    "exponential": lambda rng, size: rng.exponential(1.0, size) - 1.0,
    "one in five": _rare,
}
SEEDS, SHARES, M = (3, 4, 5, 8, 10), (0.0, 0.1, 0.3, 1.0), 60


def main() -> None:
    """Print a line for each kind of effect, share and number of seeds: the least over scenarios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=3000, help="simulated for each figure")
    families = parser.parse_args().families
    sys.stdout.write(f"{families} families a figure, {M} scenarios a seed, least over regrets\n\n")
    sys.stdout.write(f"{'effect':12} {'share':>5} {'seeds':>5} {'held':>6} {'as one':>7}\n")
    rng = np.random.default_rng(11)
    for effect, share, seeds in itertools.product(EFFECTS, SHARES, SEEDS):
        held = [_coverage(rng, one, effect, share, seeds, families) for one in SCENARIOS]
        ours, naive = (min(column) for column in zip(*held, strict=True))
        sys.stdout.write(f"{effect:12} {share:5.1f} {seeds:5} {ours:6.3f} {naive:7.3f}\n")
        sys.stdout.flush()


def _coverage(
    rng: np.random.Generator, regrets: str, effect: str, share: float, seeds: int, families: int
) -> tuple[float, float]:
    """Of the interval over seeds, and of the one that knows no seeds."""
    moved = share * EFFECTS[effect](rng, (families, seeds, 1))
    drawn = SCENARIOS[regrets](rng, (families, seeds, M)) + moved
    found = [(pooled_interval(list(one)), mean_interval(one.ravel())) for one in drawn]
    ours, naive = (
        [one.low <= 0.0 <= one.high for one in side] for side in zip(*found, strict=True)
    )
    return float(np.mean(ours)), float(np.mean(naive))


if __name__ == "__main__":
    main()
