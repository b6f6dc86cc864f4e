"""What real replies say about a plan: it assumed a length, the journal knows one.

Whatever a plan counts is a straight line in the length of replies, from bare answers (`low`) to the
assumed length (`expected`); so one number, the share of the assumed words that replies really hold,
corrects all of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Record
from rmft_api.journal import PhaseSum
from rmft_api.planning.plan import Cost, Phase, ReplyAssumptions


class ObservedReplies(Record, frozen=True):
    """The replies of a run so far. Lengths are means in tokens, answers included."""

    number: int
    tokens: float
    assumed: float | None
    """What the plan assumed; None: it does not say."""


@dataclass(frozen=True)
class Correction:
    """A plan's expected costs, at the length that replies really have."""

    share: float = 1.0
    """Of the words that the plan assumed besides bare answers; 0: replies are bare answers."""

    def of(self, cost: Cost) -> int | None:
        """What is expected now."""
        if cost.low is None or cost.expected is None:
            return cost.expected
        return cost.low + round(self.share * (cost.expected - cost.low))


class Rates:
    """How the bills of finished phases compare with the plan: dearer ones stay dearer."""

    def __init__(
        self, phases: Sequence[Phase], spent: Sequence[int], done: int, corrected: Correction
    ) -> None:
        self._planned: dict[str, int] = {}
        self._spent: dict[str, int] = {}
        for phase, cost in zip(phases[:done], spent[:done], strict=True):
            if expected := corrected.of(phase.cost):
                name = phase.name
                self._planned[name] = self._planned.get(name, 0) + expected
                self._spent[name] = self._spent.get(name, 0) + cost

    def of(self, phase: Phase) -> float:
        """What a planned dollar of such a phase came to so far."""
        planned = self._planned.get(phase.name, 0)
        return self._spent[phase.name] / planned if planned else 1.0


class ExpectedLength(Record, frozen=True):
    """The length of replies that a plan assumes."""

    tokens: int
    count: int = 0
    """Real replies that it is the mean of."""
    source: str = "as assumed"

    def played(self, replies: ReplyAssumptions) -> "ExpectedLength":
        """The length that the plan's replies really have: answers may be longer than asked for."""
        mean = round(replies.tokens / replies.number) if replies.number else self.tokens
        if mean == self.tokens:
            return self
        stated = f"the nearest to {self.tokens}, {self.source}"
        return ExpectedLength(mean, self.count, stated)


def expectation(
    config: RunConfig, given: int | None, found: ObservedReplies | None
) -> ExpectedLength:
    """What was `given`, else what was observed, else half of what a reply may have."""
    if given is not None:
        return ExpectedLength(given, source="as --reply-tokens says")
    if found is not None:
        return ExpectedLength(
            max(1, round(found.tokens)), found.number, f"the mean of {found.number:,} real ones"
        )
    return ExpectedLength(config.sampling.max_tokens // 2)


def observed(sums: Iterable[PhaseSum], assumed: ReplyAssumptions | None) -> ObservedReplies | None:
    """What was replied so far; None: nothing yet."""
    known = list(sums)
    number = sum(one.replies for one in known)
    if not number:
        return None
    mean = assumed.tokens / assumed.number if assumed and assumed.number else None
    return ObservedReplies(number, sum(one.output_tokens for one in known) / number, mean)


def correction(found: ObservedReplies | None, assumed: ReplyAssumptions | None) -> Correction:
    """What follows for the plan; nothing where it assumed bare answers."""
    if found is None or assumed is None or assumed.tokens <= assumed.least:
        return Correction()
    words = found.tokens * assumed.number - assumed.least
    return Correction(max(0.0, words / (assumed.tokens - assumed.least)))
