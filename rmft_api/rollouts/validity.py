"""Watches the share of replies that can be read, so that a split of none is stopped early. Pure.

When too few of a split's replies are valid is decided on the first `after` of them, then on twice
as many, and so on. Which replies those are does not depend on which came first: trajectories are
numbered, and of those that are under way together (a wave) the first rounds come first. So a
resumed run decides as an undisturbed one, and no request waits for a decision while replies are
good.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rmft_api.core.records import Choice, Record, ReplyStatus
from rmft_api.prompts.reader import Cause, UnreadableReply

LOST: frozenset[ReplyStatus] = frozenset({"lost"})
"""What became of requests that no model answered: they say nothing about its replies."""
_UNREAD, _READ, _NO_REPLY = 0, 1, 2


class Floor(Record, frozen=True):
    """When too little of a split can be read."""

    least: float
    """Share of valid replies, 0 to 1; 0: everything is enough."""
    after: int
    """Replies before the first decision."""


class Sample(Record, frozen=True):
    """A reply that cannot be read, and why."""

    text: str
    finish_reason: str
    why: str
    cause: Cause
    names: tuple[str, ...]
    """The actions that it could have named."""


class TooFew(Record, frozen=True):
    """A decision against a split."""

    valid: int
    replies: int
    """How many it was decided on."""
    causes: dict[Cause, int]
    """Why the others of them cannot be read, as far as this process read them."""
    sample: Sample | None
    """One of the most frequent cause; None where all of them come from an earlier process."""


class Stopped(Record, frozen=True):
    """Why a split was not played on, as the journal keeps it."""

    valid: int
    replies: int
    says: str
    """The error that ended the run."""


STOPPED = "unreadable"
"""The kind of these records; their keys are `SPLIT/ITERATION`."""
Refuse = Callable[[TooFew], Exception]
"""What a decision means for the run: the error to raise."""


@dataclass(frozen=True)
class Wave:
    """How a split is played: its trajectories, numbered scenario by scenario, in waves."""

    horizons: Sequence[int]
    """T of each scenario."""
    plays: int
    """L: trajectories of each."""
    size: int
    """Trajectories under way together."""

    @property
    def trajectories(self) -> int:
        """How many there are."""
        return len(self.horizons) * self.plays

    @cached_property
    def replies(self) -> int:
        """A number of replies that holds them all."""
        return -(-self.trajectories // self.size) * self.size * self.longest

    @cached_property
    def longest(self) -> int:
        """The most rounds of a trajectory."""
        return max(self.horizons)

    def horizon(self, trajectory: int) -> int:
        """Its number of rounds."""
        return self.horizons[trajectory // self.plays]

    def place(self, trajectory: int, t: int) -> int:
        """Where the reply of round `t` (from 0) stands in the order of looks."""
        wave, number = divmod(trajectory, self.size)
        return (wave * self.longest + t) * self.size + number

    def rounds_within(self, replies: int, trajectory: int) -> int:
        """How many of its rounds are among the split's first `replies`."""
        first = self.place(trajectory, 0)
        return min(max(-(-(replies - first) // self.size), 0), self.horizon(trajectory))


class Validity:
    """Hears of every reply of one split, in the order of each trajectory's rounds."""

    def __init__(self, floor: Floor, wave: Wave, refuse: Refuse) -> None:
        self._floor, self._wave, self._refuse = floor, wave, refuse
        self._read: dict[int, bytearray] = {}
        self._over: set[int] = set()
        self._samples: dict[Cause, tuple[int, Sample]] = {}
        self._causes: dict[int, Cause] = {}
        self._error: Exception | None = None
        self._looked = floor.after
        self._missing = -1

    def begin(self, played: Mapping[int, Sequence[ReplyStatus]]) -> None:
        """Start with the trajectories that were played before. Raises what `refuse` gives."""
        for trajectory, statuses in played.items():
            if trajectory >= self._wave.trajectories:
                continue
            marks = bytearray(_mark(status) for status in statuses)
            self._read[trajectory] = marks
            if len(marks) < self._wave.horizon(trajectory):
                self._over.add(trajectory)
        if self._floor.least > 0:
            self._look()
        self.check()

    def check(self) -> None:
        """Raise the error again once it was decided: nothing more is to be asked."""
        if self._error is not None:
            raise self._error

    def reply(
        self,
        trajectory: int,
        choice: Choice,
        unread: UnreadableReply | None,
        names: tuple[str, ...],
    ) -> None:
        """Hear of a trajectory's next reply. Raises what `refuse` gives once too few are valid."""
        marks = self._read.get(trajectory)
        if marks is None:
            marks = self._read[trajectory] = bytearray()
        place = self._wave.place(trajectory, len(marks))
        marks.append(_READ if unread is None else _mark(unread.status))
        if unread is not None:
            self._keep(place, choice, unread, names)
        if place < self._looked and self._missing > 0:
            self._missing -= 1
            if not self._missing:
                self._look()
                self.check()

    def ended(self, trajectory: int) -> None:
        """Hear that a trajectory has no more replies: it is over, or was set aside."""
        if trajectory in self._over:
            return
        self._over.add(trajectory)
        if self._missing > 0:
            count = len(self._read.get(trajectory, b""))
            wanted = self._wave.rounds_within(self._looked, trajectory)
            self._missing -= max(0, wanted - count)
            if self._missing <= 0:
                self._look()
                self.check()

    def _look(self) -> None:
        """Decide on as many replies as are complete, and say how many the next look still lacks."""
        wave = self._wave
        while True:
            self._missing = self._lacking(self._looked)
            if self._missing:
                return
            marks = Counter[int]()
            for trajectory, count in self._read.items():
                marks.update(count[: wave.rounds_within(self._looked, trajectory)])
            self._error = self.decided(marks[_READ], marks[_READ] + marks[_UNREAD])
            if self._error is not None or self._looked >= wave.replies:
                self._missing = -1
                return
            self._looked *= 2

    def _lacking(self, replies: int) -> int:
        """Replies of a look that are still to come."""
        wave, lacking = self._wave, 0
        for trajectory in range(wave.trajectories):
            within = wave.rounds_within(replies, trajectory)
            if not within and trajectory >= wave.size:
                break
            if trajectory not in self._over:
                lacking += max(0, within - len(self._read.get(trajectory, b"")))
        return lacking

    def decided(self, valid: int, replies: int) -> Exception | None:
        """What `refuse` gives where too few of the replies are valid."""
        if not replies or valid >= self._floor.least * replies:
            return None
        causes = dict(self._within(self._looked).most_common())
        sample = self._samples[next(iter(causes))][1] if causes else None
        return self._refuse(TooFew(valid, replies, causes, sample))

    def _within(self, replies: int) -> Counter[Cause]:
        """Why those of the first replies cannot be read: the same, whatever else came meanwhile."""
        return Counter(cause for place, cause in sorted(self._causes.items()) if place < replies)

    def _keep(
        self, place: int, choice: Choice, unread: UnreadableReply, names: tuple[str, ...]
    ) -> None:
        """Count why, and keep the first reply of each cause, in the order of looks."""
        if unread.status in LOST:
            return
        self._causes[place] = unread.cause
        kept = self._samples.get(unread.cause)
        if kept is None or place < kept[0]:
            text = choice.content or choice.refusal or ""
            sample = Sample(text[:1000], choice.finish_reason, unread.why, unread.cause, names)
            self._samples[unread.cause] = (place, sample)


def _mark(status: ReplyStatus) -> int:
    if status == "read":
        return _READ
    return _NO_REPLY if status in LOST else _UNREAD
