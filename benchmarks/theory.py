"""The theory claim, family by family: regret beside FTRL-L2's on the same tables, and its growth.

    python benchmarks/theory.py RUN [RUN ...] [--runs FOLDER]

A family passes when the champion's mean regret is at most 1.25 x FTRL-L2's and the log-log slope of
its mean regret curve (rounds 10 to T) is at most .7.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rmft_api import baselines
from rmft_api.core.records import Round
from rmft_api.environments import Scenario
from rmft_api.evaluation import outcome
from rmft_api.journal import Journal
from rmft_api.selection.regret import Floats, PlayArrays, play_in, regret_curve
from rmft_api.session.recorded_config import recorded_config

RIVALS = ("ftrl_l2", "hedge", "random")
MOST_RATIO, MOST_SLOPE = 1.25, 0.7


def main() -> None:
    """Print a Markdown table per run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    for name in asked.run:
        print(f"\n{name}\n")
        print(table(asked.runs / name))


def table(run_dir: Path) -> str:
    """A row per family of the run's test problems."""
    journal = Journal.read(run_dir)
    try:
        config = recorded_config(journal)
        best = outcome.champion(config, journal)
        played = [t for t, _ in journal.plays("test", best.index)]
    finally:
        journal.close()
    course = outcome.scenario_set(config, "test")
    plays = [_play(course.scenarios[t.address.scenario], t.rounds) for t in played]
    rivals = {name: baselines.play(name, course.scenarios, config.seed) for name in RIVALS}
    families: defaultdict[str, list[int]] = defaultdict(list)
    for index in range(len(course.scenarios)):
        families[course.problems[index % len(course.problems)].label].append(index)
    rows = [
        _row(label, [plays[i] for i in some], {n: [p[i] for i in some] for n, p in rivals.items()})
        for label, some in families.items()
    ]
    head = "| family | champion | FTRL-L2 | ratio | Hedge | uniform | slope | passes |"
    return "\n".join([f"champion: iteration {best.index}, {best.model}", "", head, _RULE, *rows])


_RULE = "|---|---|---|---|---|---|---|---|"


def _play(scenario: Scenario, rounds: Sequence[Round]) -> PlayArrays:
    return play_in(scenario, rounds)


def _row(label: str, plays: list[PlayArrays], rivals: dict[str, list[PlayArrays]]) -> str:
    curve = _mean_curve(plays)
    ftrl, hedge, uniform = (float(_mean_curve(rivals[name])[-1]) for name in RIVALS)
    ratio, slope = float(curve[-1]) / ftrl, _slope(curve)
    passes = ratio <= MOST_RATIO and slope <= MOST_SLOPE
    cells = (label, f"{curve[-1]:.2f}", f"{ftrl:.2f}", f"{ratio:.2f}", f"{hedge:.2f}")
    return f"| {' | '.join(cells)} | {uniform:.2f} | {slope:.2f} | {'yes' if passes else 'no'} |"


def _mean_curve(plays: list[PlayArrays]) -> Floats:
    return np.mean([regret_curve(play, "static") for play in plays], axis=0)


def _slope(curve_T: Floats) -> float:
    rounds = np.arange(1, len(curve_T) + 1)[9:]
    return float(np.polyfit(np.log(rounds), np.log(np.maximum(curve_T[9:], 1e-3)), 1)[0])


if __name__ == "__main__":
    main()
