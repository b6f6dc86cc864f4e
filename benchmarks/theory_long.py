"""Trained linear attention at T = 1,000, beside FTRL-L2, AdaHedge and optimistic Hedge.

    python -m benchmarks.theory_long RUN [RUN ...] --commit COMMIT --cpu-s SECONDS
        [--runs FOLDER] [--T 1000] > docs/results/records/theory-long.json

The champion's weights of each run, played without a server: the same network and the same rounding
of its answers. For each family of rewards: static regret and the log-log slope of its mean curve
from round T/100 on, dynamic regret and swap regret. Fixed share, which is told how often the best
action changes, shows what dynamic regret can be had. Then the learnt matrix, iteration by
iteration. Prints a record (see docs/make_results.py); the CPU time is that of training.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import text_of
from rmft_api.baselines.full_information import Summing
from rmft_api.baselines.game import Algorithm, GameInfo, run, table
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.baselines.registry import BASELINES
from rmft_api.core import seeds
from rmft_api.environments.online_learning import OnlineLearning
from rmft_api.environments.scenario import Scenario
from rmft_api.evaluation import outcome
from rmft_api.journal import Journal
from rmft_api.local_server.numeric import chats, simplex, weights
from rmft_api.local_server.numeric.engine import BASES
from rmft_api.local_server.numeric.family import Tensors
from rmft_api.local_server.numeric.matrix_attention import parts
from rmft_api.selection.regret import Floats, PlayArrays, per_round, regret_curve
from rmft_api.session.recorded_config import recorded_config

FAMILIES = ("gaussian", "bernoulli", "alternating", "shift", "piecewise", "adaptive")
RIVALS = ("ftrl_l2", "ada_hedge", "optimistic_hedge")
K, N = 3, 16


class Attending(Algorithm):
    """The model: V x, projected on the simplex, rounded as its answers are."""

    def __init__(self, V_KK: Floats, known: GameInfo) -> None:
        self._V_KK = V_KK
        self._sums_NK = np.zeros((known.N, known.K))

    def mix(self, t: int) -> Floats:
        """The policies of all trajectories."""
        logits_NK = self._sums_NK / np.sqrt(t + 1) @ self._V_KK.T
        return simplex.in_units(simplex.project(logits_NK), chats.UNITS) / chats.UNITS

    def learn_all(self, t: int, faced_NK: Floats) -> None:
        """Add this round's."""
        self._sums_NK += faced_NK - 0.5


class FixedShare(Summing):
    """Hedge that gives every action a share of all weight in each round, as if it might be next.

    Herbster and Warmuth (1998), with step and share for `changes` changes of the best action
    within `T` rounds (Cesa-Bianchi and Lugosi 2006, section 5.2).
    """

    def __init__(self, changes: float, T: int, known: GameInfo) -> None:
        super().__init__(known)
        self._share = changes / (T - 1)
        doubts = -sum(p * np.log(p) for p in (self._share, 1 - self._share) if p > 0)
        self._eta = np.sqrt(8 / T * ((changes + 1) * np.log(known.K) + (T - 1) * doubts))
        self._weights_NK = np.full((known.N, known.K), 1 / known.K)

    def mix(self, t: int) -> Floats:
        """The weights."""
        return self._weights_NK

    def learn_all(self, t: int, faced_NK: Floats) -> None:
        """Exponential update, then the share."""
        grown_NK = self._weights_NK * np.exp(self._eta * faced_NK)
        grown_NK /= grown_NK.sum(axis=1, keepdims=True)
        self._weights_NK = (1 - self._share) * grown_NK + self._share / grown_NK.shape[1]


def main() -> None:
    """Read the runs, play, and print the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--T", type=int, default=1000)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--cpu-s", type=float, required=True)
    asked = parser.parse_args()
    learnt = [matrices(asked.runs / name) for name in asked.run]
    played = [_families(V[-1], seed, asked.T) for seed, V in learnt]
    found = {
        "runs": asked.run,
        "T": asked.T,
        "families": {family: [one[family] for one in played] for family in FAMILIES},
        "matrices": [[V_KK.round(4).tolist() for V_KK in V] for _, V in learnt],
        "parts": [[list(parts(V_KK)) for V_KK in V] for _, V in learnt],
    }
    command = ["rmft-api ablate docs/results/recipes/matrix.toml"]
    command.append(f"python -m benchmarks.theory_long {shlex.join(asked.run)}")
    source = {"command": command, "seeds": [seed for seed, _ in learnt], "commit": asked.commit}
    sys.stdout.write(text_of({**source, "cpu_s": asked.cpu_s, "output": found}))


def matrices(directory: Path) -> tuple[int, list[Floats]]:
    """The run's seed; V of its base, of each iteration, and last of all of its champion."""
    with closing(Journal.read(directory)) as journal:
        config = recorded_config(journal)
        best = outcome.champion(config, journal).index
        models = outcome.models(journal)
    family, start = BASES[config.model.base]
    files = _files(directory / "server" / "jobs")
    each = [
        start,
        *(weights.load(files[models[i]], family.name, start) for i in range(1, len(models))),
    ]
    return config.seed, [_matrix(one) for one in [*each, each[best]]]


def _files(jobs: Path) -> dict[str, Path]:
    """The last weights of every fine-tune of a server, by the model's id."""
    found: dict[str, Path] = {}
    for job in jobs.iterdir():
        if model := json.loads((job / "job.json").read_text("utf-8")).get("target"):
            found[model] = max((job / "weights").glob("*.safetensors"), key=_step)
    return found


def _step(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))


def _matrix(tensors: Tensors) -> Floats:
    if "V" in tensors:
        return np.asarray(tensors["V"])[:K, :K]
    return float(tensors["a"]) * np.eye(K) + float(tensors["b"])


def _families(V_KK: Floats, seed: int, T: int) -> dict[str, dict[str, dict[str, float]]]:
    """By family and player: mean regrets, and the slope of the static one."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    makes: dict[str, Any] = {name: BASELINES[name].make for name in RIVALS}
    makes["model"] = partial(Attending, V_KK)
    for family in FAMILIES:
        problem = OnlineLearning(K=K, T=T, process=family)
        drawn = [problem.draw(seeds.rng(seed, "long", family, n)) for n in range(N)]
        changes = float(np.mean([scenario.facts["switches"] for scenario in drawn]))
        players = {**makes, "fixed_share": partial(FixedShare, changes, T)}
        found[family] = {name: _figures(make, drawn, name, seed) for name, make in players.items()}
    return found


def _figures(make: Any, scenarios: Sequence[Scenario], name: str, seed: int) -> dict[str, float]:
    known = table(scenarios, RandomStreams(seed, name, list(range(len(scenarios)))))
    plays = run(make(known), scenarios, known)
    curve_T = np.mean([regret_curve(play, "static") for play in plays], axis=0)
    first = max(1, len(curve_T) // 100)
    x = np.log(np.arange(first, len(curve_T) + 1))
    y = np.log(np.maximum(curve_T[first - 1 :], 1e-3))
    return {
        "static": float(curve_T[-1]),
        "slope": float(np.polyfit(x, y, 1)[0]),
        "dynamic": float(np.mean([per_round(play, "dynamic").sum() for play in plays])),
        "swap": float(np.mean([swap_regret(play) for play in plays])),
    }


def swap_regret(play: PlayArrays) -> float:
    """What the best change of every action into another one, kept for all rounds, would add.

    Blum and Mansour (2007): sum over a of max over b of sum_t pi_t(a) (R_t(b) - R_t(a)).
    """
    moved_KK = play.policies_TK.T @ play.rewards_TK
    return float((moved_KK.max(axis=1) - moved_KK.diagonal()).sum())


if __name__ == "__main__":
    main()
