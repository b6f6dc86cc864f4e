"""What the lowest-regret plays of a random player can teach at best, by what the prompt shows.

    python benchmarks/kept_plays.py --K 2 --T 8 --best 0.9 --rest 0.1

No language model: the learner is a table from what the prompt shows to the odds of each action,
fitted to the kept plays exactly (with a weight of four for what it did before). So this is what a
perfect learner makes of an iteration, whatever it costs: the ceiling for a recipe, found in
seconds. `averages` shows the mean reward of each action, `counts` how often it was chosen as well.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

PRIOR = 4.0
TEST = 1500
State = tuple[float | tuple[int, int] | None, ...]
Table = Mapping[State, np.ndarray]


class Play(NamedTuple):
    """One trajectory: its scenario, regret, fewest plays of an action, and what was done where."""

    scenario: int
    regret: float
    fewest: int
    steps: list[tuple[State, int]]
    best: int


class Game(NamedTuple):
    """A Bernoulli bandit whose one best action is drawn for each scenario."""

    K: int
    T: int
    best: float
    rest: float
    shows: str

    def state(self, counts: Sequence[int], wins: Sequence[int]) -> State:
        """What the prompt shows."""
        pairs = zip(counts, wins, strict=True)
        if self.shows == "counts":
            return tuple((count, won) for count, won in pairs)
        return tuple(round(won / count, 2) if count else None for count, won in pairs)

    def play(self, table: Table, M: int, L: int, rng: np.random.Generator) -> list[Play]:
        """L plays in each of M scenarios, all plays of one meeting the same rewards."""
        return [
            self._one(table, scenario, best, rewards, rng)
            for scenario in range(M)
            for best in (int(rng.integers(self.K)),)
            for rewards in (rng.random((self.T, self.K)) < self._means(best),)
            for _ in range(L)
        ]

    def _means(self, best: int) -> np.ndarray:
        means = np.full(self.K, self.rest)
        means[best] = self.best
        return means

    def _one(
        self, table: Table, scenario: int, best: int, rewards: np.ndarray, rng: np.random.Generator
    ) -> Play:
        counts, wins = [0] * self.K, [0] * self.K
        steps: list[tuple[State, int]] = []
        for t in range(self.T):
            state = self.state(counts, wins)
            odds = table.get(state)
            action = int(rng.integers(self.K) if odds is None else rng.choice(self.K, p=odds))
            steps.append((state, action))
            counts[action] += 1
            wins[action] += int(rewards[t, action])
        regret = (self.T - counts[best]) * (self.best - self.rest)
        return Play(scenario, regret, min(counts), steps, best)


def kept(plays: Sequence[Play], k: int, floor: int, rng: np.random.Generator) -> list[Play]:
    """The k of lowest regret of each scenario, ties broken at random."""
    found: list[Play] = []
    for scenario in {play.scenario for play in plays}:
        ours = [play for play in plays if play.scenario == scenario and play.fewest >= floor]
        rng.shuffle(ours)  # pyright: ignore[reportArgumentType]
        found += sorted(ours, key=lambda play: play.regret)[:k]
    return found


def fitted(table: Table, plays: Sequence[Play], K: int) -> dict[State, np.ndarray]:
    """The odds of each action in the kept plays."""
    counts: dict[State, np.ndarray] = {}
    for play in plays:
        for state, action in play.steps:
            counts.setdefault(state, np.zeros(K))[action] += 1
    even = np.full(K, 1 / K)
    return {
        **table,
        **{
            state: (seen + PRIOR * table.get(state, even)) / (seen.sum() + PRIOR)
            for state, seen in counts.items()
        },
    }


def main() -> None:
    """Print regret by iteration for each form of history and each recipe."""
    words = argparse.ArgumentParser(description=__doc__)
    for name, value in (("K", 2), ("T", 8), ("iterations", 3)):
        words.add_argument(f"--{name}", type=int, default=value)
    for name, value in (("best", 0.9), ("rest", 0.1)):
        words.add_argument(f"--{name}", type=float, default=value)
    given = words.parse_args()
    print(f"{'shows':9} {'M':>4} {'L':>3} {'k':>2} floor examples  regret by iteration")
    for shows in ("averages", "counts"):
        game = Game(given.K, given.T, given.best, given.rest, shows)
        for M, L, k, floor in ((48, 16, 2, 1), (96, 16, 2, 1), (96, 16, 1, 1), (96, 16, 2, 0)):
            rng = np.random.default_rng(0)
            table: dict[State, np.ndarray] = {}
            means: list[float] = []
            for _ in range(given.iterations + 1):
                tests = game.play(table, TEST, 1, rng)
                means.append(float(np.mean([play.regret for play in tests])))
                table = fitted(table, kept(game.play(table, M, L, rng), k, floor, rng), game.K)
            line = " ".join(f"{mean:.2f}" for mean in means)
            print(f"{shows:9} {M:4} {L:3} {k:2} {floor:5} {M * k * game.T:8}  {line}", flush=True)


if __name__ == "__main__":
    main()
