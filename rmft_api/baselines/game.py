"""N trajectories played side by side, each on its scenario's own table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.environments.scenario import Adversary, Scenario
from rmft_api.selection.regret import Floats, Ints, PlayArrays, one_hot

Needs = Literal["bandit", "full", "features"]
"""What an algorithm needs: its own rewards, all of them, or contexts as numbers."""
ACTING = 4095
"""The lane of chance that turns a distribution into an action; no player draws from it."""


@dataclass(frozen=True, eq=False)
class GameInfo:
    """What a player may know before it plays: sizes, its own chance, and published facts."""

    N: int
    T: int
    K: int
    chance: RandomStreams
    binary: bool
    """Rewards are 0 or 1."""
    switches_N: Floats
    """How often the best action changes, at least 1: tunes windows and discounts."""
    segments_N: Floats
    """In how many stretches of rounds the best action stays the same, as far as is known."""
    variation_N: Floats
    """V_T, the variation budget: tunes restarts."""
    features_TNd: Floats | None
    """The contexts as numbers."""


class Algorithm:
    """An algorithm on N trajectories: overrides `choose` or `mix`, and what it learns from."""

    def choose(self, t: int) -> Ints:
        """Round t (from 0): N actions."""
        raise NotImplementedError(f"{type(self).__name__} neither chooses nor mixes")

    def mix(self, t: int) -> Floats | None:
        """Round t (from 0): N x K distributions to draw the actions from; None to choose."""
        return None

    def learn(self, t: int, actions_N: Ints, earned_N: Floats) -> None:
        """What a bandit sees: the chosen action's reward."""

    def learn_all(self, t: int, faced_NK: Floats) -> None:
        """What full information shows: all K rewards."""


def table(scenarios: Sequence[Scenario], chance: RandomStreams) -> GameInfo:
    """The table of scenarios of one shape."""
    first = scenarios[0]
    return GameInfo(
        N=len(scenarios),
        T=first.T,
        K=first.K,
        chance=chance,
        binary=is_binary(first),
        switches_N=np.array([max(1.0, s.facts.get("switches", 1.0)) for s in scenarios]),
        segments_N=np.array([1.0 + s.facts.get("switches", 0.0) for s in scenarios]),
        variation_N=np.array([s.facts.get("V_T", 0.0) for s in scenarios]),
        features_TNd=_features(scenarios),
    )


def run(player: Algorithm, scenarios: Sequence[Scenario], known: GameInfo) -> list[PlayArrays]:
    """Play all rounds. The scenarios have one shape, and one kind of adversary or none."""
    faced_TNK = np.stack([s.rewards for s in scenarios], axis=1)
    actions_TN = np.empty((known.T, known.N), dtype=np.int64)
    mixed_TNK: Floats | None = None
    face = _face(scenarios)
    rows_N = np.arange(known.N)
    for t in range(known.T):
        mixed_NK = player.mix(t)
        if mixed_NK is None:
            actions_TN[t] = player.choose(t)
        else:
            actions_TN[t] = _sampled(mixed_NK, known.chance, t)
            mixed_TNK = np.empty_like(faced_TNK) if mixed_TNK is None else mixed_TNK
            mixed_TNK[t] = mixed_NK
        if face is not None:
            policies_NK = one_hot(actions_TN[t], known.K) if mixed_NK is None else mixed_NK
            faced_TNK[t] = face(t, policies_NK, faced_TNK[t])
        player.learn(t, actions_TN[t], faced_TNK[t, rows_N, actions_TN[t]])
        player.learn_all(t, faced_TNK[t])
    policies_TNK = one_hot(actions_TN, known.K) if mixed_TNK is None else mixed_TNK
    return [
        PlayArrays(
            faced_TNK[:, n],
            faced_TNK[:, n] if scenario.adversary else scenario.means,
            actions_TN[:, n],
            policies_TNK[:, n],
        )
        for n, scenario in enumerate(scenarios)
    ]


def is_binary(scenario: Scenario) -> bool:
    """Whether its rewards are coins."""
    return bool(((scenario.rewards == 0.0) | (scenario.rewards == 1.0)).all())


def _sampled(policies_NK: Floats, chance: RandomStreams, t: int) -> Ints:
    u_N1 = chance.uniform(t, 1, lane=ACTING)
    return (policies_NK[:, :-1].cumsum(axis=1) <= u_N1).sum(axis=1)


def _face(scenarios: Sequence[Scenario]) -> Adversary | None:
    """How N policies are answered; None for tables that stand whatever is played."""
    adversary = scenarios[0].adversary
    if adversary is None:
        return None
    if getattr(adversary, "on_batches", False):
        return adversary

    def one_by_one(t: int, policy: Floats, row: Floats) -> Floats:
        pairs = zip(scenarios, policy, strict=True)
        return np.stack([scenario.face(t, policy_K) for scenario, policy_K in pairs])

    return one_by_one


def _features(scenarios: Sequence[Scenario]) -> Floats | None:
    features = [s.features for s in scenarios if s.features is not None]
    return np.stack(features, axis=1) if len(features) == len(scenarios) else None
