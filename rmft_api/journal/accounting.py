"""Accounting: what every phase of a run requested and cost, summed from the attempts.

An attempt's key says which phase it belongs to, and a chat's key which iteration. Sums are kept
between looks, so that a look at a live run reads what is new and what was open, not all there is.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from rmft_api.core.records import Usage
from rmft_api.journal.writer import Writer

Activity = Literal[
    "warm-up", "rollouts", "training", "validation", "test", "off-policy", "hosting", "other"
]
ACTIVITIES: dict[str, Activity] = {
    "train": "rollouts",
    "validation": "validation",
    "test": "test",
    "off_policy": "off-policy",
    "upload": "training",
    "job": "training",
    **dict.fromkeys(("deploy", "rent", "ready", "teardown"), "hosting"),
}
"""The first part of an attempt's key -> what it was for."""
BATCH = "batch/"
"""What the keys of batches begin with, before the key of what they ask for."""
_CHATS = ("train", "validation", "test", "off_policy")
_ROWS = "SELECT id, key, iteration, state, reserved, spent + excess, answer FROM attempts"
_NEW = f"{_ROWS} WHERE id > ? ORDER BY id LIMIT ?"
_AGAIN = f"{_ROWS} WHERE id IN ({{ids}})"
TOGETHER = 256
"""Rows read at once: what is to be saved meanwhile waits for no more."""


class PhaseKey(NamedTuple):
    """A phase of a run."""

    activity: Activity
    iteration: int


class PhaseSum(NamedTuple):
    """What a phase took so far. Money is micro-dollars."""

    calls: int = 0
    """Chats that were answered."""
    prompt_tokens: int = 0
    """As billed, `cached_tokens` among them."""
    cached_tokens: int = 0
    output_tokens: int = 0
    spent: int = 0
    """What the answers cost, more than their reservation included."""
    reserved: int = 0
    """Held for requests in flight, and for those whose fate is unknown."""
    replies: int = 0
    """Choices in the answers: one chat may ask for several."""


class _Row(NamedTuple):
    id: int
    key: str
    iteration: int
    state: str
    reserved: int
    spent: int
    answer: bytes | None

    @property
    def is_open(self) -> bool:
        """Whether it may still change: not answered, or answered and its cost not settled."""
        return self.state in ("sent", "lost") or self.reserved > 0


_Sums = dict[PhaseKey, list[int]]


class Accounting:
    """Sums by phase over the attempts of a journal."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._closed: _Sums = {}
        self._open: tuple[int, ...] = ()
        self._last = 0

    def sums(self) -> dict[PhaseKey, PhaseSum]:
        """Every phase that anything was asked for. Each attempt is of the moment it is read at."""
        rows = [*self._again(), *self._new()]
        self._last = max((self._last, *(row.id for row in rows)))
        self._open = tuple(row.id for row in rows if row.is_open)
        _book(self._closed, [row for row in rows if not row.is_open])
        whole = {place: list(sums) for place, sums in self._closed.items()}
        _book(whole, [row for row in rows if row.is_open])
        return {place: PhaseSum(*sums) for place, sums in whole.items()}

    def _again(self) -> Iterator[_Row]:
        """The attempts that were open."""
        for start in range(0, len(self._open), TOGETHER):
            some = self._open[start : start + TOGETHER]
            yield from self._rows(_AGAIN.format(ids=", ".join("?" * len(some))), *some)

    def _new(self) -> Iterator[_Row]:
        """The attempts since the last look."""
        last, more = self._last, True
        while more:
            rows = self._rows(_NEW, last, TOGETHER)
            yield from rows
            more = len(rows) == TOGETHER
            last = rows[-1].id if more else last

    def _rows(self, sql: str, *asked: int) -> list[_Row]:
        rows = self._writer.work_now(lambda connection: connection.execute(sql, asked).fetchall())
        return [_Row(*row) for row in rows]


def phase_of(key: str, iteration: int) -> PhaseKey:
    """The phase of an attempt that was made in `iteration`."""
    head, *rest = key.removeprefix(BATCH).split("/", 2)
    at = int(rest[0]) if head in _CHATS else iteration
    activity = ACTIVITIES.get(head, "other")
    return PhaseKey("warm-up" if activity == "training" and at == 0 else activity, at)


def _book(sums: _Sums, rows: list[_Row]) -> None:
    """Add the rows to the sums, in the order of `PhaseSum`'s fields."""
    for row in rows:
        place = phase_of(row.key, row.iteration)
        found = sums.get(place)
        if found is None:
            found = sums[place] = [0] * len(PhaseSum._fields)
        found[4] += row.spent
        found[5] += row.reserved
        if row.state == "done" and row.key.startswith(_CHATS):
            answer = _answers.decode(row.answer or b"{}")
            usage = answer.usage or _NONE
            found[0] += 1
            found[1] += usage.prompt_tokens
            found[2] += usage.cached_tokens
            found[3] += usage.completion_tokens
            found[6] += len(answer.choices) if answer.usage else 0


class _Answer(msgspec.Struct):
    """The part of a chat's answer that states what was billed, and for how many replies."""

    usage: Usage | None = None
    choices: tuple[msgspec.Raw, ...] = ()


_NONE = Usage(0, 0)
_answers = msgspec.json.Decoder(_Answer)
