"""How often each test of "regret is sublinear" says yes: size on uniform play, power on learners.

    python benchmarks/statistics_size_power.py --sets 1000
    python benchmarks/statistics_size_power.py --sets 1000 --T 25 --plays 10

One set is N = 50 plays of fresh scenarios, where `--plays` says nothing else. "lock-in" says that
play locks in on an action that is not the best: greedy play does, the others do not. Uniform play
has linear regret: whatever passes it more
than 7 % of the time is no test. The published tests look at one curve; they are run on the mean
curve of each set ("mean") and on its first play alone ("one").
"""

import argparse
import sys
from collections import Counter

import numpy as np

from rmft_api import baselines, environments, statistics
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.evaluation import measures
from rmft_api.selection import regret
from rmft_api.selection.regret import Floats

PROBLEMS = {
    "hard bandit": ("bandit", 5, {"instance": "hard"}),
    "easy bandit": ("bandit", 4, {"instance": "easy"}),
    "random bandit": ("bandit", 3, {"reward": "bernoulli"}),
    "gaussian bandit": ("bandit", 3, {"reward": "gaussian"}),
    "full information": ("online_learning", 3, {"process": "gaussian"}),
}
PLAYERS = ("random", "greedy", "ucb1", "thompson")
TESTS = (
    "decision",
    "growth",
    "halves",
    "lock-in",
    "trend mean",
    "trend one",
    "regr. mean",
    "regr. one",
)
LEVEL = 0.05
TOGETHER = 50
"""Sets played at once."""


def main() -> None:
    """Print one table per problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--plays", type=int, default=50)
    parser.add_argument("--T", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--problem", choices=PROBLEMS, action="append")
    given = parser.parse_args()
    sys.stdout.write(f"{given.sets} sets of N={given.plays}, T={given.T}, seed {given.seed}\n")
    for problem in given.problem or PROBLEMS:
        sys.stdout.write(f"\n{problem:18}" + "".join(f"{test:>12}" for test in TESTS) + "\n")
        for player, passed in rates(problem, given.sets, given.plays, given.T, given.seed).items():
            figures = "".join(f"{passed[test] / given.sets:12.3f}" for test in TESTS)
            sys.stdout.write(f"{player:18}{figures}\n")
        sys.stdout.flush()


def rates(problem: str, sets: int, N: int, T: int, seed: int) -> dict[str, Counter[str]]:
    """For each player: in how many sets each test says "sublinear"."""
    counts = {player: Counter[str]() for player in PLAYERS}
    for first in range(0, sets, TOGETHER):
        count = min(TOGETHER, sets - first)
        scenarios = drawn(problem, count * N, T, seed, first)
        kind = scenarios[0].regret
        for player in PLAYERS:
            plays = regret.stack(baselines.play(player, scenarios, seed + first))
            per_round = regret.per_round(plays, kind).reshape(count, N, T)
            curves = regret.regret_curve(plays, kind).reshape(count, N, T)
            locked = measures.locked_in(plays, kind).reshape(count, N).astype(np.float64)
            for per_round_NT, curves_NT, locked_N in zip(per_round, curves, locked, strict=True):
                counts[player].update(passing(per_round_NT, curves_NT, locked_N))
    return counts


def drawn(problem: str, count: int, T: int, seed: int, first: int) -> list[Scenario]:
    """Fresh scenarios."""
    name, K, options = PROBLEMS[problem]
    concrete = [ConcreteProblem(name, K, T, options)]
    return [environments.draw(concrete, seed, "test", first, i) for i in range(count)]


def passing(per_round_NT: Floats, curves_NT: Floats, locked_N: Floats) -> list[str]:
    """The tests that say "sublinear", and "lock-in" where play is said to lock in."""
    decisions = statistics.decide(per_round_NT, locked_N=locked_N)
    mean_T, one_T = curves_NT.mean(axis=0), curves_NT[0]
    regressions = {"mean": statistics.regression(mean_T), "one": statistics.regression(one_T)}
    says = {
        "decision": decisions.learns,
        "growth": decisions.sublinear,
        "halves": decisions.falling,
        "lock-in": decisions.locks_in,
        "trend mean": statistics.trend(mean_T) < LEVEL,
        "trend one": statistics.trend(one_T) < LEVEL,
        "regr. mean": regressions["mean"].p < LEVEL,
        "regr. one": regressions["one"].p < LEVEL,
    }
    return [test for test, yes in says.items() if yes]


if __name__ == "__main__":
    main()
