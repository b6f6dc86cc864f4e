"""Planned against actual: what each phase was to take, what it took, where the whole is heading.

The plan is the one that was kept when the run began; what was really asked for and billed is the
journal's. A run without a plan (started by an earlier version) has its actual figures alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from rmft_api.core.records import Record
from rmft_api.finetuning import FineTuned
from rmft_api.journal import Journal, PhaseKey, PhaseSum
from rmft_api.journal.accounting import Activity
from rmft_api.planning.observed_lengths import (
    Correction,
    ObservedReplies,
    Rates,
    correction,
    observed,
)
from rmft_api.planning.plan import Cost, Phase, RunPlan, added, total

PLAN, RESULTS, TRAINED = "plan", "results", "trained"
"""Kinds of records: the plan made when the run began, what ends it, what each job came to."""
State = Literal["ahead", "under way", "done"]


class Amounts(Record, frozen=True):
    """Requests and tokens of a phase."""

    calls: int = 0
    prompt_tokens: int = 0
    """As billed, `cached_tokens` among them."""
    cached_tokens: int = 0
    output_tokens: int = 0
    trained_tokens: int | None = 0
    """Tokens of the examples x epochs; None: not reported."""


class PhaseSpending(Record, frozen=True):
    """One phase, planned and actual. Money is micro-dollars; None is "unknown", never 0."""

    phase: Activity
    iteration: int
    state: State
    planned: Amounts | None
    """None where nothing of this phase was planned."""
    planned_cost: Cost | None
    actual: Amounts
    spent: int
    """What was billed so far."""
    reserved: int
    """Held for what is under way, and for what was sent and may have been billed."""
    projected: int | None
    """Where the phase is heading: what was billed, and the plan for what is left of it."""


class Spending(Record, frozen=True):
    """A run's phases in the order of the plan, and their sum."""

    lines: tuple[PhaseSpending, ...]
    planned: Cost | None
    spent: int
    reserved: int
    cap: int | None
    projected: int | None
    """Where the whole run is heading; None where a price is unknown or no plan was kept."""
    observed: ObservedReplies | None = msgspec.field(default=None, name="heard")
    """The replies so far: what is ahead is projected with their length. None: none yet."""

    def by_phase(self) -> tuple[PhaseSpending, ...]:
        """One line for each kind of phase, summed over iterations (`iteration` is the last)."""
        kinds = dict.fromkeys(line.phase for line in self.lines)
        return tuple(_summed([one for one in self.lines if one.phase == kind]) for kind in kinds)


def spending(journal: Journal) -> Spending:
    """The run's money and tokens by phase, as they stand."""
    plan = journal.get(PLAN, "", RunPlan)
    sums = journal.ledger.accounting.sums()
    trained = _trained(journal)
    is_over = journal.get(RESULTS, "", msgspec.Raw) is not None
    assumed = plan.replies if plan else None
    replies = observed(sums.values(), assumed)
    corrected = correction(replies, assumed)
    accounts = _Accounts(plan.phases if plan else (), sums, trained, is_over, corrected)
    lines = tuple(accounts.lines())
    taken = journal.ledger.totals()
    return Spending(
        lines=lines,
        planned=plan.total if plan else None,
        spent=taken.spent,
        reserved=taken.reserved,
        cap=taken.cap,
        projected=added(line.projected for line in lines) if plan else None,
        observed=replies,
    )


def _trained(journal: Journal) -> dict[int, int | None]:
    """Trained tokens of each iteration, all its jobs together; None: one does not report them."""
    found: dict[int, list[int | None]] = {}
    for key, one in journal.all(TRAINED, FineTuned):  # "01", and "01/dpo" for a second job
        found.setdefault(int(key.partition("/")[0]), []).append(one.trained_tokens)
    return {iteration: added(tokens) for iteration, tokens in found.items()}


@dataclass(frozen=True)
class _Accounts:
    """What the lines are made from."""

    phases: Sequence[Phase]
    sums: Mapping[PhaseKey, PhaseSum]
    trained: Mapping[int, int | None]
    is_over: bool
    corrected: Correction

    def lines(self) -> Iterator[PhaseSpending]:
        """Planned phases in their order, then what nobody planned."""
        places = [self._met(phase) for phase in self.phases]
        last = max((i for i, place in enumerate(places) if self._is_at(place)), default=-1)
        done = len(places) if self.is_over else max(0, last)
        spent = [self._sum(place).spent for place in places]
        rates = Rates(self.phases, spent, done, self.corrected)
        for i, (phase, place) in enumerate(zip(self.phases, places, strict=True)):
            state: State = "done" if i < done else "under way" if i == last else "ahead"
            if phase.name == "hosting":
                state = self._of_deployments(phase, place, done)
            yield self._line(phase, place, state, rates)
        yield from (self._unplanned(place) for place in self.sums if place not in places)

    def _met(self, phase: Phase) -> PhaseKey:
        """Where the phase's requests are: a champion that is tested may be of any iteration."""
        place = PhaseKey(phase.name, phase.iteration)
        of_champion = phase.name in ("test", "off-policy")
        if of_champion and phase.iteration and place not in self.sums:
            planned = {PhaseKey(one.name, one.iteration) for one in self.phases}
            tested = [at for at in self.sums if at.activity == phase.name and at not in planned]
            return next(iter(tested), place)
        return place

    def _is_at(self, place: PhaseKey) -> bool:
        """Whether the run came so far; a deployment stands beside the phases that it is for."""
        return place in self.sums and place.activity != "hosting"

    def _of_deployments(self, phase: Phase, place: PhaseKey, done: int) -> State:
        """A deployment is over when nobody plays its model any more."""
        plays = [i for i, one in enumerate(self.phases) if one.model == phase.model and one.calls]
        if self.is_over or max(plays, default=0) < done:
            return "done"
        return "under way" if place in self.sums else "ahead"

    def _sum(self, place: PhaseKey) -> PhaseSum:
        return self.sums.get(place, PhaseSum())

    def _line(self, phase: Phase, place: PhaseKey, state: State, rates: Rates) -> PhaseSpending:
        found = self._sum(place)
        left = 0.0 if state == "done" else 1 - _share(found, phase)
        expected = self.corrected.of(phase.cost)
        ahead = None if expected is None else round(left * expected * rates.of(phase))
        return PhaseSpending(
            phase=phase.name,
            iteration=place.iteration,
            state=state,
            planned=Amounts(
                phase.calls,
                phase.prompt_tokens,
                phase.cached_tokens,
                phase.output_tokens,
                phase.trained_tokens,
            ),
            planned_cost=phase.cost,
            actual=self._actual(place),
            spent=found.spent,
            reserved=found.reserved,
            projected=self._projected(phase, found, left, ahead),
        )

    def _projected(
        self, phase: Phase, found: PhaseSum, left: float, ahead: int | None
    ) -> int | None:
        if left and phase.name == "hosting" and ahead is not None:
            return max(ahead, found.spent + found.reserved)
        return added((found.spent, ahead)) if left else found.spent

    def _unplanned(self, place: PhaseKey) -> PhaseSpending:
        found = self.sums[place]
        state: State = "done" if self.is_over else "under way"
        actual = self._actual(place)
        return PhaseSpending(
            phase=place.activity,
            iteration=place.iteration,
            state=state,
            planned=None,
            planned_cost=None,
            actual=actual,
            spent=found.spent,
            reserved=found.reserved,
            projected=found.spent,
        )

    def _actual(self, place: PhaseKey) -> Amounts:
        found = self._sum(place)
        trains = place.activity in ("training", "warm-up")
        planned = self.trained.get(place.iteration, 0) if trains else 0
        return Amounts(
            found.calls, found.prompt_tokens, found.cached_tokens, found.output_tokens, planned
        )


def _share(found: PhaseSum, phase: Phase) -> float:
    """How much of a phase that is under way is done."""
    if phase.calls:
        return min(1.0, found.calls / phase.calls)
    return 1.0 if found.spent and phase.name in ("training", "warm-up") else 0.0


def _summed(lines: Sequence[PhaseSpending]) -> PhaseSpending:
    first, last = lines[0], lines[-1]
    states: set[State] = {line.state for line in lines}
    planned = [line.planned for line in lines if line.planned]
    costs = [line.planned_cost for line in lines if line.planned_cost]
    return PhaseSpending(
        phase=first.phase,
        iteration=last.iteration,
        state=states.pop() if len(states) == 1 else "under way",
        planned=_amounts(planned) if planned else None,
        planned_cost=total(costs) if costs else None,
        actual=_amounts([line.actual for line in lines]),
        spent=sum(line.spent for line in lines),
        reserved=sum(line.reserved for line in lines),
        projected=added(line.projected for line in lines),
    )


def _amounts(parts: Iterable[Amounts]) -> Amounts:
    known = list(parts)
    return Amounts(
        calls=sum(one.calls for one in known),
        prompt_tokens=sum(one.prompt_tokens for one in known),
        cached_tokens=sum(one.cached_tokens for one in known),
        output_tokens=sum(one.output_tokens for one in known),
        trained_tokens=added(one.trained_tokens for one in known),
    )
