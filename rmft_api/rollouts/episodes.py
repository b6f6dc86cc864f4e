"""One trajectory at a time, played by somebody else's loop: for frameworks that do the asking.

The messages, the reading of answers, the draws of chance and the regret are those of a run; only
who asks the model is another program.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.core.records import Address, Choice, Message, Round, Split
from rmft_api.prompts import PromptSet, reader
from rmft_api.prompts.reader import UnreadableReply
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario, Rollout, RolloutSettings
from rmft_api.selection import regret
from rmft_api.selection.regret import PlayArrays

PLAYER = "another program"


class EpisodeStep(NamedTuple):
    """What one answer led to."""

    reward: float
    """What the action earned; an unreadable reply earns the least of its round."""
    action: int | None
    """None: the reply could not be read."""
    why: str
    """Why it could not; else empty."""


@dataclass(frozen=True)
class Problems:
    """The scenarios of a suite or a run, numbered from 0 without end."""

    config: RunConfig
    prompts: PromptSet
    split: Split = "test"
    """test: scenario i is the i-th that every model of an evaluation meets. train: fresh ones."""
    iteration: int = 0
    """Of split train: another number draws others."""

    def episode(self, index: int, trajectory: int = 0) -> "Episode":
        """A play of scenario `index`. Raises ConfigError, DataError as a run would."""
        prepared = preparation.prepared_scenario(
            self.config, self.prompts, self.split, self.iteration, index
        )
        settings = preparation.rollout_settings(self.config, self.split, self.iteration, PLAYER, 1)
        return Episode(settings, prepared, trajectory)


class Episode:
    """A trajectory as it grows: `messages()`, then `answer(reply)`, until it is `over`."""

    def __init__(
        self, settings: RolloutSettings, prepared: PreparedScenario, trajectory: int
    ) -> None:
        self._settings, self._prepared = settings, prepared
        self._rollout = Rollout(trajectory, *prepared.begin())
        self._show()

    @property
    def scenario(self) -> PreparedScenario:
        """What is played."""
        return self._prepared

    @property
    def settings(self) -> RolloutSettings:
        """By which rules: the form of answers, sampling."""
        return self._settings

    @property
    def T(self) -> int:
        """Rounds."""
        return self._prepared.scenario.T

    @property
    def t(self) -> int:
        """Rounds that were played."""
        return len(self.rounds)

    @property
    def over(self) -> bool:
        """Whether no answer is expected any more."""
        return self._rollout.over or self.t >= self.T

    @property
    def rounds(self) -> Sequence[Round]:
        """What was played, without prompts and replies."""
        return self._rollout.transcript.rounds

    @property
    def possible(self) -> tuple[int, ...]:
        """The actions that can be taken now; fewer than K in some problems with state."""
        session = self._rollout.session
        return tuple(range(self._prepared.scenario.K)) if session is None else session.possible

    def messages(self) -> tuple[Message, ...]:
        """All messages to send now; a chat that grows begins with what was sent before."""
        return self._rollout.prompt.messages()

    def answer(self, reply: str, finish_reason: str = "stop") -> EpisodeStep:
        """Read a reply, act and continue to the next round. Raises UsageError once it is over."""
        if self.over:
            raise UsageError(f"the episode is over: all of its {self.T} rounds were played")
        choice = Choice(content=reply, finish_reason=finish_reason)
        unread = engine.step(self._settings, self._prepared, self._rollout, self.t, choice)
        played = self.rounds[-1]
        self._show()
        earned = min(played.rewards) if played.action is None else played.rewards[played.action]
        return EpisodeStep(earned, played.action, _why(unread))

    def act(self, action: int) -> EpisodeStep:
        """As `answer`, for players that choose by number; one that does not exist is unreadable."""
        K = self._prepared.scenario.K
        return self.act_by([float(a == action) for a in range(K)])

    def act_by(self, policy: Sequence[float]) -> EpisodeStep:
        """As `answer`, for players that give K weights; weights that are none are unreadable."""
        total = sum(policy)
        if min(policy) < 0.0 or not 0.0 < total < math.inf:
            return self.answer("")
        shares = [weight / total for weight in policy]
        names, form = self._prepared.names, self._settings.output
        best = max(range(len(shares)), key=shares.__getitem__)
        return self.answer(reader.render(best, shares, names, form))

    def play(self) -> PlayArrays:
        """The play so far; rounds that were not played count as unreadable ones."""
        return regret.play_in(self._prepared.scenario, self.rounds)

    def regret(self) -> float:
        """In the form that its problem ranks by."""
        kind = self._prepared.scenario.regret
        address = Address(
            self._settings.split,
            self._settings.iteration,
            self._prepared.index,
            self._rollout.number,
        )
        return regret.score(address, kind, self.play()).regret

    def regret_T(self) -> tuple[float, ...]:
        """Regret of each round; it sums to `regret()`."""
        kind = self._prepared.scenario.regret
        return tuple(np.asarray(regret.per_round(self.play(), kind)).tolist())

    def _show(self) -> None:
        if not self.over and self._prepared.order is not None:
            self._rollout.prompt.show_in(self._prepared.order(self._rollout.number, self.t))


def _why(unread: UnreadableReply | None) -> str:
    return "" if unread is None else unread.why
