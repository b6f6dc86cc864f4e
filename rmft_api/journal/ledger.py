"""What was asked of the outside world, what came back, and what it cost.

An attempt is one request. Its row is committed, with the worst case reserved, before the request
leaves, and settled after:

    sent ──> done      answered; the answer and its cost are here
         ├─> lost      perhaps done and billed: the reservation stays. What the outbox looked for
         │             and did not find continues to released or refused, if that was the answer
         ├─> released  certainly not done: the reservation is free again
         └─> refused   refused for its content, finally: an answer too

A row that a crash left "sent" is as good as "lost". Money is integer micro-dollars.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any, Literal, NamedTuple

import msgspec

from rmft_api.core.errors import BudgetError, DataError, FaultKind, ProviderFault
from rmft_api.journal.accounting import Accounting
from rmft_api.journal.schema import RUN_SCOPE
from rmft_api.journal.writer import RowStatement, Value, Writer

State = Literal["sent", "done", "lost", "released", "refused"]

_STATES: Mapping[FaultKind, State] = {
    FaultKind.AMBIGUOUS: "lost",
    FaultKind.NO_ANSWER: "lost",
    FaultKind.REJECTED: "refused",
}
_BEGIN_INTO = """INSERT INTO attempts
  (id, key, number, kind, iteration, digest, request, reserved, created, state) VALUES"""
_BEGIN_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, 'sent')"
_BEGIN = RowStatement(f"{_BEGIN_INTO} {_BEGIN_ROW}", f"{_BEGIN_INTO} {{rows}}", _BEGIN_ROW)
_DONE = RowStatement(
    """UPDATE attempts SET state = 'done', answer = ?2, settled = ?3, reserved = 0,
  spent = min(?4, reserved), excess = max(?4 - reserved, 0) WHERE id = ?1""",
    """WITH done (attempt, said, at, cost) AS (VALUES {rows})
  UPDATE attempts SET state = 'done', answer = done.said, settled = done.at, reserved = 0,
  spent = min(done.cost, reserved), excess = max(done.cost - reserved, 0)
  FROM done WHERE id = done.attempt""",
    "(?, ?, ?, ?)",
)
_DONE_UNSETTLED = "UPDATE attempts SET state = 'done', answer = ?, settled = ? WHERE id = ?"
_LOST = "UPDATE attempts SET state = 'lost', answer = ?, settled = ? WHERE id = ?"
_FREE = "UPDATE attempts SET state = ?, answer = ?, settled = ?, reserved = 0 WHERE id = ?"
_BELIEVED = "UPDATE attempts SET state = ?, reserved = 0 WHERE id = ? AND state = 'lost'"
_FAILED_AT_COST = """UPDATE attempts SET state = ?1, answer = ?2, settled = ?3, reserved = 0,
  spent = min(?4, reserved), excess = max(?4 - reserved, 0) WHERE id = ?5"""
_SETTLE = """UPDATE attempts SET reserved = 0, spent = min(?2, reserved + spent),
  excess = max(?2 - reserved - spent, 0) WHERE id = ?1 AND state = 'done'"""
ASIDE = "/set-aside"
"""What the keys of attempts end with whose answers count no more; their cost does."""
_SET_ASIDE = """UPDATE attempts SET key = key || ?2
  WHERE substr(key, 1, length(?1)) = ?1 AND substr(key, -length(?2)) != ?2"""
_SET_CAP = """INSERT INTO budget (scope, cap) VALUES (?, ?)
  ON CONFLICT (scope) DO UPDATE SET cap = excluded.cap"""
_ATTEMPT = """SELECT id, key, number, kind, digest, state, reserved, spent, created, settled,
  answer, request FROM attempts WHERE id = ?"""


class Attempt(NamedTuple):
    """One row: one request, and what became of it. Times are UTC milliseconds."""

    id: int
    key: str
    number: int
    """From 1."""
    kind: str
    digest: bytes
    state: State
    reserved: int
    spent: int
    created: int
    settled: int | None
    answer: bytes | None
    """JSON: what came back when done, the fault otherwise."""
    request: bytes | None = None
    """What was requested, or who serves it; stored where it is needed."""

    @property
    def unanswered(self) -> bool:
        """Whether the provider may have done it without our knowing what came back."""
        return self.state == "sent" or (self.state == "lost" and not self._came)

    @property
    def _came(self) -> bool:
        """Whether a reply came that holds no answer."""
        return self.answer is not None and fault_of(self).kind is FaultKind.NO_ANSWER

    @property
    def refused_as(self) -> FaultKind | None:
        """How a provider refused it, where that is not believed yet."""
        if self.state != "lost":
            return None
        kind = fault_of(self).kind
        return None if _STATES.get(kind) == "lost" else kind


class NewAttempt(NamedTuple):
    """One attempt of several that begin together."""

    key: str
    digest: bytes
    number: int
    reserve: int


class Totals(NamedTuple):
    """Micro-dollars."""

    spent: int
    reserved: int
    cap: int | None


class StoredFault(msgspec.Struct, frozen=True):
    """A ProviderFault as it is kept."""

    message: str
    kind: FaultKind
    status: int | None
    code: str | None


class Ledger:
    """The attempts of a run and its budget. `name` is the run's, for messages."""

    def __init__(self, writer: Writer, name: str, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._name = name
        self._clock = clock
        self.accounting = Accounting(writer)
        self._ids = writer.work_now(_ids_by_key)
        self._new_ids = count(1 + max((ids[-1] for ids in self._ids.values()), default=0))
        self._iteration = 0

    def knows(self, key: str) -> bool:
        """Whether this key was ever requested."""
        return bool(self._ids.get(key))

    def count(self) -> int:
        """Attempts so far: requests that left, or may have."""
        return sum(len(ids) for ids in self._ids.values())

    async def history(self, key: str, digest: bytes) -> list[Attempt]:
        """All attempts of a key, oldest first. Raises DataError if they asked something else."""
        attempts = await self.attempts(key)
        if any(attempt.digest != digest for attempt in attempts):
            raise self.asks_something_else(key)
        return attempts

    async def attempts(self, key: str) -> list[Attempt]:
        """All attempts of a key, oldest first, whatever they asked."""
        ids = self._ids.get(key, ())
        return await self._writer.work(lambda connection: _attempts(connection, ids))

    def asks_something_else(self, key: str) -> DataError:
        """What to raise where the attempts of a key asked something else."""
        return DataError(
            f"{self._name}: {key} now asks something else than when it was first asked; "
            "code, prompts or settings changed since: start a new run, or restore them"
        )

    def begin(
        self,
        key: str,
        kind: str,
        digest: bytes,
        reserve: int,
        *,
        number: int = 1,
        request: bytes | None = None,
    ) -> Coroutine[Any, Any, int]:
        """Reserve and record an attempt, handed in at once; its id, durable once awaited.

        Raises BudgetError, when awaited, if the cap is too near.
        """
        if self._writer.failing is not None:
            raise self._writer.failing
        earlier = self._ids.get(key, ())
        if number != len(earlier) + 1:
            raise DataError(f"{self._name}: {key} was requested twice at once; keys must be unique")
        attempt = next(self._new_ids)
        row = (attempt, key, number, kind, self._iteration, digest, request, reserve, self._now())
        written = self._writer.write(_BEGIN, row)
        self._ids[key] = (*earlier, attempt)
        return self._started(written, attempt, key, reserve)

    async def _started(self, written: Awaitable[None], attempt: int, key: str, reserve: int) -> int:
        try:
            await written
        except sqlite3.IntegrityError as error:
            self._ids[key] = self._ids[key][:-1]
            if "within_cap" not in str(error):
                raise
            raise self._refusal(reserve) from None
        return attempt

    async def begin_all(
        self, attempts: Sequence[NewAttempt], kind: str, request: bytes
    ) -> list[int]:
        """Reserve and record several attempts, all or none; their ids.

        Raises BudgetError when the cap is too near for all of them together.
        """
        if self._writer.failing is not None:
            raise self._writer.failing
        ids = [next(self._new_ids) for _ in attempts]
        at = self._now()
        rows = [
            (id_, new.key, new.number, kind, self._iteration, new.digest, request, new.reserve, at)
            for id_, new in zip(ids, attempts, strict=True)
        ]
        try:
            await self._writer.write_all(_BEGIN, rows)
        except sqlite3.IntegrityError as error:
            if "within_cap" not in str(error):
                raise
            raise self._refusal(sum(new.reserve for new in attempts)) from None
        for id_, new in zip(ids, attempts, strict=True):
            self._ids[new.key] = (*self._ids.get(new.key, ()), id_)
        return ids

    async def done(self, attempt: int, answer: bytes, cost: int | None) -> None:
        """Record the answer and its cost. None leaves the reservation as it is until `settle`."""
        await self._writer.write(*self._done(attempt, answer, cost))

    def answered(self, attempt: int, answer: bytes, cost: int | None) -> None:
        """As `done`, without waiting: durable before anything that is recorded after it."""
        self._writer.put(*self._done(attempt, answer, cost))

    def _done(
        self, attempt: int, answer: bytes, cost: int | None
    ) -> tuple[str | RowStatement, Sequence[Value]]:
        if cost is None:
            return _DONE_UNSETTLED, (answer, self._now(), attempt)
        return _DONE, (attempt, answer, self._now(), cost)

    async def failed(self, attempt: int, fault: ProviderFault, cost: int | None = None) -> None:
        """Record a fault, and its cost where that is known.

        Else its kind says what becomes of the reservation: it stays for what may have been billed.
        """
        state = _state_after(fault.kind)
        if cost is not None:
            row = (state, _kept(fault), self._now(), cost, attempt)
            await self._writer.write(_FAILED_AT_COST, row)
        elif state == "lost":
            await self.doubted(attempt, fault)
        else:
            await self._writer.write(_FREE, (state, _kept(fault), self._now(), attempt))

    async def doubted(self, attempt: int, fault: ProviderFault) -> None:
        """Record a fault of whatever kind that is not believed: the reservation stays."""
        await self._writer.write(_LOST, (_kept(fault), self._now(), attempt))

    async def believed(self, attempt: Attempt) -> None:
        """A search found nothing of what was refused as `refused_as`: nothing is held."""
        kind = attempt.refused_as
        if kind is not None:
            await self._writer.write(_BELIEVED, (_state_after(kind), attempt.id))

    async def settle(self, key: str, cost: int) -> None:
        """The final cost of something done earlier, e.g. a job that has ended. Idempotent."""
        await self._writer.write(_SETTLE, (self._ids[key][-1], cost))

    async def set_aside(self, prefix: str) -> int:
        """Let what was asked under keys of this beginning be asked again; how many keys these were.

        Every attempt stays accounted for; its answer no longer counts.
        """
        moved = [key for key in self._ids if key.startswith(prefix) and not key.endswith(ASIDE)]
        await self._writer.write(_SET_ASIDE, (prefix, ASIDE))
        for key in moved:
            self._ids[key + ASIDE] = (*self._ids.get(key + ASIDE, ()), *self._ids.pop(key))
        return len(moved)

    async def enter_iteration(self, iteration: int, cap: int | None = None) -> None:
        """Book what follows under `iteration`, with a cap of its own if one is given."""
        self._iteration = iteration
        await self._writer.write("INSERT OR IGNORE INTO budget (scope) VALUES (?)", (iteration,))
        if cap is not None:
            await self.set_cap(cap, iteration)

    async def set_cap(self, cap: int, iteration: int | None = None) -> None:
        """Set the most that may be spent. Raises BudgetError below what is already taken."""
        try:
            await self._writer.write(_SET_CAP, (_scope(iteration), cap))
        except sqlite3.IntegrityError:
            taken = self.totals(iteration)
            raise BudgetError(
                f"budget {dollars(cap)} is below the {dollars(taken.spent)} spent and "
                f"{dollars(taken.reserved)} reserved in {self._name}; choose a higher one"
            ) from None

    def totals(self, iteration: int | None = None) -> Totals:
        """Spent, reserved and cap of an iteration, or of the whole run."""
        return self._writer.work_now(lambda connection: _totals(connection, _scope(iteration)))

    def _refusal(self, reserve: int) -> BudgetError:
        """Which of the two caps is too near, and what raises it."""
        taken, option, where = self.totals(), "--budget", ""
        if taken.cap is None or taken.spent + taken.reserved + reserve <= taken.cap:
            taken, option = self.totals(self._iteration), "--iteration-budget"
            where = f" in iteration {self._iteration}"
        return BudgetError(
            f"{self._name}: the next request may cost {dollars(reserve)}, but "
            f"{dollars(taken.spent)} are spent and {dollars(taken.reserved)} reserved of "
            f"{dollars(taken.cap or 0)}{where}; raise it with "
            f"`rmft-api resume {self._name} {option} USD`"
        )

    def _now(self) -> int:
        return int(self._clock() * 1000)


def digest_of(request: bytes) -> bytes:
    """What a request asked, in 16 bytes."""
    return sha256(request).digest()[:16]


def _kept(fault: ProviderFault) -> bytes:
    return msgspec.json.encode(StoredFault(str(fault), fault.kind, fault.status, fault.code))


def _state_after(kind: FaultKind) -> State:
    return _STATES.get(kind, "released")


def fault_of(attempt: Attempt) -> ProviderFault:
    """The refusal that an attempt met."""
    fault = msgspec.json.decode(attempt.answer or b"", type=StoredFault)
    return ProviderFault(fault.message, fault.kind, status=fault.status, code=fault.code)


def dollars(micro: int) -> str:
    """Micro-dollars as people write them, to the cent; smaller sums in full."""
    return f"${micro / 1e6:,.2f}" if micro % 10_000 == 0 else f"${micro / 1e6:,.6f}"


def _scope(iteration: int | None) -> int:
    return RUN_SCOPE if iteration is None else iteration


def _ids_by_key(connection: sqlite3.Connection) -> dict[str, tuple[int, ...]]:
    """Every key's attempts, oldest first."""
    found: dict[str, tuple[int, ...]] = {}
    for attempt, key in connection.execute("SELECT id, key FROM attempts ORDER BY id"):
        found[key] = (*found.get(key, ()), attempt)
    return found


def _attempts(connection: sqlite3.Connection, ids: tuple[int, ...]) -> list[Attempt]:
    return [Attempt(*connection.execute(_ATTEMPT, (attempt,)).fetchone()) for attempt in ids]


def _totals(connection: sqlite3.Connection, scope: int) -> Totals:
    sql = "SELECT spent + excess, reserved, cap FROM budget WHERE scope = ?"
    found: tuple[int, int, int | None] | None = connection.execute(sql, (scope,)).fetchone()
    return Totals(*found) if found else Totals(0, 0, None)
