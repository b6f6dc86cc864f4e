"""A known algorithm in the place of the model: what it plays is what is learnt from.

Algorithm distillation, one of the two prior routes that the method is compared with (docs/method.md
1). A teacher answers like a model, so that selection, datasets and everything after them stay as
they are; it costs nothing and is asked for nothing.
"""

from dataclasses import dataclass, field

import numpy as np

from rmft_api import baselines
from rmft_api.config.schema import RunConfig, TeacherConfig
from rmft_api.core.records import ChatRequest, ChatResponse, Choice
from rmft_api.prompts import PromptSet, reader
from rmft_api.prompts.reasons import reason
from rmft_api.prompts.templates import Template
from rmft_api.rollouts import preparation
from rmft_api.rollouts.engine import PreparedScenario
from rmft_api.selection.regret import PlayArrays


@dataclass
class Teacher:
    """A `ports.ChatModel` that plays the scenarios of one iteration by an algorithm."""

    config: RunConfig
    algorithm: TeacherConfig
    prompts: PromptSet
    iteration: int
    _scenarios: list[PreparedScenario] = field(default_factory=list[PreparedScenario])
    _plays: list[PlayArrays] = field(default_factory=list[PlayArrays])

    def __post_init__(self) -> None:
        """Play everything. Raises ConfigError for an algorithm that does not fit."""
        self._scenarios = list(
            preparation.prepared_scenarios(self.config, self.prompts, "train", self.iteration)
        )
        self._plays = self._played()

    def _played(self) -> list[PlayArrays]:
        """Every trajectory, scenario by scenario."""
        plays = self.config.rollouts.trajectories
        tables = [prepared.scenario for prepared in self._scenarios for _ in range(plays)]
        wanted = self.algorithm
        return baselines.play(
            wanted.algorithm, tables, self.config.seed, wanted.options, self.config.origin.folder
        )

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """What the algorithm does at this place of the run."""
        _, _, scenario, trajectory, t = request.key.split("/")
        prepared = self._scenarios[int(scenario)]
        place = int(scenario) * self.config.rollouts.trajectories + int(trajectory)
        said = self._said(prepared, self._plays[place], int(t))
        return ChatResponse("teacher", request.model, (Choice(said, "stop"),), None)

    def _said(self, prepared: PreparedScenario, play: PlayArrays, t: int) -> str:
        """The reason, where it is to give one, and the answer."""
        action = int(play.actions_T[t])
        template = self._template()
        if template is None:
            return self._answer(prepared, play, t, "")
        full = prepared.scenario.feedback == "full"
        K = prepared.scenario.K
        shown_tK = np.ones((t, K)) if full else np.eye(K)[play.actions_T[:t]]
        words = reason(template, prepared.names, play.rewards_TK[:t], shown_tK, action)
        return self._answer(prepared, play, t, words)

    def _template(self) -> Template | None:
        """The reasoning that it gives, where it is to give one."""
        return self.prompts.reasons

    def _answer(self, prepared: PreparedScenario, play: PlayArrays, t: int, why: str) -> str:
        # A bandit player continues from what it did, so the answer is what it did, not what it
        # mixed.
        action = int(play.actions_T[t])
        full = prepared.scenario.feedback == "full"
        shares = play.policies_TK[t] if full else np.eye(prepared.scenario.K)[action]
        policy: list[float] = [round(share, 4) for share in shares.tolist()]
        said = reader.render(action, policy, prepared.names, self.config.prompts.answer_form, why)
        if self._is_bare():
            return said.removeprefix(reader.OPENING).removesuffix(reader.CLOSING)
        return said

    def _is_bare(self) -> bool:
        """Whether the answer is JSON alone: a policy, in a prompt set that shows no tags."""
        shown = self.prompts.texts.values()
        return self.config.prompts.answer_form == "policy" and not any(
            reader.OPENING in text for text in shown
        )
