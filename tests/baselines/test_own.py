"""Algorithms of one's own: as baseline, as teacher, and what becomes of those that go wrong."""

from pathlib import Path

import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.baselines import Algorithm, GameInfo
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.environments import Scenario
from rmft_api.evaluation import outcome
from rmft_api.testing import AlgorithmContract
from tests import loop_world

HERE = Path(__file__).parent


class RoundRobin(Algorithm):
    """Each action in its turn, `skip` at a time."""

    def __init__(self, known: GameInfo, skip: int = 1) -> None:
        self._known, self._skip = known, skip

    def choose(self, t: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.full(self._known.N, t * self._skip % self._known.K)


class TooFar(RoundRobin):
    def choose(self, t: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return super().choose(t) + self._known.K


class NotProbable(RoundRobin):
    def mix(self, t: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        return np.ones((self._known.N, self._known.K))


class Broken(RoundRobin):
    def choose(self, t: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        raise ZeroDivisionError("by hand")


class Peeking(RoundRobin):
    """Would like to see what it did not choose."""

    def learn_all(self, t: int, faced_NK: object) -> None:
        raise AssertionError("a bandit was shown all rewards")


class Greedy(RoundRobin):
    needs = "everything"


class TestRoundRobin(AlgorithmContract):
    algorithm = f"{__name__}:RoundRobin"


class TestLinearThompson(AlgorithmContract):
    algorithm = "lin_thompson"


class Silent:
    """Inherits nothing, and cannot learn."""

    def __init__(self, known: GameInfo) -> None:
        self.known = known

    def choose(self, t: int) -> np.ndarray:
        return np.zeros(self.known.N, dtype=np.int64)


class Still:
    """Cannot decide."""

    def __init__(self, known: GameInfo) -> None:
        self.known = known


class Plain(Silent):
    """Inherits nothing of the package, and has what is needed."""

    def learn(self, t: int, actions_N: np.ndarray, earned_N: np.ndarray) -> None:
        pass


def test_a_class_need_not_inherit() -> None:
    assert baselines.play(own("Plain"), drawn(), 1)[0].actions_T.tolist() == [0] * 6


def drawn(count: int = 2) -> list[Scenario]:
    made = environments.make("bandit", 3, 6, {})
    return [made.draw(np.random.default_rng(i)) for i in range(count)]


def own(name: str) -> str:
    return f"{__name__}:{name}"


def test_an_own_class_plays_with_its_options() -> None:
    plays = baselines.play(own("RoundRobin"), drawn(), 1, {"skip": 2})
    assert plays[0].actions_T.tolist() == [0, 2, 1, 0, 2, 1]
    with pytest.raises(ConfigError, match=r"has no option step=1; known: skip"):
        baselines.play(own("RoundRobin"), drawn(), 1, {"step": 1})
    baselines.play(own("Peeking"), drawn(), 1)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("TooFar", r"TooFar: choose\(0\) returned array\(\[3, 3\]\); 2 whole numbers from 0 to 2"),
        ("NotProbable", r"NotProbable: mix\(0\) returned .*2 x 3 probabilities expected"),
        (
            "Silent",
            r"Silent: the class has no method learn; inherit rmft_api\.baselines\.Algorithm",
        ),
        ("Still", r"Still: the class has no method choose"),
        ("Broken", r"Broken: choose\(0\) raised ZeroDivisionError: by hand"),
    ],
)
def test_a_breach_names_the_method_and_what_it_returned(name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        baselines.play(own(name), drawn(), 1)


def test_a_class_that_is_not_there_or_wants_what_nobody_tells_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no 'Nobody'"):
        baselines.play(own("Nobody"), drawn(), 1)
    with pytest.raises(ConfigError, match=r"needs='everything'; use \('bandit'"):
        baselines.play(own("Greedy"), drawn(), 1)


def config(**changes: object) -> RunConfig:
    return loop_world.config(**changes)


def test_a_run_file_names_the_algorithms_beside_its_models() -> None:
    named = config(test={"scenarios": 4, "baselines": ["random", own("RoundRobin")]})
    outcome.check_baselines(named)
    held = outcome.scenario_set(named, "test")
    assert outcome.baselines_of(named, held) == ("random", own("RoundRobin"))
    usual = outcome.baselines_of(config(), held)
    assert usual == ("random", "greedy", "kl_ucb", "thompson", "ids")
    wrong = config(test={"scenarios": 4, "baselines": ["ucbl"]})
    with pytest.raises(ConfigError, match="unknown baseline 'ucbl'; did you mean 'ucb1'"):
        outcome.check_baselines(wrong)


def test_linear_thompson_draws_from_the_posterior_of_a_ridge_regression() -> None:
    """Against a regression solved anew in every round, with the same normal draws."""
    made = environments.make("contextual", 3, 30, {"features": 4})
    scenario = made.draw(np.random.default_rng(5))
    assert scenario.features is not None
    (play,) = baselines.play("lin_thompson", [scenario], 7)

    chance = RandomStreams(7, "lin_thompson", [0])
    for t in range(30):
        x = scenario.features[t]
        draws: list[float] = []
        for a, noise in enumerate(chance.normal(t, 3)[0].tolist()):
            seen = np.flatnonzero(play.actions_T[:t] == a)
            X, r = scenario.features[seen], scenario.rewards[seen, a]
            covariance = np.linalg.inv(np.eye(4) + X.T @ X)
            mean = float(x @ covariance @ X.T @ r)
            draws.append(mean + 0.5 * float(np.sqrt(x @ covariance @ x)) * noise)
        assert int(np.argmax(draws)) == play.actions_T[t]


def test_algorithms_that_read_features_stand_beside_the_model_and_do_better_than_the_blind() -> (
    None
):
    problem = {"environment": "contextual", "K": 4, "T": 60, "options": {"features": 2, "sd": 0.05,
               "reward": "gaussian"}}  # fmt: skip
    run = config(rollouts={"scenarios": 2, "trajectories": 4, "problems": [problem]})
    held = outcome.scenario_set(run, "test")
    usual = outcome.baselines_of(run, held)
    assert {"linucb", "lin_thompson"} <= set(usual)
