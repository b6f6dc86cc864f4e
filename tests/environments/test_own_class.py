"""A class of the user's, named `module:Class` in the run file: no package, no entry point."""

import sys
from pathlib import Path

import numpy as np
import pytest

from rmft_api import environments
from rmft_api.config.schema import Problem
from rmft_api.core.errors import ConfigError, DataError

MINE = """
import numpy as np
from rmft_api.environments import Scenario

class Coins:
    def __init__(self, K, T, luck=0.5):
        self.K, self.T, self.luck = K, T, luck

    def draw(self, rng):
        means = np.broadcast_to(rng.random(self.K) * self.luck, (self.T, self.K))
        rewards = (rng.random(means.shape) < means).astype(float)
        return Scenario(rewards=rewards, means=means, feedback="bandit", regret="pseudo")

class Number:
    def __init__(self, K, T):
        pass

    def draw(self, rng):
        return 3

class Broken(Number):
    def draw(self, rng):
        return {}["gone"]

nothing = 3
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "coins_of_mine.py").write_text(MINE)
    (tmp_path / "broken_of_mine.py").write_text("def (")
    return tmp_path


@pytest.mark.usefixtures("place")
def test_a_class_in_the_working_folder_can_be_named() -> None:
    environment = environments.make("coins_of_mine:Coins", 3, 5, {"luck": 0.9})
    scenario = environment.draw(np.random.default_rng(1))
    assert scenario.rewards.shape == (5, 3)
    problems = environments.expand([Problem(environment="coins_of_mine:Coins", K=3, T=5)])
    assert environments.draw(problems, 1, "test", 0, 0).K == 3


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("coins_of_mine:Coin", {}, "has no 'Coin'"),
        ("coins_of_nobody:Coins", {}, "cannot be imported: No module"),
        ("broken_of_mine:Coins", {}, "cannot be imported"),
        ("coins_of_mine:nothing", {}, "is 3, not a class"),
        ("coins_of_mine:Coins", {"fun": 1}, "has no option fun=1"),
        (":Coins", {}, "cannot be imported"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_in_one_line(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        environments.make(name, 2, 2, options)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Number", r"Number K=2 T=3: draw\(rng\) returned 3; a Scenario expected"),
        ("Broken", r"Broken K=2 T=3: draw\(rng\) raised KeyError: 'gone'"),
    ],
)
def test_what_draw_returns_or_raises_is_named_in_one_line(name: str, message: str) -> None:
    problems = environments.expand([Problem(environment=f"coins_of_mine:{name}", K=2, T=3)])
    with pytest.raises(DataError, match=message) as raised:
        environments.draw(problems, 1, "test", 0, 0)
    assert "\n" not in str(raised.value)
