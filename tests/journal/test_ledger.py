import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rmft_api.core.errors import BudgetError, DataError, FaultKind, ProviderFault
from rmft_api.journal import Journal, Ledger, Totals, dollars
from rmft_api.journal.ledger import digest_of, fault_of

DIGEST = digest_of(b"request")


@pytest.fixture
def ledger(journal: Journal) -> Ledger:
    return journal.ledger


async def test_a_cap_of_nothing_lets_free_requests_pass_and_no_other(ledger: Ledger) -> None:
    await ledger.begin("free", "chat", DIGEST, 0)
    with pytest.raises(BudgetError):
        await ledger.begin("paid", "chat", DIGEST, 1)


async def test_the_worst_case_is_reserved_and_the_cost_replaces_it(ledger: Ledger) -> None:
    await ledger.set_cap(1000)
    attempt = await ledger.begin("a", "chat", DIGEST, 600)
    assert ledger.totals() == Totals(spent=0, reserved=600, cap=1000)
    await ledger.done(attempt, b"{}", 250)
    assert ledger.totals() == Totals(spent=250, reserved=0, cap=1000)


async def test_what_could_pass_the_cap_is_refused_with_the_way_out(ledger: Ledger) -> None:
    await ledger.set_cap(3_000_000)
    await ledger.begin("a", "job", DIGEST, 2_000_000)
    with pytest.raises(BudgetError) as caught:
        await ledger.begin("b", "job", DIGEST, 1_500_000)
    assert str(caught.value) == (
        "trial: the next request may cost $1.50, but $0.00 are spent and $2.00 reserved of $3.00; "
        "raise it with `rmft-api resume trial --budget USD`"
    )
    assert ledger.totals().reserved == 2_000_000
    await ledger.set_cap(3_500_000)
    await ledger.begin("b", "job", DIGEST, 1_500_000)


async def test_a_refused_reservation_spoils_none_that_is_committed_with_it(ledger: Ledger) -> None:
    await ledger.set_cap(1000)
    sizes = [300, 900, 300, 500, 300]
    results = await asyncio.gather(
        *(ledger.begin(f"k{i}", "chat", DIGEST, size) for i, size in enumerate(sizes)),
        return_exceptions=True,
    )
    assert [isinstance(result, BudgetError) for result in results] == [0, 1, 0, 1, 0]
    assert ledger.totals() == Totals(0, 900, 1000)


async def test_many_that_settle_together_keep_their_own_answers_and_costs(ledger: Ledger) -> None:
    """As statements of many rows and of few: 64, 16 and 7 of them."""
    await ledger.set_cap(10**6)
    numbers = range(87)
    ids = await asyncio.gather(
        *(ledger.begin(str(number), "chat", DIGEST, 100) for number in numbers)
    )
    await asyncio.gather(*(ledger.done(ids[n], b"%d" % n, 90 + n) for n in numbers))
    for number in numbers:
        (found,) = await ledger.history(str(number), DIGEST)
        assert (found.answer, found.state) == (b"%d" % number, "done")
        assert found.spent == min(90 + number, 100)
    assert ledger.totals().spent == sum(90 + number for number in numbers)


async def test_what_fits_only_after_an_answer_is_refused_before_it_and_not_after(
    ledger: Ledger,
) -> None:
    """All of it in one transaction: those that fit in order fit, and no others."""
    await ledger.set_cap(1000)
    held = await ledger.begin("held", "chat", DIGEST, 600)
    early = ledger.begin("early", "chat", DIGEST, 600)
    ledger.answered(held, b"[]", 100)
    late = ledger.begin("late", "chat", DIGEST, 900)
    refused, taken = await asyncio.gather(early, late, return_exceptions=True)
    assert isinstance(refused, BudgetError)
    assert isinstance(taken, int)
    assert ledger.totals() == Totals(100, 900, 1000)


async def test_iterations_have_their_own_totals_and_caps(ledger: Ledger) -> None:
    await ledger.set_cap(10_000)
    await ledger.enter_iteration(0, cap=500)
    await ledger.begin("a", "chat", DIGEST, 400)
    with pytest.raises(BudgetError):
        await ledger.begin("b", "chat", DIGEST, 200)
    await ledger.enter_iteration(1)
    await ledger.begin("b", "chat", DIGEST, 200)
    assert ledger.totals(0) == Totals(0, 400, 500)
    assert ledger.totals(1) == Totals(0, 200, None)
    assert ledger.totals() == Totals(0, 600, 10_000)
    assert ledger.totals(7) == Totals(0, 0, None)


@pytest.mark.parametrize(
    ("kind", "reserved"),
    [
        (FaultKind.AMBIGUOUS, 600),
        (FaultKind.SAFE, 0),
        (FaultKind.WAIT, 0),
        (FaultKind.STOP, 0),
        (FaultKind.REJECTED, 0),
    ],
)
async def test_only_an_ambiguous_fault_keeps_its_reservation(
    ledger: Ledger, kind: FaultKind, reserved: int
) -> None:
    await ledger.set_cap(1000)
    attempt = await ledger.begin("a", "chat", DIGEST, 600)
    await ledger.failed(attempt, ProviderFault("broken", kind))
    assert ledger.totals() == Totals(0, reserved, 1000)


async def test_a_bill_above_the_reservation_is_recorded_and_told_whatever_the_cap(
    ledger: Ledger,
) -> None:
    await ledger.set_cap(1000)
    first = await ledger.begin("a", "chat", DIGEST, 600)
    await ledger.done(first, b"{}", 1400)
    assert ledger.totals() == Totals(spent=1400, reserved=0, cap=1000)
    with pytest.raises(BudgetError):
        await ledger.begin("b", "chat", DIGEST, 1)


async def test_a_job_is_settled_when_it_ends_and_twice_is_once(ledger: Ledger) -> None:
    await ledger.set_cap(1000)
    attempt = await ledger.begin("job", "job", DIGEST, 600)
    await ledger.done(attempt, b"{}", None)
    assert ledger.totals() == Totals(0, 600, 1000)
    for _ in range(2):
        await ledger.settle("job", 450)
        assert ledger.totals() == Totals(450, 0, 1000)


async def test_a_cap_below_what_is_taken_is_refused(ledger: Ledger) -> None:
    await ledger.set_cap(1000)
    await ledger.begin("a", "chat", DIGEST, 600)
    with pytest.raises(BudgetError, match=r"\$0.000500 is below .* \$0.000600 reserved"):
        await ledger.set_cap(500)
    assert ledger.totals().cap == 1000


async def test_a_key_that_asks_something_else_is_an_error(ledger: Ledger) -> None:
    await ledger.begin("a", "chat", DIGEST, 0)
    with pytest.raises(DataError, match="asks something else"):
        await ledger.history("a", digest_of(b"another request"))


async def test_a_key_that_is_asked_twice_at_once_is_an_error(ledger: Ledger) -> None:
    await ledger.begin("a", "chat", DIGEST, 0)
    with pytest.raises(DataError, match="twice at once"):
        await ledger.begin("a", "chat", DIGEST, 0)


async def test_the_history_tells_every_attempt_and_its_fault(ledger: Ledger) -> None:
    first = await ledger.begin("a", "chat", DIGEST, 0)
    refusal = ProviderFault("too long", FaultKind.REJECTED, status=400, code="length")
    await ledger.failed(first, ProviderFault("cut off", FaultKind.AMBIGUOUS))
    second = await ledger.begin("a", "chat", DIGEST, 0, number=2)
    await ledger.failed(second, refusal)
    lost, refused = await ledger.history("a", DIGEST)
    assert (lost.state, lost.unanswered, lost.number) == ("lost", True, 1)
    assert (refused.state, refused.unanswered, refused.number) == ("refused", False, 2)
    told = fault_of(refused)
    assert (str(told), told.kind, told.status, told.code) == (
        "too long",
        FaultKind.REJECTED,
        400,
        "length",
    )


def test_sums_of_money_are_told_to_the_cent_and_small_ones_in_full() -> None:
    assert dollars(12_340_000) == "$12.34"
    assert dollars(1_234_000_000) == "$1,234.00"
    assert dollars(25) == "$0.000025"


class BudgetAlgebra(RuleBasedStateMachine):
    """Whatever happens, the budget is the sum of the attempts and no reservation passes a cap."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.Runner()
        self.journal = Journal.create(self.folder / "run", "{}", {})
        self.open: dict[int, tuple[int, int]] = {}
        self.settled: dict[int, int] = {}
        self.cap, self.caps, self.iteration, self.keys = 0, dict[int, int](), 0, 0

    def do(self, work: Any) -> Any:
        async def run() -> Any:
            return await work

        return self.loop.run(run())

    def taken(self, iteration: int | None = None) -> int:
        def wanted(i: int) -> bool:
            return iteration is None or i == iteration

        held = sum(reserve for reserve, i in self.open.values() if wanted(i))
        return held + sum(c for i, c in self.settled.items() if wanted(i))

    @rule(cap=st.integers(0, 5000))
    def raise_the_cap(self, cap: int) -> None:
        try:
            self.do(self.journal.ledger.set_cap(cap))
            self.cap = cap
        except BudgetError:
            assert cap < self.taken()

    @rule(iteration=st.integers(0, 3), cap=st.none() | st.integers(0, 3000))
    def enter(self, iteration: int, cap: int | None) -> None:
        try:
            self.do(self.journal.ledger.enter_iteration(iteration, cap))
            if cap is not None:
                self.caps[iteration] = cap
        except BudgetError:
            assert cap is not None
            assert cap < self.taken(iteration)
        self.iteration = iteration

    @rule(reserve=st.integers(0, 900))
    def begin(self, reserve: int) -> None:
        self.keys += 1
        fits = self.taken() + reserve <= self.cap and (
            self.taken(self.iteration) + reserve <= self.caps.get(self.iteration, 10**9)
        )
        try:
            attempt = self.do(self.ask(f"k{self.keys}", reserve))
        except BudgetError:
            assert not fits
        else:
            assert fits or reserve == 0
            self.open[attempt] = (reserve, self.iteration)

    async def ask(self, key: str, reserve: int) -> int:
        return await self.journal.ledger.begin(key, "chat", DIGEST, reserve)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cost=st.integers(0, 1200))
    def finish(self, data: st.DataObject, cost: int) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.open)))
        _, iteration = self.open.pop(attempt)
        self.do(self.journal.ledger.done(attempt, b"{}", cost))
        self.settled[iteration] = self.settled.get(iteration, 0) + cost

    @precondition(lambda self: self.open)
    @rule(data=st.data(), kind=st.sampled_from(FaultKind), cost=st.none() | st.integers(0, 1200))
    def fail(self, data: st.DataObject, kind: FaultKind, cost: int | None) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.open)))
        self.do(self.journal.ledger.failed(attempt, ProviderFault("broken", kind), cost))
        if cost is not None:
            _, iteration = self.open.pop(attempt)
            self.settled[iteration] = self.settled.get(iteration, 0) + cost
        elif kind not in (FaultKind.AMBIGUOUS, FaultKind.NO_ANSWER):
            del self.open[attempt]

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = Journal.open(self.folder / "run")
        self.do(self.journal.ledger.enter_iteration(self.iteration))

    @invariant()
    def the_totals_are_the_sums(self) -> None:
        total = self.journal.ledger.totals()
        assert total.spent == sum(self.settled.values())
        assert total.reserved == sum(reserve for reserve, _ in self.open.values())
        for iteration in range(4):
            inner = self.journal.ledger.totals(iteration)
            assert inner.spent + inner.reserved == self.taken(iteration)

    def teardown(self) -> None:
        self.journal.close()
        self.loop.close()
        shutil.rmtree(self.folder)


TestBudgetAlgebra = BudgetAlgebra.TestCase
TestBudgetAlgebra.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
