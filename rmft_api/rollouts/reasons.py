"""Hand-written reasoning: a template that states, round by round, what the rounds before showed.

One of the two prior routes that the method is compared with (docs/method.md 1): a teacher says it,
or it stands in the place of what a model itself thought.
"""

from collections.abc import Sequence

import numpy as np

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Round, Trajectory
from rmft_api.environments.scenario import Floats
from rmft_api.prompts.reasons import reason
from rmft_api.prompts.templates import Template
from rmft_api.rollouts import preparation


class Reasons:
    """The template's words for every round that a model played to learn from."""

    def __init__(self, config: RunConfig, template: Template) -> None:
        self._config, self._template = config, template
        self._full: dict[int, tuple[bool, ...]] = {}

    def __call__(self, trajectory: Trajectory, t: int) -> str:
        """What is put in the place of the reasoning of round `t` (from 0)."""
        before = trajectory.rounds[:t]
        K = len(trajectory.names)
        rewards_tK = np.array([round.rewards for round in before]).reshape(t, K)
        shown_tK = np.ones((t, K)) if self._is_full(trajectory) else _chosen(before, K)
        action = trajectory.rounds[t].action
        assert action is not None  # only rounds that were read are learnt from
        return reason(self._template, trajectory.names, rewards_tK, shown_tK, action)

    def _is_full(self, trajectory: Trajectory) -> bool:
        """Whether all rewards were shown."""
        at = trajectory.address
        if at.iteration not in self._full:
            drawn = preparation.scenarios(self._config, "train", at.iteration)
            self._full[at.iteration] = tuple(scenario.feedback == "full" for scenario in drawn)
        return self._full[at.iteration][at.scenario]


def _chosen(rounds: Sequence[Round], K: int) -> Floats:
    actions = [-1 if round.action is None else round.action for round in rounds]
    return (np.array(actions, dtype=np.int64)[:, None] == np.arange(K)).astype(np.float64)
