"""One trajectory's chat, grown round by round: pure, without chance, clock or file."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rmft_api.core import chat_stats
from rmft_api.core.answer_forms import AnswerForm
from rmft_api.core.errors import DataError
from rmft_api.core.records import ChatStats, Message
from rmft_api.prompts import reader
from rmft_api.prompts.histories import History, HistoryTemplates, Observation, Order
from rmft_api.prompts.templates import Fields, Template

_SILENCE: Mapping[str, str] = {"said": "", "outcome": ""}


@dataclass(frozen=True, eq=False)
class PromptPlan:
    """How scenarios of one wording, K, T and feedback are worded: all that they share."""

    names: tuple[str, ...]
    T: int
    full: bool
    """Whether all K rewards of a round are shown."""
    loss: bool
    """Whether a reward r is shown as the loss 1 - r."""
    constant: Mapping[str, str]
    """Fields that no round changes."""
    system: tuple[Message, ...]
    """The system message, or nothing."""
    user: Template
    next: Template | None
    """Later user messages of a chat that grows; None: every round is a chat of its own."""
    silent: str
    """What stands for an empty reply in a chat that grows."""
    history: HistoryTemplates | None
    outcome: Template | None
    said: Template | None
    """None: the model's reason is not repeated."""
    unread: Template | None
    context: Template | None
    form: AnswerForm
    """Of answers."""
    rows: bool
    """Whether a template shows the reward rows as JSON."""
    examples: tuple[Message, ...] = ()
    """Worked rounds, shown before the first one; the same for every trajectory."""


class ChatPromptBuilder:
    """What one trajectory is shown. Equal visible histories make equal messages."""

    def __init__(
        self,
        script: PromptPlan,
        contexts: Sequence[str] | None = None,
        reordered: Callable[[Order], PromptPlan] | None = None,
    ) -> None:
        """`reordered`: the plan that lists the actions in another order; None: always this one."""
        self._script, self._contexts, self._reordered = script, contexts, reordered
        self._round = 1
        self._past: list[Message] = []
        self._sums = chat_stats.NOTHING
        """Of `_past`."""
        self._silence: tuple[Message, ...] = ()
        self._mood = _SILENCE
        self._rows = ""
        self._history: History | None = script.history and script.history.start(
            script.names, full=script.full, contextual=contexts is not None
        )
        self._turn: tuple[Message, ...] | None = None

    def show_in(self, order: Order) -> None:
        """List the actions in this order from now on."""
        if self._reordered is None:
            raise ValueError("this prompt builder has only one order")
        self._script, self._turn = self._reordered(order), None
        if self._history is not None:
            self._history.show_in(order)

    def messages(self) -> tuple[Message, ...]:
        """All messages to send now."""
        return (*self._past, *self.new_messages())

    def new_messages(self) -> tuple[Message, ...]:
        """The messages of `chat()` that are new in this round.

        Where the last reply of a growing chat was empty, they begin with what stands for it.
        """
        if self._turn is None:
            self._turn = self._compose()
        return self._turn

    def stats(self) -> ChatStats | None:
        """Of `chat()`, where it grows; None where every round is a chat of its own."""
        return (
            None
            if self._script.next is None
            else chat_stats.extended(self._sums, self.new_messages())
        )

    def observe(self, reply: str, action: int | None, rewards: tuple[float, ...]) -> None:
        """Continue to the next round. `action` None: the reply could not be read.

        `rewards` are all K: bandit feedback shows that of `action`, full feedback every one.
        Raises DataError for a shown reward that is not finite, ValueError past the last round.
        """
        if self._round > self._script.T:
            raise ValueError(f"the trajectory is over: it has T={self._script.T} rounds")
        observation = self._observation(action, rewards)
        said = reader.clean(reply)
        self._remember(said)
        self._mood = self._of_last_round(said, observation)
        if self._history is not None:
            self._history.add(observation)
        if self._script.rows:
            self._rows = ",".join(filter(None, (self._rows, _row(observation))))
        self._round += 1
        self._turn = None

    def _observation(self, action: int | None, rewards: tuple[float, ...]) -> Observation:
        shown: list[float | None]
        if self._script.full:
            shown = [self._shown(a, reward) for a, reward in enumerate(rewards)]
        else:
            shown = [None] * len(self._script.names)
            if action is not None:
                shown[action] = self._shown(action, rewards[action])
        return Observation(self._round, action, tuple(shown), self._context_text())

    def _shown(self, action: int, reward: float) -> float:
        """The reward as it is shown."""
        if not math.isfinite(reward):
            raise DataError(
                f"round {self._round}: the reward of {self._script.names[action]!r} is {reward}; "
                "an environment's rewards must be finite"
            )
        return 1.0 - reward if self._script.loss else reward

    def _remember(self, said: str) -> None:
        """Keep the finished round of a chat that grows."""
        if self._script.next is None:
            return
        observation = self.new_messages()
        if said.strip():
            observation = (*observation, Message("assistant", said))
            self._silence = ()
        else:
            self._silence = (Message("assistant", self._script.silent),)
        self._past.extend(observation)
        self._sums = chat_stats.extended(self._sums, observation)

    def _of_last_round(self, said: str, observation: Observation) -> Mapping[str, str]:
        """What the next round says of this one: a mishap, or its outcome and reason."""
        script = self._script
        if observation.action is None:
            return {**_SILENCE, "said": _fill(script.unread, observation, script.names)}
        reason = reader.reason(said, script.form) if script.said else ""
        shows_outcome = "outcome" in (script.next or script.user).fields
        return {
            "outcome": _fill(script.outcome, observation, script.names) if shows_outcome else "",
            "said": _fill(script.said, observation, script.names, reason=reason) if reason else "",
        }

    def _compose(self) -> tuple[Message, ...]:
        script = self._script
        later = script.next is not None and self._round > 1
        template = script.next if script.next is not None and later else script.user
        user = Message("user", template.fill(self._values(template.fields)))
        return (*self._silence, user) if later else (*script.system, *script.examples, user)

    def _values(self, fields: Fields) -> Mapping[str, str]:
        """What a user message says in the place of these fields, and of some others."""
        script, at = self._script, self._round
        left = script.T - at + 1
        values = {**script.constant, **self._mood, "round": str(at), "left": str(left)}
        if "history" in fields:
            values["history"] = self._history.text() if self._history else ""
        if "context" in fields:
            values["context"] = self._context()
        if script.rows:
            values["rewards_json"] = f"[{self._rows}]"
        return values

    def _context(self) -> str:
        text = self._context_text()
        if not text or self._script.context is None:
            return text
        return self._script.context.fill({"context": text, "round": str(self._round)})

    def _context_text(self) -> str:
        contexts, at = self._contexts, self._round - 1
        return contexts[at] if contexts is not None and at < len(contexts) else ""


def _fill(
    template: Template | None, observation: Observation, names: Sequence[str], reason: str = ""
) -> str:
    if template is None:
        return ""
    fields = template.fields
    return template.fill(
        {f: reason if f == "reason" else observation.field(f, names) for f in fields}
    )


def _row(observation: Observation) -> str:
    """The round's rewards as compact JSON, four decimals."""
    return msgspec.json.encode(
        [None if r is None else round(r, 4) for r in observation.rewards]
    ).decode()
