"""The warm-up: balanced random play, from which a base learns the FORM of an answer.

No model is asked for it. In every round each action is taken equally often over all trajectories,
and what a trajectory takes does not depend on its history: so there is no skill in it to be learnt,
not even "try what was tried least" (docs/method.md 1).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rmft_api.config.schema import RunConfig, TeacherConfig, WarmUpConfig
from rmft_api.core import seeds
from rmft_api.core.answer_forms import kind_of
from rmft_api.core.records import Record
from rmft_api.environments.scenario import Scenario
from rmft_api.prompts import PromptSet, reader
from rmft_api.prompts.templates import Template
from rmft_api.rollouts import engine
from rmft_api.rollouts.engine import PreparedScenario
from rmft_api.rollouts.teacher import Teacher
from rmft_api.selection.regret import Floats, Ints, PlayArrays

ITERATION = 0
"""Of its trajectories (split "train") and its job: the model after it is iteration 0."""
BEFORE = -1
"""Of what the base itself plays (split "validation"), before anything is taught."""
PLAYER = "random play"
"""Who plays it: what stands in the place of a model's id."""
KIND = "warm_up"
"""What the journal keeps of it."""
_HUNDREDTHS = 100


class WarmUpData(Record, frozen=True):
    """What a base was warmed up with."""

    trajectories: int
    examples: int
    reasons: bool
    """Whether the set's hand-written reasoning stands before each answer."""


def settings(config: RunConfig) -> RunConfig:
    """The run as its warm-up is played and trained: a training split of its own, all of it kept."""
    wanted = config.warm_up or WarmUpConfig()
    rollouts = {
        "scenarios": wanted.scenarios,
        "trajectories": wanted.trajectories,
        "problems": wanted.problems or config.rollouts.problems,
        "min_valid": 0.0,
        "coalesce": False,
    }
    finetuning = {"method": "supervised", "chain": "continue", **_hyperparameters(wanted)}
    return config.model_copy(
        update={
            "rollouts": config.rollouts.model_copy(update=rollouts),
            "selection": config.selection.model_copy(update={"k": wanted.trajectories}),
            "finetuning": config.finetuning.model_copy(update=finetuning),
            "teacher": None,
        }
    )


def of_iteration(config: RunConfig, split: str, iteration: int) -> RunConfig:
    """The settings that trajectories of this split and iteration were played with."""
    return settings(config) if split == "train" and iteration == ITERATION else config


def _hyperparameters(wanted: WarmUpConfig) -> dict[str, int | float | None]:
    """What [warm_up] sets of its job; one kind of rate takes the place of the other."""
    rates = ("learning_rate_multiplier", "learning_rate")
    names = ["n_epochs", "batch_size"]
    found = {name: getattr(wanted, name) for name in names if getattr(wanted, name) is not None}
    if any(getattr(wanted, name) is not None for name in rates):
        found |= {name: getattr(wanted, name) for name in rates}
    return found


@dataclass
class RandomPlayer(Teacher):
    """A `ports.ChatModel` that plays the warm-up at random, in the form that the run asks for."""

    @classmethod
    def of(cls, config: RunConfig, prompts: PromptSet) -> "RandomPlayer":
        """The player for `settings(config)`."""
        return cls(config, TeacherConfig(algorithm="random"), prompts, ITERATION)

    @property
    def plays(self) -> list[PlayArrays]:
        """Every trajectory, scenario by scenario."""
        return self._plays

    @property
    def gives_reasons(self) -> bool:
        """Whether reasoning stands before its answers."""
        return self._template() is not None

    def _template(self) -> Template | None:
        """The set's own, wherever the prompts ask for reasoning."""
        if self.config.prompts.reasoning == "none":
            return self.prompts.reasons
        return self.prompts.hand_written_reasons()

    def _played(self) -> list[PlayArrays]:
        L, output = self.config.rollouts.trajectories, self.config.prompts.answer_form
        prepared = [(one, number) for one in self._scenarios for number in range(L)]
        chosen = balanced([one.scenario for one, _ in prepared], self.config.seed)
        return [
            _faced(one, list(self._acted(one, number, actions_T, output)))
            for (one, number), actions_T in zip(prepared, chosen, strict=True)
        ]

    def _acted(
        self, prepared: PreparedScenario, number: int, chosen_T: Ints, output: engine.Output
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Each round's action, and the policy as it will be read."""
        for t, chosen in enumerate(chosen_T.tolist()):
            place = ("train", ITERATION, prepared.index, number, t)
            if kind_of(output) == "action":
                yield chosen, tuple(np.eye(prepared.scenario.K)[chosen].tolist())
                continue
            policy = _mixed(chosen, prepared.scenario.K, seeds.rng(self.config.seed, "mix", *place))
            text = reader.render(chosen, policy, prepared.names, output)
            read = reader.read(text, "stop", None, prepared.names, output)
            assert not isinstance(read, reader.UnreadableReply)
            yield engine.acted(self.config.seed, place, read.policy), read.policy

    def _answer(self, prepared: PreparedScenario, play: PlayArrays, t: int, why: str) -> str:
        shares: list[float] = play.policies_TK[t].tolist()
        policy = [round(share, 2) for share in shares]
        form = self.config.prompts.answer_form
        return reader.render(int(play.actions_T[t]), policy, prepared.names, form, why)


def balanced(scenarios: Sequence[Scenario], seed: int) -> list[Ints]:
    """An action for every round of every play: drawn evenly, whatever the history.

    In each round the plays of one K share the actions out in a random order, so that an action is
    taken as often as any other, up to one.
    """
    actions = [np.zeros(scenario.T, dtype=np.int64) for scenario in scenarios]
    for K in sorted({scenario.K for scenario in scenarios}):
        mine = [place for place, scenario in enumerate(scenarios) if scenario.K == K]
        dealt = 0
        for t in range(max(scenarios[place].T for place in mine)):
            going = [place for place in mine if t < scenarios[place].T]
            order = seeds.rng(seed, "warm-up", K, t).permutation(len(going))
            for place, turn in zip(going, order.tolist(), strict=True):
                actions[place][t] = (dealt + turn) % K
            dealt += len(going)
    return actions


def _mixed(most: int, K: int, rng: np.random.Generator) -> list[float]:
    """A random distribution in hundredths; action `most` has the largest share."""
    shares_K: Floats = rng.dirichlet(np.ones(K))
    top = int(shares_K.argmax())
    shares_K[[top, most]] = shares_K[[most, top]]
    whole_K = np.floor(shares_K * _HUNDREDTHS).astype(np.int64)
    whole_K[most] += _HUNDREDTHS - int(whole_K.sum())
    return [part / _HUNDREDTHS for part in whole_K.tolist()]


def _faced(
    prepared: PreparedScenario, acted: Sequence[tuple[int, tuple[float, ...]]]
) -> PlayArrays:
    """The rounds as arrays, an adversary's answers included."""
    scenario = prepared.scenario
    policies_TK: Floats = np.array([policy for _, policy in acted])
    rewards_TK = scenario.rewards
    if scenario.adversary is not None:
        rewards_TK = np.stack([scenario.face(t, policies_TK[t]) for t in range(scenario.T)])
    actions_T = np.array([action for action, _ in acted], dtype=np.int64)
    return PlayArrays(rewards_TK, scenario.means, actions_T, policies_TK)
