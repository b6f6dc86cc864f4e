"""What known algorithms do after rounds that somebody else played, as in a log."""

from collections.abc import Sequence

import numpy as np

from rmft_api.baselines.game import table
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.baselines.registry import BASELINES, CELLS
from rmft_api.environments.scenario import Scenario
from rmft_api.selection.regret import Floats, Ints, one_hot

OF_ANY_HISTORY = ("greedy", "ucb1", "thompson", "linucb", "lin_thompson")
"""Those that learn the same from actions which they did not choose. EXP3 and its kin weigh
a reward by their own probability of the action, and so do not."""


def after_history(
    name: str, scenarios: Sequence[Scenario], actions_NT: Ints, earned_NT: Floats, seed: int
) -> Floats:
    """N x K: what the baseline does in the last round of each scenario, all of one shape.

    In the rounds before, axis T, it gets the given actions and what they earned. Where it draws
    its action, that is one draw, at the address (seed, name, place in `scenarios`).
    """
    size = max(1, CELLS // (scenarios[0].T * scenarios[0].K * 8))
    parts = [
        _of_some(
            name,
            scenarios,
            range(start, min(start + size, len(scenarios))),
            actions_NT,
            earned_NT,
            seed,
        )
        for start in range(0, len(scenarios), size)
    ]
    return np.concatenate(parts)


def _of_some(
    name: str,
    scenarios: Sequence[Scenario],
    places: range,
    actions_NT: Ints,
    earned_NT: Floats,
    seed: int,
) -> Floats:
    some = [scenarios[place] for place in places]
    player = BASELINES[name].make(table(some, RandomStreams(seed, name, places)))
    chosen = slice(places.start, places.stop)
    last = some[0].T - 1
    for t in range(last):
        if player.mix(t) is None:
            player.choose(t)
        player.learn(t, actions_NT[chosen, t], earned_NT[chosen, t])
    mixed_NK = player.mix(last)
    return one_hot(player.choose(last), some[0].K) if mixed_NK is None else mixed_NK
