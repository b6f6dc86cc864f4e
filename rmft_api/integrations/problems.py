"""What all frameworks play: the suites that ship, and the measures of one finished episode."""

from collections.abc import Mapping
from typing import Any

from rmft_api import suites
from rmft_api.config.changes import from_python
from rmft_api.core.records import Split
from rmft_api.evaluation import measures
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.rollouts.episodes import Episode, Problems

MEASURES = ("suff_fail_freq", "k_min_frac", "greedy_frac", "best_share", "valid")
"""Of an episode, beside its regret and reward."""


def problems_of_suite(
    suite: str,
    overrides: Mapping[str, Any] | None = None,
    split: Split = "test",
    iteration: int = 0,
) -> Problems:
    """The scenarios of a suite: one that ships, or the path of a .toml file.

    `overrides` are dotted keys of the suite with their values. Raises ConfigError.
    """
    loaded = suites.load(suite, from_python(overrides))
    config = loaded.as_run(loaded.name, None)
    return Problems(config, prompts_of_run(config), split, iteration)


def measures_of(episode: Episode) -> dict[str, float]:
    """Regret, reward and exploration of an episode; what has no meaning for it is left out."""
    play, kind = episode.play(), episode.scenario.scenario.regret
    K = episode.scenario.scenario.K
    found = {
        "regret": episode.regret(),
        "regret_per_round": episode.regret() / episode.T,
        "k_min_frac": K * float(measures.min_frac(play)),
        "greedy_frac": float(measures.greedy_frac(play)),
        "best_share": float(measures.best_share(play, kind)),
        "valid": float(measures.valid(play)),
    }
    if kind != "reference":  # measures.NO_BEST
        found["suff_fail_freq"] = float(measures.suff_fail(play, kind))
    return found
