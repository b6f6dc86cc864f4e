"""What was played so far, repeated each round, at a cost that does not grow with the rounds.

A folder `histories/NAME/` with an `untried.md` is a summary: one line per action, of which a round
changes only what it showed. Without it the history is raw: one line per shown round, appended.

    all.md      $lines                            around the lines
    empty.md                                      instead, before anything was shown
    line.md     summary: $action $count $mean $recent, $mean_percent $recent_percent (integers)
                raw: $round $action $reward $reward_percent; full feedback: $rewards
    untried.md  summary: $action
    unread.md   raw: $round; full feedback: $rewards. Absent: such rounds have no line.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rmft_api.prompts.templates import Fields, Folder, Template, Variants

RECENT = 5
"""Rewards per action that "recent" looks back on."""
OUTCOME_FIELDS: Fields = frozenset({"round", "action", "reward", "reward_percent"})
REWARDS_FIELDS: Fields = frozenset({"rewards", "rewards_percent"})
_SUMMARY_FIELDS: Fields = frozenset(
    {"action", "count", "mean", "recent", "mean_percent", "recent_percent"}
)

SHOWS_NUMBERS: Fields = (OUTCOME_FIELDS | REWARDS_FIELDS | _SUMMARY_FIELDS | {"rewards_json"}) - {
    "round",
    "action",
    "count",
}
"""Fields with a reward in them."""


class Observation(NamedTuple):
    """One finished round, as far as the model may know it."""

    round: int
    """From 1."""
    action: int | None
    """None where the reply could not be read."""
    rewards: tuple[float | None, ...]
    """K rewards, None for those that are not shown."""
    context: str

    @property
    def earned(self) -> float | None:
        """What the action earned; None where none was taken."""
        return None if self.action is None else self.rewards[self.action]

    def field(self, name: str, names: Sequence[str]) -> str:
        """One of `OUTCOME_FIELDS`, `REWARDS_FIELDS` and `context`."""
        match name:
            case "round":
                return str(self.round)
            case "action":
                return "" if self.action is None else names[self.action]
            case "reward":
                return _decimal(self.earned)
            case "reward_percent":
                return _percent(self.earned)
            case "rewards":
                return self._each(names, ": ", _decimal)
            case "rewards_percent":
                return self._each(names, " ", _percent)
            case _:
                return self.context

    def _each(self, names: Sequence[str], sign: str, show: "_Show") -> str:
        pairs = zip(names, self.rewards, strict=True)
        return ", ".join(f"{name}{sign}{show(r)}" for name, r in pairs if r is not None)


class _Show(Protocol):
    def __call__(self, reward: float | None, /) -> str: ...


Order = tuple[int, ...]
"""The indices of all actions, in the order in which they are listed."""


class History(Protocol):
    """The shown rounds of one trajectory."""

    def show_in(self, order: Order) -> None:
        """List the actions in this order from now on."""
        ...

    def add(self, observation: Observation) -> None:
        """Another round is over."""
        ...

    def text(self) -> str:
        """The text for the next round."""
        ...


@dataclass(frozen=True)
class HistoryTemplates:
    """The files of one `histories/NAME/`."""

    whole: Template
    empty: Template | None
    line: Variants
    untried: Template | None
    unread: Variants | None

    def start(self, names: tuple[str, ...], *, full: bool, contextual: bool) -> History:
        """An empty history of actions called `names`."""
        line = self.line.pick(full=full, contextual=contextual)
        empty = self.empty.fill({}) if self.empty else None
        if self.untried is not None:
            return _Summary(names, line, self.untried, self.whole, empty)
        unread = self.unread and self.unread.pick(full=full, contextual=contextual)
        return _Raw(names, line, unread, self.whole, empty or "")


def read(folder: Folder, name: str) -> HistoryTemplates:
    """The files of `histories/NAME/`. Raises ConfigError (missing), DataError (unknown field)."""
    at, why = f"histories/{name}", f"prompts.history={name!r}"
    untried = folder.find(f"{at}/untried.md", frozenset({"action"}))
    fields = OUTCOME_FIELDS if untried is None else _SUMMARY_FIELDS
    line = folder.variants(
        f"{at}/line.md", fields, why, REWARDS_FIELDS if untried is None else Fields()
    )
    unread = None
    if untried is None and folder.text(f"{at}/unread.md") is not None:
        unread = folder.variants(f"{at}/unread.md", frozenset({"round"}), why, REWARDS_FIELDS)
    whole = folder.need(f"{at}/all.md", frozenset({"lines"}), why)
    empty = folder.find(f"{at}/empty.md", Fields())
    return HistoryTemplates(whole, empty, line, untried, unread)


@dataclass
class _Seen:
    """What one action was seen to earn."""

    plays: int = 0
    count: int = 0
    """Rewards shown: the plays, or every round under full feedback."""
    total: float = 0.0
    recent: deque[float] = field(default_factory=lambda: deque[float](maxlen=RECENT))

    def field(self, field: str, name: str) -> str:
        """One of `_SUMMARY_FIELDS` for the action called `name`."""
        match field:
            case "action":
                return name
            case "count":
                return str(self.plays)
            case "mean":
                return _decimal(self._mean)
            case "mean_percent":
                return _percent(self._mean)
            case "recent":
                return _decimal(self._recent_mean)
            case _:
                return _percent(self._recent_mean)

    @property
    def _mean(self) -> float:
        return self.total / self.count

    @property
    def _recent_mean(self) -> float:
        return sum(self.recent) / len(self.recent)


class _Summary:
    """One line per action; a round rewrites the lines of the actions it showed."""

    def __init__(
        self,
        names: tuple[str, ...],
        line: Template,
        untried: Template,
        whole: Template,
        empty: str | None,
    ) -> None:
        self._names, self._line, self._whole = names, line, whole
        self._seen = [_Seen() for _ in names]
        self._lines = [untried.fill({"action": name}) for name in names]
        self._order: Order = tuple(range(len(names)))
        self._empty = empty
        self._is_started = False
        self._text = self._now()

    def add(self, observation: Observation) -> None:
        if observation.action is not None:
            self._seen[observation.action].plays += 1
        for action, reward in enumerate(observation.rewards):
            if reward is not None:
                self._add(action, reward)
                self._is_started = True
        if self._is_started:
            self._text = self._all()

    def show_in(self, order: Order) -> None:
        self._order = order
        self._text = self._now()

    def text(self) -> str:
        return self._text

    def _add(self, action: int, reward: float) -> None:
        seen = self._seen[action]
        seen.count += 1
        seen.total += reward
        seen.recent.append(reward)
        name = self._names[action]
        self._lines[action] = self._line.fill(
            {field: seen.field(field, name) for field in self._line.fields}
        )

    def _now(self) -> str:
        return self._all() if self._is_started or self._empty is None else self._empty

    def _all(self) -> str:
        return self._whole.fill({"lines": "\n".join([self._lines[a] for a in self._order])})


class _Raw:
    """One line per shown round; a round appends its own."""

    def __init__(
        self,
        names: tuple[str, ...],
        line: Template,
        unread: Template | None,
        whole: Template,
        empty: str,
    ) -> None:
        self._names, self._line, self._unread, self._whole = names, line, unread, whole
        self._empty = empty
        self._lines = ""

    def show_in(self, order: Order) -> None:
        """Rounds stand in their own order; within one, each reward stands beside its name."""

    def add(self, observation: Observation) -> None:
        template = self._unread if observation.action is None else self._line
        if template is None:
            return
        line = template.fill(
            {name: observation.field(name, self._names) for name in template.fields}
        )
        self._lines = f"{self._lines}\n{line}" if self._lines else line

    def text(self) -> str:
        return self._whole.fill({"lines": self._lines}) if self._lines else self._empty


def _decimal(reward: float | None) -> str:
    return "" if reward is None else f"{reward:z.2f}"


def _percent(reward: float | None) -> str:
    """Of 1, as an integer; halves go up."""
    return "" if reward is None else str(math.floor(100 * reward + 0.5))
