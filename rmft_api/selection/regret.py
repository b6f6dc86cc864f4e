"""Regret of a trajectory: every form of docs/method.md 2, from tables and choices alone. Pure.

All functions but `score` and `play_of` take any leading axes: `PlayArrays` of T x K tables is one
trajectory, one of N x T x K tables is N of them, worked on at once.

A round whose reply could not be read, or that was not played any more, counts as the worst that the
round could do (docs/method.md 2). In a table that is the smallest entry of the row that the form in
question looks at. Against an adversary the comparator is paid the most, and the player the least,
that any policy could have brought about. So an unreadable reply never pays, in any form.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmft_api.core.records import Address, RegretKind, Regrets, Round, Scored
from rmft_api.environments.scenario import Scenario
from rmft_api.environments.worlds import World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROUNDING = 1e-9
UNREAD = -1
"""The action of a round whose reply could not be read."""


class PlayArrays(NamedTuple):
    """What was faced and what was done. Built by `play_of`, or by `baselines`."""

    rewards_TK: Floats
    """The rewards faced, an adversary's answers included."""
    means_TK: Floats
    """Their means; `rewards_TK` itself where nothing is chance."""
    actions_T: Ints
    """The actions executed, UNREAD where there was none."""
    policies_TK: Floats
    """The distributions acted from; a row of NaN where there was none."""
    least_T: Floats = np.array([np.inf])
    """The least that an adversary lets a round without a policy earn; infinite: the row says it."""
    reference_T: Floats = np.array([np.inf])
    """With state: what the reference earns, round by round; infinite: the rows say what is best."""


def play_in(scenario: Scenario, rounds: Sequence[Round]) -> PlayArrays:
    """A trajectory's rounds as arrays; those without a policy as the scenario's extremes."""
    if scenario.world is not None:
        return play_in_world(scenario.world, [played.action for played in rounds])
    adversary = scenario.adversary is not None
    play = play_of(rounds, scenario.rewards, None if adversary else scenario.means)
    unread = np.flatnonzero(play.actions_T == UNREAD).tolist()
    if not adversary or not unread:
        return play
    least_T = np.full(scenario.T, np.inf)
    for t in unread:
        play.rewards_TK[t], least_T[t] = scenario.extremes(t)  # the means are the same array
    return play._replace(least_T=least_T)


def play_in_world(world: World, actions: Sequence[int | None]) -> PlayArrays:
    """The play of these actions. The world is played again: equal actions meet equal chance."""
    rewards_TK, worth_TK, reference_T = world.replay(actions)
    actions_T = np.full(world.T, UNREAD, dtype=np.int64)
    actions_T[: len(actions)] = [UNREAD if action is None else action for action in actions]
    policies_TK = one_hot(actions_T, world.K)
    return PlayArrays(rewards_TK, worth_TK, actions_T, policies_TK, reference_T=reference_T)


def play_of(rounds: Sequence[Round], rewards_TK: Floats, means_TK: Floats | None) -> PlayArrays:
    """A trajectory's rounds as arrays, where no adversary answers rounds without a policy.

    `rewards_TK` is the scenario's table; each round's own rewards stand over it (an adversary), and
    rounds that were not played any more count as unread. `means_TK` is None where the rewards faced
    are their own means: an adversary, or a sequence without chance.
    """
    faced_TK = rewards_TK.copy()
    actions_T = np.full(len(rewards_TK), UNREAD, dtype=np.int64)
    policies_TK = np.full(rewards_TK.shape, np.nan)
    if rounds:
        t = len(rounds)
        faced_TK[:t] = [played.rewards for played in rounds]
        actions_T[:t] = [UNREAD if played.action is None else played.action for played in rounds]
        policies_TK[:t] = [_policy(played) for played in rounds]
    return PlayArrays(faced_TK, faced_TK if means_TK is None else means_TK, actions_T, policies_TK)


def stack(plays: Sequence[PlayArrays]) -> PlayArrays:
    """N plays of one shape as one, with a leading axis."""
    T = plays[0].actions_T.shape[-1]
    *same, least, reference = zip(*plays, strict=True)
    widened = (_each_round(rows, T) for rows in (least, reference))
    return PlayArrays(*(np.stack(arrays) for arrays in same), *widened)


def _each_round(rows: Sequence[Floats], T: int) -> Floats:
    """A row for each play; one figure alone stands for all T rounds."""
    if all(len(row) == 1 for row in rows):
        return np.broadcast_to(np.stack(rows), (len(rows), T))
    return np.stack([np.broadcast_to(row, (T,)) for row in rows])


def _policy(played: Round) -> tuple[float, ...]:
    if played.action is None:
        return (math.nan,) * len(played.rewards)
    return played.policy or tuple([float(a == played.action) for a in range(len(played.rewards))])


def one_hot(actions: Any, K: int) -> Floats:
    """Certain policies: actions ... -> ... x K. UNREAD becomes NaN."""
    indices = np.asarray(actions)[..., None]
    return np.where(indices == UNREAD, np.nan, (np.arange(K) == indices).astype(np.float64))


def regrets(play: PlayArrays) -> Regrets:
    """All forms of one play's regret.

    static_expected: best fixed action in hindsight less <policy, rewards>. static_realised and
    hindsight: the same less the executed actions' rewards (one figure under FOL's name and MAB's).
    pseudo: best fixed mean less the executed actions' means. realised: best fixed mean less rewards
    earned. dynamic: best mean of each round less the executed actions' means.
    """
    return Regrets(**{form: float(values) for form, values in _forms(play).items()})


def regrets_N(plays: PlayArrays) -> dict[str, Floats]:
    """All forms of N plays' regrets: name of the `Regrets` field -> N figures."""
    return _forms(plays)


def _forms(play: PlayArrays) -> dict[str, Floats]:
    if np.isfinite(play.reference_T).all():
        return _forms_to_reference(play)
    best = play.rewards_TK.sum(axis=-2).max(axis=-1)
    best_mean = play.means_TK.sum(axis=-2).max(axis=-1)
    earned = earned_T(play).sum(axis=-1)
    earned_mean = _taken(play.means_TK, play).sum(axis=-1)
    return {
        "static_expected": best - _expected(play).sum(axis=-1),
        "static_realised": best - earned,
        "pseudo": best_mean - earned_mean,
        "realised": best_mean - earned,
        "hindsight": best - earned,
        "dynamic": play.means_TK.max(axis=-1).sum(axis=-1) - earned_mean,
    }


def _forms_to_reference(play: PlayArrays) -> dict[str, Floats]:
    """With state there is one comparator: by what actions were worth, and by what they earned."""
    best = play.reference_T.sum(axis=-1)
    worth = best - _taken(play.means_TK, play).sum(axis=-1)
    realised = best - earned_T(play).sum(axis=-1)
    names = ("static_expected", "static_realised", "realised", "hindsight")
    return {**dict.fromkeys(names, realised), "pseudo": worth, "dynamic": worth}


def earned_T(play: PlayArrays) -> Floats:
    """The rewards of the executed actions, round by round."""
    return _taken(play.rewards_TK, play)


def per_round(play: PlayArrays, kind: RegretKind) -> Floats:
    """The headline regret (`Scored.regret`), round by round: T figures that sum to it.

    Static and pseudo regret compare with the best fixed action of the whole play. In a table whose
    rounds are alike, uniform play then costs the same in every round on average: what the tests of
    `statistics` rely on.
    """
    if kind == "static":
        return _best_fixed(play.rewards_TK) - _expected(play)
    taken = _taken(play.means_TK, play)
    if kind == "reference":
        return play.reference_T - taken
    if kind == "pseudo":
        return _best_fixed(play.means_TK) - taken
    return play.means_TK.max(axis=-1) - taken


def least_regret(play: PlayArrays, kind: RegretKind) -> Floats:
    """What the best choice in every single round would have cost: no play has less regret.

    0, or below it where the comparator is one fixed action and the best one moves. For tables: with
    state it is 0 where the reference is the optimum (`World.is_exact`), else not known.
    """
    best_T = play.rewards_TK if kind == "static" else play.means_TK
    if kind == "dynamic":
        return np.zeros(best_T.shape[:-2])
    least: Floats = best_T.sum(axis=-2).max(axis=-1) - best_T.max(axis=-1).sum(axis=-1)
    return np.where(least > -_ROUNDING, 0.0, least)


def regret_curve(play: PlayArrays, kind: RegretKind) -> Floats:
    """Regret(t) for t = 1..T, had the play ended there: the comparator too knows t rounds only."""
    if kind == "static":
        best = play.rewards_TK.cumsum(axis=-2).max(axis=-1)
        return best - _expected(play).cumsum(axis=-1)
    if kind == "pseudo":
        best = play.means_TK.cumsum(axis=-2).max(axis=-1)
        return best - _taken(play.means_TK, play).cumsum(axis=-1)
    return per_round(play, kind).cumsum(axis=-1)


def score(address: Address, kind: RegretKind, play: PlayArrays) -> Scored:
    """All that ranking needs to know of one trajectory."""
    K = play.rewards_TK.shape[-1]
    read = play.actions_T != UNREAD
    return Scored(
        address=address,
        kind=kind,
        regrets=regrets(play),
        reward=float(earned_T(play).mean()),
        pulls=tuple(np.bincount(play.actions_T[read], minlength=K).tolist()),
        valid=float(read.mean()),
    )


def _best_fixed(table_TK: Floats) -> Floats:
    """The entries, round by round, of the action with the largest sum."""
    best: Ints = table_TK.sum(axis=-2, keepdims=True).argmax(axis=-1, keepdims=True)
    entries: Floats = np.take_along_axis(table_TK, best, axis=-1)
    return entries[..., 0]


def _taken(table_TK: Floats, play: PlayArrays) -> Floats:
    flat: Floats = table_TK.reshape(-1)
    rows = np.arange(play.actions_T.size).reshape(play.actions_T.shape) * table_TK.shape[-1]
    return _or_worst(flat[rows + play.actions_T], table_TK, play)


def _expected(play: PlayArrays) -> Floats:
    expected_T: Floats = (play.policies_TK * play.rewards_TK).sum(axis=-1)
    return _or_worst(expected_T, play.rewards_TK, play)


def _or_worst(earned_T: Floats, table_TK: Floats, play: PlayArrays) -> Floats:
    """What was earned; where the reply could not be read, the least that could be."""
    unread_T = play.actions_T == UNREAD
    if not unread_T.any():
        return earned_T
    return np.where(unread_T, np.minimum(table_TK.min(axis=-1), play.least_T), earned_T)
