"""Plays that are asked for again are the same ones, and never another's."""

from collections.abc import Sequence

import numpy as np
import pytest

from rmft_api import baselines
from rmft_api.environments import Scenario
from rmft_api.evaluation import outcome, scoring
from rmft_api.evaluation.recent_plays import RecentPlays
from rmft_api.evaluation.scoring import ScenarioSet
from rmft_api.selection.regret import PlayArrays
from tests.loop_world import config


def held(seed: int = 5) -> ScenarioSet:
    return outcome.scenario_set(config(seed=seed), "test")


class Counting:
    """Plays, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def of(self, kept: RecentPlays, scenarios: Sequence[Scenario], seed: int = 1) -> np.ndarray:
        def play() -> list[PlayArrays]:
            self.times += 1
            return baselines.play("random", scenarios, seed)

        return np.stack([one.rewards_TK for one in kept.get("random", seed, scenarios, play)])


def test_the_same_scenarios_are_played_once_and_others_anew() -> None:
    kept, counting = RecentPlays(), Counting()
    first = counting.of(kept, held().scenarios)
    assert np.array_equal(counting.of(kept, held().scenarios), first)
    assert counting.times == 1
    assert not np.array_equal(counting.of(kept, held(6).scenarios), first)
    counting.of(kept, held().scenarios, seed=2)
    assert counting.times == 3


def test_what_is_kept_stays_below_its_limit() -> None:
    kept, counting = RecentPlays(most=0), Counting()
    counting.of(kept, held().scenarios)
    counting.of(kept, held().scenarios)
    assert counting.times == 2


def test_an_algorithm_of_ones_own_is_played_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []

    def play(name: str, *_: object, **__: object) -> list[PlayArrays]:
        played.append(name)
        return []

    monkeypatch.setattr("rmft_api.baselines.play", play)
    for _ in range(2):
        scoring.baseline_plays(held(), "mine:Mine", 1)
    assert played == ["mine:Mine", "mine:Mine"]
