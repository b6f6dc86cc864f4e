"""Tunes the limit (rmft_api/baselines/limit.py) on drawn bandits, and writes limit.csv.

    OMP_NUM_THREADS=1 nice python -m benchmarks.tune_limit

For each kind of rewards, K and T: every rule of a coarse grid on 1,500 scenarios, then the best
ones and their neighbours on 4,000. The least mean regret wins. `regret` is that of 4,000 fresh
scenarios; `same` that of the first 1,000 of them, on which greedy, Thompson sampling and IDS play
too. Finished cells are kept in build/tune_limit.jsonl: the same command goes on where it was
stopped. All chance has an address, so the table is the same each time. About 15 minutes of CPU.
"""

import argparse
import csv
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rmft_api import baselines, environments
from rmft_api.baselines import limit
from rmft_api.baselines.game import GameInfo, table
from rmft_api.baselines.limit import FiniteHorizonIndex, Form, IndexRule
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.core.records import Split
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.selection import regret
from rmft_api.selection.regret import Floats

SEED = 17
REWARDS = ("bernoulli", "gaussian", "uniform")
KS = (2, 3, 4, 5, 6, 8, 10)
TS = (10, 25, 50, 100, 200, 400)
COARSE, FINE, BESIDE = 1500, 4000, 1000
BEST = 5
"""Rules of the coarse grid that are refined."""
STEPS = (0.8, 1.25)
PRIORS = (0.25, 0.5, 1.0, 2.0, 3.0)
GRIDS: dict[Form, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "even": ((0.2, 0.3, 0.4, 0.5, 0.6, 0.8), (0.5, 1.0, 2.0)),
    "belief": ((0.5, 0.75, 1.0, 1.5, 2.0, 2.5), (0.5, 1.0, 2.0)),
    "logarithm": ((0.3, 0.5, 0.7, 1.0), (0.1, 0.3, 1.0, 3.0)),
}
"""Scales and shapes of each form."""
FIELDS = (
    *("reward", "K", "T", "form", "prior", "scale", "shape", "regret", "error"),
    *("same", "greedy", "thompson", "ids"),
)
DONE = Path("build/tune_limit.jsonl")
OUT = Path(__file__).parent.parent / "rmft_api" / "baselines" / limit.TABLE


@dataclass(frozen=True)
class Played:
    """Scenarios of one problem, as arrays."""

    known: GameInfo
    rewards_TNK: Floats
    means_NK: Floats


def main() -> None:
    """Tune what is left to tune, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--done", type=Path, default=DONE)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    asked.done.parent.mkdir(parents=True, exist_ok=True)
    found = dict(_read(asked.done))
    for place in itertools.product(TS, KS, REWARDS):
        if place not in found:
            found[place] = cell(*place)
            with asked.done.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[place]) + "\n")
            sys.stdout.write(f"{found[place]}\n")
            sys.stdout.flush()
    write(asked.out, [found[T, K, reward] for reward in REWARDS for K in KS for T in TS])


def _read(done: Path) -> Iterator[tuple[tuple[int, int, str], dict[str, Any]]]:
    for line in done.read_text(encoding="utf-8").splitlines() if done.exists() else ():
        row = json.loads(line)
        yield (row["T"], row["K"], row["reward"]), row


def write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Replace the table."""
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def cell(T: int, K: int, reward: str) -> dict[str, Any]:
    """The best rule of one problem, and what it does on fresh scenarios."""
    problem = ConcreteProblem("bandit", K, T, {"reward": reward})
    rule = tuned(problem)
    fresh = drawn(problem, "test", FINE)
    regrets_N = regret_of(rule, arrays(fresh))
    row = {"reward": reward, "K": K, "T": T, **asdict(rule)}
    row |= {"regret": _short(regrets_N.mean()), "error": _short(regrets_N.std() / np.sqrt(FINE))}
    row["same"] = _short(regrets_N[:BESIDE].mean())
    for name in ("greedy", "thompson", "ids"):
        plays = regret.stack(baselines.play(name, fresh[:BESIDE], SEED))
        row[name] = _short(regret.per_round(plays, "pseudo").sum(axis=-1).mean())
    return row


def tuned(problem: ConcreteProblem) -> IndexRule:
    """The rule with the least mean regret on the scenarios of tuning."""
    few, many = (arrays(drawn(problem, "train", count)) for count in (COARSE, FINE))
    coarse = sorted(every_rule(), key=lambda rule: float(regret_of(rule, few).mean()))
    found = {rule: float(regret_of(rule, many).mean()) for rule in coarse[:BEST]}
    for _ in range(2):
        best = min(found, key=lambda rule: found[rule])
        for near in neighbours(best):
            if near not in found:
                found[near] = float(regret_of(near, many).mean())
    return min(found, key=lambda rule: found[rule])


def every_rule() -> Iterator[IndexRule]:
    """The coarse grid."""
    for form, (scales, shapes) in GRIDS.items():
        for numbers in itertools.product(PRIORS, scales, shapes):
            yield IndexRule(form, *numbers)


def neighbours(rule: IndexRule) -> Iterator[IndexRule]:
    """A step to either side in each number."""
    for name in ("prior", "scale", "shape"):
        for step in STEPS:
            yield replace(rule, **{name: round(getattr(rule, name) * step, 4)})


def drawn(problem: ConcreteProblem, split: Split, count: int) -> list[Scenario]:
    """The first scenarios of a split."""
    return [environments.draw([problem], SEED, split, 0, i) for i in range(count)]


def arrays(scenarios: Sequence[Scenario]) -> Played:
    """The same as arrays."""
    known = table(scenarios, RandomStreams(SEED, limit.NAME, range(len(scenarios))))
    rewards_TNK = np.stack([one.rewards for one in scenarios], axis=1)
    return Played(known, rewards_TNK, np.stack([one.means[0] for one in scenarios]))


def regret_of(rule: IndexRule, played: Played) -> Floats:
    """Pseudo-regret of each scenario."""
    player, rows_N = FiniteHorizonIndex(played.known, rule), np.arange(played.known.N)
    lost_NK = played.means_NK.max(axis=1, keepdims=True) - played.means_NK
    regret_N = np.zeros(played.known.N)
    for t, rewards_NK in enumerate(played.rewards_TNK):
        actions_N = player.choose(t)
        player.learn(t, actions_N, rewards_NK[rows_N, actions_N])
        regret_N += lost_NK[rows_N, actions_N]
    return regret_N


def _short(number: float) -> float:
    return round(float(number), 4)


if __name__ == "__main__":
    main()
