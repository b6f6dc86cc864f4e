import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api import environments
from rmft_api.config.schema import Problem
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Split
from rmft_api.environments import ConcreteProblem, Environment, Scenario, registry
from rmft_api.testing import EnvironmentContract


@dataclasses.dataclass(frozen=True)
class Harbour:
    """An environment as a user writes it: which of K berths empties first, a coin for each."""

    K: int
    T: int
    busy: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.busy <= 1:
            raise ValueError(f"busy={self.busy!r} is not a share")

    def draw(self, rng: np.random.Generator) -> Scenario:
        means_TK = np.broadcast_to(rng.uniform(0, 1 - self.busy, self.K), (self.T, self.K))
        rewards_TK = (rng.random(means_TK.shape) < means_TK).astype(float)
        return Scenario(rewards_TK, means_TK, feedback="bandit", regret="pseudo")


class TestHarbour(EnvironmentContract):
    def make(self, K: int, T: int) -> Environment:
        return environments.make("harbour", K, T, {"busy": 0.2})

    @pytest.fixture(autouse=True)
    def _installed(self, plugins: dict[str, object]) -> None:
        plugins["harbour"] = Harbour


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """Names of other packages' environments; an Exception is what loading that name raises."""
    installed: dict[str, object] = {}

    def load(name: str) -> object:
        if isinstance(installed[name], Exception):
            raise installed[name]  # pyright: ignore[reportGeneralTypeIssues]
        return installed[name]

    def found(*, group: str) -> list[SimpleNamespace]:
        assert group == "rmft_api.environments"
        return [
            SimpleNamespace(name=name, value=f"pier:{name}", load=lambda name=name: load(name))
            for name in installed
        ]

    monkeypatch.setattr(registry, "entry_points", found)
    registry._plugin.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield installed
    registry._plugin.cache_clear()  # pyright: ignore[reportPrivateUsage]


def test_a_users_environment_is_found_by_its_entry_point(plugins: dict[str, object]) -> None:
    plugins["harbour"] = Harbour
    assert environments.make("harbour", 3, 5, {"busy": 0.1}) == Harbour(3, 5, 0.1)
    assert "harbour" in environments.names()


def test_an_entry_point_is_not_loaded_before_its_name_is_asked_for(
    plugins: dict[str, object],
) -> None:
    plugins["broken"] = ImportError("no module named 'tide'")
    environments.make("bandit", 2, 2, {})
    assert "broken" in environments.names()


def test_an_entry_point_that_cannot_be_loaded_is_named(plugins: dict[str, object]) -> None:
    plugins["broken"] = ImportError("no module named 'tide'")
    with pytest.raises(
        ConfigError, match="'broken' cannot be loaded from 'pier:broken': no module"
    ):
        environments.make("broken", 2, 2, {})


def test_a_built_in_name_cannot_be_taken_over(plugins: dict[str, object]) -> None:
    plugins["bandit"] = Harbour
    assert not isinstance(environments.make("bandit", 2, 2, {}), Harbour)


@pytest.mark.usefixtures("plugins")
def test_an_unknown_environment_is_answered_with_the_nearest_and_all_names() -> None:
    with pytest.raises(ConfigError, match=r"'bandot'; did you mean 'bandit'.*online_learning"):
        environments.make("bandot", 2, 2, {})


@pytest.mark.parametrize(
    ("name", "K", "T", "options", "message"),
    [
        ("bandit", 1, 5, {}, "K=1 leaves nothing to decide"),
        ("bandit", 2, 0, {}, "T=0 has no rounds"),
        ("bandit", 2, 5, {"rewerd": 3}, "no option rewerd=3; did you mean 'reward'"),
        ("bandit", 2, 5, {"K": 3}, "no option K=3"),
        ("bandit", 2, 5, {"reward": "gausian"}, "'gausian' is unknown; did you mean 'gaussian'"),
        ("bandit", 2, 5, {"means": [0.5, float("nan")]}, "means=nan is not a finite number"),
        ("bandit", 2, 5, {"means": [0.5]}, "1 numbers for K=2"),
        ("bandit", 2, 5, {"means": 0.5}, r"written means = \[\[...\]\]"),
        ("bandit", 2, 5, {"gap": float("inf")}, "gap=inf is not a finite number"),
        ("bandit", 2, 5, {"gap": True}, "gap=True is not a finite number"),
        ("bandit", 2, 5, {"gap": 1.5}, "gap=1.5 is outside 0 to 1"),
        ("bandit", 2, 5, {"gap": 0.5, "best": 0.4}, "best=0.4 is outside 0.5 to 1"),
        ("bandit", 2, 5, {"best": 0.4}, "has no effect without gap"),
        ("bandit", 3, 5, {"instance": "hard"}, "has K=5, not 3"),
        ("bandit", 5, 5, {"instance": "hard", "gap": 0.1}, "instance and gap exclude each other"),
        ("bandit", 2, 5, {"clip": "no"}, "clip='no' is not true or false"),
        ("bandit", 2, 5, {"sd": -1}, "sd=-1 is outside"),
        ("nonstationary", 2, 5, {"process": "abrubt"}, "did you mean 'abrupt'"),
        ("nonstationary", 2, 5, {"switches": 5}, "switches=5 do not fit between T=5"),
        ("nonstationary", 2, 5, {"switches": 1.5}, "switches=1.5 is not a whole number"),
        ("nonstationary", 2, 5, {"speed": -0.1}, "speed=-0.1 is outside"),
        ("online_learning", 2, 5, {"process": "adaptative"}, "did you mean 'adaptive'"),
        ("online_learning", 2, 5, {"switches": -1}, "use switches >= 0"),
        ("contextual", 2, 5, {"features": 1}, "use features >= 2"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_way_out(
    name: str, K: int, T: int, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        environments.make(name, K, T, options)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_alternatives_are_multiplied_out_in_the_order_written() -> None:
    problem = Problem(
        environment="bandit",
        K=(2, 3),
        T=(5, 10),
        options={"reward": ["gaussian", "bernoulli"], "gap": [0.2]},
    )
    assert [p.label for p in environments.expand([problem])] == [
        f"bandit {reward} K={K} T={T} gap=0.2"
        for K in (2, 3)
        for T in (5, 10)
        for reward in ("gaussian", "bernoulli")
    ]


def test_a_label_is_short_and_tells_the_options() -> None:
    plain = ConcreteProblem("bandit", 3, 25, {"reward": "bernoulli"})
    assert plain.label == "bandit bernoulli K=3 T=25"
    full = ConcreteProblem("bandit", 2, 5, {"clip": False, "means": [0.1, 0.2]})
    assert full.label == "bandit K=2 T=5 clip=false means=[0.1,0.2]"


def test_expanding_checks_every_combination_before_anything_is_played() -> None:
    problem = Problem(environment="bandit", K=(5, 3), options={"instance": ["hard"]})
    with pytest.raises(ConfigError, match="has K=5, not 3"):
        environments.expand([problem])


def test_an_empty_list_of_alternatives_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"reward = \[\] leaves no alternative"):
        environments.expand([Problem(environment="bandit", options={"reward": []})])


@given(index=st.integers(0, 50), seed=st.integers(0, 2**31))
def test_a_scenario_depends_on_its_address_alone(index: int, seed: int) -> None:
    problems = environments.expand([Problem(environment="bandit", K=(2, 3), T=4)])
    first = environments.draw(problems, seed, "train", 1, index)
    for other in range(3):
        environments.draw(problems, seed, "train", 1, other)
    again = environments.draw(problems, seed, "train", 1, index)
    assert np.array_equal(first.rewards, again.rewards)
    assert first.K == problems[index % 2].K


@pytest.mark.parametrize(
    ("seed", "split", "iteration", "index"),
    [(1, "train", 0, 0), (0, "test", 0, 0), (0, "train", 1, 0), (0, "train", 0, 2)],
)
def test_every_part_of_the_address_counts(
    seed: int, split: Split, iteration: int, index: int
) -> None:
    problems = environments.expand([Problem(environment="bandit", K=3, T=30)])
    here = environments.draw(problems, 0, "train", 0, 0)
    there = environments.draw(problems, seed, split, iteration, index)
    assert not np.array_equal(here.means, there.means)


class Leaky:
    """Draws what cannot be played."""

    def __init__(self, K: int, T: int, fault: str) -> None:
        self.shape = (T, K)
        self.fault = fault

    def draw(self, rng: np.random.Generator) -> Scenario:
        table = rng.random(self.shape)
        if self.fault == "nan":
            table[1, 0] = np.nan
        if self.fault == "shape":
            table = table[:-1]
        return Scenario(table, table, feedback="full", regret="static")


@pytest.mark.parametrize(
    ("fault", "message"),
    [("nan", r"rewards\[1, 0\] is nan; rewards must be finite"), ("shape", "came as T=2, K=2")],
)
def test_a_table_that_cannot_be_played_is_refused_with_its_place(
    plugins: dict[str, object], fault: str, message: str
) -> None:
    plugins["leaky"] = Leaky
    with pytest.raises(DataError, match=f"leaky {fault} K=2 T=3: train scenario 4: {message}"):
        environments.draw([ConcreteProblem("leaky", 2, 3, {"fault": fault})], 0, "train", 0, 4)


def test_the_contract_catches_an_environment_with_chance_of_its_own() -> None:
    class Stubborn(EnvironmentContract):
        def make(self, K: int, T: int) -> Environment:
            return SimpleNamespace(draw=lambda rng: Harbour(K, T).draw(np.random.default_rng()))  # pyright: ignore[reportReturnType,reportUnknownLambdaType]

    with pytest.raises(AssertionError, match="take all chance from `rng`"):
        Stubborn().test_one_stream_gives_one_scenario()


def test_the_contract_catches_means_that_rewards_do_not_have() -> None:
    class Optimist(EnvironmentContract):
        def make(self, K: int, T: int) -> Environment:
            def draw(rng: np.random.Generator) -> Scenario:
                return dataclasses.replace(Harbour(K, T).draw(rng), means=np.full((T, K), 0.9))

            return SimpleNamespace(draw=draw)  # pyright: ignore[reportReturnType]

    with pytest.raises(AssertionError, match="do not average"):
        Optimist().test_rewards_average_to_their_means()
