"""CPU seconds of every baseline on 1,000 trajectories of 1,000 rounds, one core.

OPENBLAS_NUM_THREADS=1 python benchmarks/baselines_speed.py
"""

import argparse
import sys
import time

from rmft_api import baselines, environments
from rmft_api.environments import ConcreteProblem, Scenario

PROBLEMS = {
    "bandit": ConcreteProblem("bandit", 5, 1000, {"instance": "hard"}),
    "full": ConcreteProblem("online_learning", 5, 1000, {"process": "adaptive"}),
    "features": ConcreteProblem("contextual", 5, 1000),
}


def main() -> None:
    """Print one line for each baseline, on the plainest problem that it can play, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plays", type=int, default=1000)
    count = parser.parse_args().plays
    scenarios = {needs: drawn(problem, count) for needs, problem in PROBLEMS.items()}
    total_s = 0.0
    for name, baseline in baselines.BASELINES.items():
        start_s = time.process_time()
        baselines.play(name, scenarios[baseline.needs], seed=0)
        spent_s = time.process_time() - start_s
        total_s += spent_s
        sys.stdout.write(f"{name:18}{spent_s:6.2f} s\n")
    sys.stdout.write(f"{'all':18}{total_s:6.2f} s\n")


def drawn(problem: ConcreteProblem, count: int) -> list[Scenario]:
    """Fresh scenarios."""
    return [environments.draw([problem], 0, "test", 0, i) for i in range(count)]


if __name__ == "__main__":
    main()
