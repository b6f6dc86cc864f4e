"""How often the gate is wrong, and how often right (docs/method.md 5).

    python benchmarks/gate_error.py --runs 500 --run runs/quickstart

Models that are all alike play the same N scenarios: a run that falls back is wrong. "interval" is
the rule that it replaces, an interval around the difference to the luckiest model before. Power is
for one model, made by iteration 4 of 6, that is worse by so many standard deviations (those of
one model's regret within a scenario): "alike" where all before it were alike, "improved" where the
first three each gained .6 of them. `--run` names a finished run of the embedded model, whose own
plays are then dealt to models: 12 plays of one scenario by one model, so again all alike.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rmft_api import statistics
from rmft_api.journal import Journal
from rmft_api.selection.regret import Floats

ITERATIONS, WORSE_AT = 6, 4
SIZES = (24, 60)
SHIFTS = (0.2, 0.5, 1.0)
GAINS = (0.0, 0.1, 0.2, 0.5)
Draw = Callable[[np.random.Generator, int], Floats]
"""Regrets of N scenarios x 7 models that are all alike."""
MODELS = ITERATIONS + 1


def gaussian(rng: np.random.Generator, N: int) -> Floats:
    """A scenario's difficulty and a play's luck, both normal."""
    return rng.normal(0, 1, (N, 1)) + rng.normal(0, 1, (N, MODELS))


def lognormal(rng: np.random.Generator, N: int) -> Floats:
    """Skewed: standard deviation 1 of the logarithm."""
    return rng.lognormal(0, 0.5, (N, 1)) * rng.lognormal(0, 1, (N, MODELS))


def lock_in(rng: np.random.Generator, N: int) -> Floats:
    """Most plays cost little; some lock in, oftener in hard scenarios, and cost 2 to 10."""
    locked_NM = rng.random((N, MODELS)) < rng.beta(1, 4, (N, 1))
    return np.where(locked_NM, 2 + 8 * rng.random((N, 1)), rng.random((N, MODELS)))


def four_plays(rng: np.random.Generator, N: int) -> Floats:
    """The mean of four such plays of each scenario: they share its difficulty."""
    hard_N1, cost_N1 = rng.beta(1, 4, (N, 1)), 2 + 8 * rng.random((N, 1))
    locked = rng.random((4, N, MODELS)) < hard_N1
    return np.where(locked, cost_N1, rng.random((4, N, MODELS))).mean(axis=0)


def of_run(directory: Path) -> Draw:
    """Deals the training plays of a run to models, scenario by scenario."""
    journal = Journal.read(directory)
    plays: dict[tuple[int, int], list[float]] = {}
    for iteration in range(1, ITERATIONS + 1):
        for _, scored in journal.plays("train", iteration):
            plays.setdefault((iteration, scored.address.scenario), []).append(scored.regret)
    journal.close()
    pool_SL = np.array([some for some in plays.values() if len(some) >= MODELS])

    def draw(rng: np.random.Generator, N: int) -> Floats:
        chosen_NL = rng.permuted(pool_SL[rng.integers(len(pool_SL), size=N)], axis=1)
        return chosen_NL[:, :MODELS]

    return draw


def falls_back(figures_NM: Floats, rng: np.random.Generator) -> bool:
    """The gate's rule, as `outcome.gate` applies it in a run of six iterations.

    A rise below half a standard error of a difference is never beyond chance at .8 %: such models
    are not dealt anew, which saves most of the time.
    """
    error = (1 - statistics.LEVEL) / ITERATIONS
    rise = statistics.rise(figures_NM)
    if rise * len(figures_NM) ** 0.5 < (figures_NM[:, -1] - figures_NM[:, 0]).std() / 2:
        return False
    return rise > statistics.rise_by_chance(figures_NM, error, rng) + 1e-9


def beyond_interval(figures_NM: Floats, _: np.random.Generator) -> bool:
    """The rule before: the paired interval to the luckiest model is below 0."""
    luckiest_N = figures_NM[:, int(figures_NM[:, :-1].mean(axis=0).argmin())]
    return statistics.mean_interval(luckiest_N - figures_NM[:, -1]).high < 0


RULES = {"interval": beyond_interval, "gate": falls_back}


def false_alarms(draw: Draw, N: int, runs: int, rng: np.random.Generator) -> list[float]:
    """Share of unchanged runs that fall back at least once, by each rule."""
    wrong = dict.fromkeys(RULES, 0)
    for _ in range(runs):
        figures = draw(rng, N)
        for name, rule in RULES.items():
            wrong[name] += any(rule(figures[:, : i + 2], rng) for i in range(ITERATIONS))
    return [count / runs for count in wrong.values()]


def power(draw: Draw, N: int, runs: int, improved: bool, rng: np.random.Generator) -> list[float]:
    """Share of models, worse by each of the shifts, from which a run falls back."""
    sd = _within(draw, rng)
    before = -0.6 * sd * np.minimum(np.arange(WORSE_AT + 1), WORSE_AT - 1) * improved
    found: list[float] = []
    for shift in SHIFTS:
        shift_M = before + shift * sd * (np.arange(WORSE_AT + 1) == WORSE_AT)
        hits = (falls_back(draw(rng, N)[:, : WORSE_AT + 1] + shift_M, rng) for _ in range(runs))
        found.append(sum(hits) / runs)
    return found


def stopped(draw: Draw, N: int, runs: int, patience: int, rng: np.random.Generator) -> list[float]:
    """Share of runs that `stop_after` ends before their last iteration, by the gain of each."""
    sd = _within(draw, rng)
    shares: list[float] = []
    for gain in GAINS:
        ended = (
            _ends_early(draw(rng, N) - gain * sd * np.arange(MODELS), patience) for _ in range(runs)
        )
        shares.append(sum(ended) / runs)
    return shares


def _ends_early(figures_NM: Floats, patience: int) -> bool:
    means = figures_NM.mean(axis=0)
    no_gain = [means[i] >= means[:i].min() for i in range(1, ITERATIONS)]
    return any(all(no_gain[i : i + patience]) for i in range(len(no_gain) - patience + 1))


def _within(draw: Draw, rng: np.random.Generator) -> float:
    """Standard deviation of one model's regret within a scenario."""
    figures = draw(rng, 4000)
    return float(np.sqrt(((figures[:, 0] - figures[:, 1]) ** 2).mean() / 2))


def tables(kinds: Mapping[str, Draw], runs: int, rng: np.random.Generator) -> None:
    """One table of errors and power, one of early ends."""
    heads = ("interval", "gate", *(f"{s:g} sd" for s in SHIFTS), *(f"{s:g} sd" for s in SHIFTS))
    line = f"{'':24}{'wrong runs':>18}{'power, alike':>27}{'power, improved':>27}"
    _say(line, f"{'regrets':18}{'N':>6}" + "".join(f"{head:>9}" for head in heads))
    for name, draw in kinds.items():
        for size in SIZES:
            figures = false_alarms(draw, size, 4 * runs, rng)
            figures += power(draw, size, runs, False, rng) + power(draw, size, runs, True, rng)
            _say(f"{name:18}{size:6}" + "".join(f"{figure:9.3f}" for figure in figures))
    _say("", "runs ended before their last iteration, by what each iteration truly gains")
    _say(f"{'regrets':18}{'N':>6}{'stop_after':>12}" + "".join(f"{g:>6g} sd" for g in GAINS))
    for name, draw in kinds.items():
        for size in SIZES:
            for patience in (1, 2, 3):
                shares = stopped(draw, size, 4 * runs, patience, rng)
                _say(f"{name:18}{size:6}{patience:12}" + "".join(f"{s:9.3f}" for s in shares))


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--run", type=Path, help="folder of a finished run of the embedded model")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    kinds: dict[str, Draw] = {"normal": gaussian, "lognormal": lognormal, "lock-in": lock_in}
    kinds["lock-in, 4 plays"] = four_plays
    if given.run is not None:
        kinds["embedded model"] = of_run(given.run)
    _say(
        f"runs of {ITERATIONS} iterations, seed {given.seed}; "
        f"{4 * given.runs} for errors, {given.runs} for power"
    )
    tables(kinds, given.runs, np.random.default_rng(given.seed))


if __name__ == "__main__":
    main()
