"""Real classification data as contextual bandits."""

import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.core.errors import ConfigError
from rmft_api.environments import Divided, Environment, Scenario
from rmft_api.selection import regret
from rmft_api.testing import EnvironmentContract

pytest.importorskip("sklearn")


class TestWine(EnvironmentContract):
    sizes = ((2, 5), (3, 25))

    def make(self, K: int, T: int) -> Environment:
        return environments.make("classification", K, T, {"data": "wine"})


class TestDigits(EnvironmentContract):
    sizes = ((3, 10), (10, 20))

    def make(self, K: int, T: int) -> Environment:
        return environments.make("classification", K, T, {"data": "digits"})


def drawn(split: str, count: int = 30, **options: object) -> list[Scenario]:
    made = environments.make("classification", 3, 40, {"data": "wine", **options})
    assert isinstance(made, Divided)
    return [made.draw_from(split, np.random.default_rng(i)) for i in range(count)]  # pyright: ignore[reportArgumentType]


def test_no_row_serves_two_splits() -> None:
    told = {
        split: {text for s in drawn(split) for text in s.contexts or ()}
        for split in ("train", "validation", "test")
    }
    assert len(told["train"]) > 90
    assert not told["train"] & told["test"]
    assert not told["train"] & told["validation"]
    assert not told["validation"] & told["test"]


def test_who_reads_the_features_makes_far_fewer_mistakes() -> None:
    def mistakes(name: str) -> float:
        plays = baselines.play(name, drawn("test"), 1)
        return float(np.mean([regret.per_round(play, "dynamic").sum() for play in plays]))

    blind, seeing = mistakes("ucb1"), {n: mistakes(n) for n in ("linucb", "lin_thompson")}
    assert 20 < blind < 30  # two of three are wrong
    assert max(seeing.values()) < 0.75 * blind


def test_the_words_tell_the_numbers_and_the_class_is_not_among_them() -> None:
    (scenario,) = drawn("train", 1)
    assert scenario.contexts is not None
    assert scenario.contexts[0].startswith("alcohol 1")
    (picture,) = [
        environments.make("classification", 3, 1, {}).draw(np.random.default_rng(0)).contexts
    ]
    assert picture is not None
    assert picture[0].startswith("ink from 0 to 9, row by row: ")


def test_more_classes_than_the_data_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="wine has 3 classes, not K=4"):
        environments.make("classification", 4, 5, {"data": "wine"})
    with pytest.raises(ConfigError, match="data='wien' is unknown; did you mean 'wine'"):
        environments.make("classification", 3, 5, {"data": "wien"})
