"""A play that says nothing never has less regret than one that can be read.

Real rollouts, so that every output and both settings of `unreadable` are met as a run meets them.
"""

import asyncio
import functools
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api import baselines, environments
from rmft_api.core.errors import DataError
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    RegretKind,
    Round,
    Sampling,
)
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.environments.scenario import Adversary, Extremes
from rmft_api.prompts import reader
from rmft_api.rollouts import engine
from rmft_api.rollouts.engine import Output, PreparedScenario, RolloutSettings
from rmft_api.selection import regret
from rmft_api.selection.regret import Floats

T, K = 6, 3
NAMES = ("red", "blue", "green")
ROUNDING = 1e-9
Unreadable = Literal["worst", "end"]
Policy = Callable[[int, Scenario], Sequence[float]]
"""(round from 0, what is played) -> K probabilities."""


def punished(pays: Callable[[Floats, Floats], Floats]) -> Adversary:
    """An adversary of one's own, which answers by policy and row."""

    def answer(t: int, policy: Floats, row: Floats) -> Floats:
        return pays(policy, row)

    return answer


@dataclass
class Inverting:
    """Pays less than nothing, and says how much that is."""

    def __call__(self, t: int, policy: Floats, row: Floats) -> Floats:
        return row - 3.0 * policy

    def extremes(self, t: int, row: Floats) -> Extremes:
        return Extremes(row, float(row.min()) - 3.0)


ADVERSARIES: Mapping[str, Adversary] = {
    "zeroes the likely": punished(lambda policy, row: np.where(policy > 1 / K, 0.0, row)),
    "pays the unlikely": punished(lambda policy, row: 1.0 - policy),
    "pays the likely": punished(lambda policy, row: policy / policy.max()),
    "punishes the even": punished(lambda policy, row: row * policy.max()),
    "below nothing": Inverting(),
}
BUILT_IN: Mapping[str, Sequence[Mapping[str, object]]] = {
    "bandit": [{"reward": "bernoulli"}, {"reward": "gaussian", "clip": False}, {"gap": 0.2}],
    "nonstationary": [{"process": "abrupt"}, {"process": "sine", "reward": "gaussian"}],
    "contextual": [{}],
    "online_learning": [
        {"process": process}
        for process in ("gaussian", "bernoulli", "alternating", "sine", "rotating", "adaptive")
    ],
    "table": [{}, {"features": "age"}, {"order": "file"}, {"feedback": "full"}],
    "gym": [{"id": "FrozenLake-v1"}],
}
PROBLEMS = [
    *((name, dict(options)) for name, several in BUILT_IN.items() for options in several),
    *(
        ("own", {"adversary": name, "regret": r})
        for name in ADVERSARIES
        for r in ("static", "dynamic")
    ),
]


@functools.cache
def scenario_of(name: str, options: tuple[tuple[str, str], ...], seed: int, log: str) -> Scenario:
    given = dict(options)
    if name == "own":
        table = np.random.default_rng(seed).random((T, K))
        kind: RegretKind = "static" if given["regret"] == "static" else "dynamic"
        own = Scenario(table, table, "full", kind, adversary=ADVERSARIES[given["adversary"]])
        return own.in_order(np.random.default_rng(seed).permutation(K).tolist())
    if name == "table":
        given["path"] = log
    return environments.draw([ConcreteProblem(name, K, T, given)], seed, "test", 0, 0)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("logs") / "log.csv"
    rng = np.random.default_rng(3)
    lines = [f"{int(rng.integers(9))},{','.join(map(str, rng.random(K)))}" for _ in range(20)]
    path.write_text("\n".join(["age,reward_a,reward_b,reward_c", *lines]))
    return str(path)


class Teller:
    """Tells nothing: the models of this test know what they do."""

    def show_in(self, order: tuple[int, ...]) -> None:
        """One order is enough here."""

    def messages(self) -> tuple[Message, ...]:
        return (Message("user", "on"),)

    new_messages = messages

    def stats(self) -> None:
        return None

    def observe(self, reply: str, action: int | None, rewards: tuple[float, ...]) -> None:
        pass


@dataclass
class Playing:
    """A `ports.ChatModel` that plays a policy, and says nothing from round `silent` on."""

    scenario: Scenario
    policy: Policy
    output: Output
    silent: int

    async def reply(self, request: ChatRequest) -> ChatResponse:
        t = int(request.key.rpartition("/")[2])
        said = self._said(t) if t < self.silent else "?"
        return ChatResponse("r", request.model, (Choice(said, "stop"),), None)

    def _said(self, t: int) -> str:
        policy = self.policy(t, self.scenario)
        if self.output == "action":
            return reader.render_action(int(np.argmax(policy)), NAMES)
        if self.output == "distribution":
            return reader.render_distribution(policy, NAMES)
        return reader.render_policy(policy)


@dataclass
class Outcome:
    """All that is told of one play."""

    rounds: tuple[Round, ...] = ()
    figures: dict[str, float] = field(default_factory=dict[str, float])


def play(playing: Playing, unreadable: Unreadable) -> Outcome:
    found = Outcome()
    game = RolloutSettings("test", 0, "m", 7, 1, Sampling(), playing.output, unreadable=unreadable)

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        found.rounds = finished[0].whole().rounds

    asyncio.run(
        engine.play(game, [PreparedScenario(0, playing.scenario, NAMES, Teller)], playing, save)
    )
    whole = regret.play_in(playing.scenario, found.rounds)
    found.figures = {
        **msgspec.structs.asdict(regret.regrets(whole)),
        **{f"{k} by round": float(regret.per_round(whole, k).sum()) for k in KINDS},
        **{f"{k} curve": float(regret.regret_curve(whole, k)[-1]) for k in KINDS},
        "reward lost": -float(regret.earned_T(whole).sum()),
    }
    return found


KINDS: tuple[RegretKind, ...] = ("static", "pseudo", "dynamic")


def fixed(by: Callable[[Floats], np.int64]) -> Policy:
    def policy(t: int, scenario: Scenario) -> Sequence[float]:
        return np.eye(K)[by(scenario.rewards.sum(axis=0))].tolist()

    return policy


def hedged(t: int, scenario: Scenario) -> Sequence[float]:
    weights = np.exp(2.0 * scenario.rewards[:t].sum(axis=0))
    return (weights / weights.sum()).tolist()


def worst_of_round(t: int, scenario: Scenario) -> Sequence[float]:
    """The certain action that loses most against what the round then pays."""
    lost = [
        scenario.face(t, one).max() - scenario.face(t, one)[a] for a, one in enumerate(np.eye(K))
    ]
    return np.eye(K)[int(np.argmax(lost))].tolist()


def drawn(seed: int, certain: bool) -> Policy:
    def policy(t: int, scenario: Scenario) -> Sequence[float]:
        rng = np.random.default_rng([seed, t])
        mix = rng.dirichlet(np.full(K, 0.5))
        return np.eye(K)[rng.integers(K)].tolist() if certain else mix.tolist()

    return policy


POLICIES: Mapping[str, Policy] = {
    "best fixed": fixed(np.argmax),
    "worst fixed": fixed(np.argmin),
    "even": lambda t, scenario: [1 / K] * K,
    "hedge": hedged,
    "worst of each round": worst_of_round,
}
policies = st.sampled_from(sorted(POLICIES)).map(POLICIES.__getitem__) | st.builds(
    drawn, st.integers(0, 10_000), st.booleans()
)


@pytest.mark.parametrize(("name", "options"), PROBLEMS, ids=str)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    output=st.sampled_from(["action", "distribution", "policy"]),
    unreadable=st.sampled_from(["worst", "end"]),
    silent=st.integers(0, T - 1),
    before=policies,
    after=policies,
)
def test_an_unreadable_play_never_has_less_regret_than_a_readable_one(
    name: str,
    options: Mapping[str, str],
    seed: int,
    output: Output,
    unreadable: Unreadable,
    silent: int,
    before: Policy,
    after: Policy,
    log: str,
) -> None:
    if name == "gym" and importlib.util.find_spec("gymnasium") is None:
        pytest.skip("gymnasium is not installed")
    scenario = scenario_of(name, tuple(options.items()), seed, log)
    both: Policy = lambda t, scenario: (before if t < silent else after)(t, scenario)  # noqa: E731
    read = Playing(scenario, both, output, silent=T)
    readable = play(read, unreadable)
    mute = play(replace(read, silent=silent), unreadable)
    never = play(replace(read, silent=0), unreadable)
    assert len(mute.rounds) == (silent + 1 if unreadable == "end" else T)
    for figure, value in readable.figures.items():
        assert mute.figures[figure] >= value - ROUNDING, figure
        assert never.figures[figure] >= mute.figures[figure] - ROUNDING, figure


@pytest.mark.parametrize("unreadable", ["worst", "end"])
def test_silence_against_the_adaptive_adversary_costs_what_the_worst_play_costs(
    unreadable: Unreadable,
) -> None:
    scenario = scenario_of("online_learning", (("process", "adaptive"),), 1, "")
    best = int(scenario.rewards.sum(axis=0).argmax())
    foolish = np.eye(K)[(best + 1) % K].tolist()
    worst = play(Playing(scenario, lambda t, _: foolish, "policy", T), unreadable)
    silent = play(Playing(scenario, lambda t, _: foolish, "policy", 0), unreadable)
    assert silent.figures["static_expected"] == pytest.approx(worst.figures["static_expected"])
    (hedge,) = baselines.play("hedge", [scenario], 1)
    assert silent.figures["static_expected"] > 2 * regret.regrets(hedge).static_expected


def test_both_settings_of_unreadable_cost_the_same_once_nothing_is_read() -> None:
    for seed in range(5):
        scenario = scenario_of("online_learning", (("process", "adaptive"),), seed, "")
        mute = Playing(scenario, hedged, "policy", 2)
        assert play(mute, "worst").figures == pytest.approx(play(mute, "end").figures)


@pytest.mark.parametrize("answer", [np.nan, np.inf, -0.5, 1.5])
def test_an_adversary_that_pays_what_nobody_said_is_refused_in_one_line(answer: float) -> None:
    table = np.full((T, K), 0.5)
    adversary = punished(lambda policy, row: np.full(K, answer))
    scenario = Scenario(table, table, "full", "static", adversary=adversary)
    with pytest.raises(DataError, match=r"round 1: 3 rewards from 0 to 1 .*extremes"):
        play(Playing(scenario, hedged, "policy", T), "worst")
