"""The judges themselves: each promise, broken by hand, is noticed."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fake_provider.client import Books
from tests.fake_provider.scripts import Outcome
from tests.fake_provider.store import Charge, Store
from tests.faults import invariants
from tests.faults.cases import Case, Stop
from tests.faults.evidence import Attempt, JournalView, Money, Result, readable, secrets_in
from tests.faults.invariants import Baseline
from tests.faults.world import CANARY, QUICK, Said

RESULT = Result((("d", "1"),), ("t",), ("base", "m1", "m2"), "{}")
CASE = Case("A", "x")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "provider.sqlite")


@pytest.fixture
def books(store: Store, tmp_path: Path) -> Books:
    return Books(tmp_path / "provider.sqlite")


def job(store: Store, content: bytes, status: str = "succeeded") -> None:
    file = store.add_file("f.jsonl", "fine-tune", content)
    kept: dict[str, Any] = {"model": "base", "training_file": file.id, "method": {}, "id": "j"}
    store.add_job({"job": {**kept, "status": status}})


def call(store: Store, hash: str, times: int = 1) -> None:
    for _ in range(times):
        store.charge(None, "", Charge("chat", "m", hash, micro_usd=10))


def view(spent: int = 0, reserved: int = 0, cap: int | None = None, **more: Any) -> JournalView:
    money = Money(spent, reserved, cap)
    return JournalView("ok", money, money, (), "")


def judge(
    case: Case, books: Books, calls: dict[str, int], result: Result | None, unknown: int = 99
) -> str:
    lost = tuple(Attempt(str(i), 1, "chat", "lost", None) for i in range(unknown))
    baseline = Baseline(RESULT, Counter(calls), 10, 1.0)
    world: Any = type("W", (), {"setting": QUICK, "said": []})
    world.provider = type("P", (), {"books": books})
    journal = replace(view(), attempts=lost)
    return "\n".join(invariants.at_the_end(case, world, baseline, result, journal))


def test_an_undisturbed_run_breaks_nothing(store: Store, books: Books) -> None:
    job(store, b"1")
    job(store, b"2")
    call(store, "a")
    assert judge(CASE, books, {"a": 1}, RESULT) == ""


def test_i1_a_second_live_job_for_one_order_is_noticed_even_under_another_name(
    store: Store, books: Books
) -> None:
    for content in (b"1", b"2", b"2"):
        job(store, content)
    assert judge(CASE, books, {}, RESULT).startswith("I1 2 live jobs")


def test_i1_cancelled_and_failed_jobs_are_not_live(store: Store, books: Books) -> None:
    for content, status in ((b"1", "succeeded"), (b"2", "succeeded"), (b"2", "cancelled")):
        job(store, content, status)
    assert judge(CASE, books, {}, RESULT) == ""


def test_i1_an_orphan_is_noticed(store: Store, books: Books) -> None:
    for content in (b"1", b"2", b"3"):
        job(store, content, "queued")
    assert judge(CASE, books, {}, RESULT) == "I1 3 orders live, 2 iterations"


def test_i2_a_bill_that_the_ledger_does_not_know_is_noticed(store: Store, books: Books) -> None:
    call(store, "a", 3)
    money = invariants.money
    assert list(money(books, view(spent=10, reserved=20))) == []
    assert next(iter(money(books, view(spent=29)))).startswith("I2 billed 30")
    assert next(iter(money(books, view(spent=30, reserved=1, cap=30)))).startswith("I2 spent 30")


@pytest.mark.parametrize(
    ("stops", "allowed"),
    [
        ((), 0),
        ((Stop(crash_at="p:1:TERM"),), 0),
        ((Stop(signals=((1, "SIGINT"),)),), 0),
        ((Stop(crash_at="p:1:KILL"),), 4),
        ((Stop(crash_at="p:1:INT2"),), 4),
        ((Stop(kill_when_struck=1), Stop(crash_at="p:1:KILL")), 8),
    ],
)
def test_i3_only_what_was_under_way_at_a_hard_stop_may_be_billed_again(
    store: Store, books: Books, stops: tuple[Stop, ...], allowed: int
) -> None:
    minimum = {str(i): 1 for i in range(20)}
    for i in range(20):
        call(store, str(i), 2 if i < allowed else 1)
    case = replace(CASE, stops=stops)
    assert judge(case, books, minimum, None) == ""
    call(store, "19")
    assert judge(case, books, minimum, None).startswith("I3")


def test_i3_a_doubtful_fault_allows_one_call_more_and_a_clear_one_none(
    store: Store, books: Books
) -> None:
    call(store, "a", 2)
    store.faulted(1, "chat", "429_seconds", "safe", 0)
    assert judge(CASE, books, {"a": 1}, None).startswith("I3 1 calls")
    store.faulted(1, "chat", "eof", "ambiguous", 1)
    assert judge(CASE, books, {"a": 1}, None) == ""


def test_i3_what_was_answered_may_not_be_billed_again_whatever_befell_the_run(
    store: Store, books: Books
) -> None:
    call(store, "a", 2)
    case = replace(CASE, stops=(Stop(crash_at="p:1:KILL"),))
    assert judge(case, books, {"a": 1}, None, unknown=1) == ""
    assert judge(case, books, {"a": 1}, None, unknown=0).startswith("I3 1 calls")


def test_i3_where_replies_differ_each_call_is_still_billed_once(store: Store, books: Books) -> None:
    case = replace(CASE, outcome=Outcome.DATA)
    call(store, "never asked in the undisturbed run")
    assert judge(case, books, {}, None) == ""
    call(store, "never asked in the undisturbed run")
    assert judge(case, books, {}, None).startswith("I3")


@pytest.mark.parametrize("field", ["datasets", "trained", "chain", "figures"])
def test_i4_any_difference_of_the_result_is_noticed(store: Store, books: Books, field: str) -> None:
    job(store, b"1")
    job(store, b"2")
    changed = replace(RESULT, **{field: (*RESULT.chain, "other")})
    assert judge(CASE, books, {}, changed).startswith(f"I4 {field} differ")


def test_i5_a_lost_acknowledgement_and_a_wrong_sum_are_noticed() -> None:
    judge_journal = invariants.journal
    before = replace(view(), attempts=(Attempt("k", 1, "chat", "done", b"x"),))
    assert list(judge_journal(before, before)) == []
    assert next(iter(judge_journal(before, view()))).startswith("I5 1 acknowledged")
    assert next(iter(judge_journal(None, replace(view(), sums=Money(1, 0, None))))).startswith("I5")
    assert list(judge_journal(None, replace(view(), healthy="row 3 missing")))


def test_i6_the_key_is_found_in_any_file_and_in_packed_values(tmp_path: Path) -> None:
    (tmp_path / "provider").mkdir()
    (tmp_path / "provider" / "books").write_text(CANARY)
    assert secrets_in(tmp_path, None, CANARY) == []
    (tmp_path / "stderr.0").write_text(f"bad key {CANARY}")
    assert secrets_in(tmp_path, None, CANARY) == ["stderr.0"]
    import zlib

    packed = readable(zlib.compress(json.dumps({"header": CANARY}).encode()))
    assert secrets_in(tmp_path, replace(view(), text=packed), CANARY)[1:] == ["the journal's rows"]


@pytest.mark.parametrize(
    ("code", "stderr", "broken"),
    [
        (0, "", ""),
        (75, "later: `rmft-api resume case`", ""),
        (75, "later", "I7 exit 75 without the way out"),
        (70, "Traceback (most recent call last)\nKeyError", "I7 a traceback"),
    ],
)
def test_i7_a_way_out_is_printed_and_no_traceback(
    tmp_path: Path, code: int, stderr: str, broken: str
) -> None:
    Store(tmp_path / "books.sqlite").close()
    served = type("P", (), {"books": Books(tmp_path / "books.sqlite")})
    world: Any = type("W", (), {"folder": tmp_path, "provider": served})
    said = Said(("run",), code, "", stderr, 1.0)
    told = "\n".join(invariants.after_process(world, said, None, view()))
    assert told.startswith(broken) if broken else not told


@pytest.mark.parametrize(
    ("stop", "code", "right"),
    [
        (Stop(crash_at="p:1:KILL"), -9, True),
        (Stop(crash_at="p:1:TERM"), 143, True),
        (Stop(crash_at="p:1:TERM"), 130, False),
        (Stop(crash_at="p:1:INT2"), 130, True),
        (Stop(signals=((1.0, "SIGINT"),)), 130, True),
        (None, 75, False),
        (None, 0, True),
    ],
)
def test_i7_an_exit_code_fits_what_befell_the_process(
    stop: Stop | None, code: int, right: bool
) -> None:
    said = Said(("run",), code, "", "", 1.0)
    assert bool(list(invariants.exit_code(CASE, stop, said))) is not right


def test_a_journal_is_read_as_a_crash_left_it_and_left_as_it_was(tmp_path: Path) -> None:
    from tests.faults.evidence import read_journal

    assert read_journal(tmp_path) is None
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE budget (scope, spent, reserved, excess, cap)")
        db.execute(
            "CREATE TABLE attempts (id, key, number, kind, state, answer, spent, excess, reserved)"
        )
        db.execute("INSERT INTO budget VALUES (-1, 3, 4, 0, 9)")
        db.execute("INSERT INTO attempts VALUES (1, 'k', 1, 'chat', 'done', x'31', 3, 0, 4)")
        db.execute("PRAGMA user_version = 1")
        db.commit()
        log = (tmp_path / "journal.sqlite-wal").read_bytes()
        seen = read_journal(tmp_path)
        assert seen is not None
        assert seen.money == Money(3, 4, 9) == seen.sums
        assert seen.answers == {("k", 1): b"1"}
        assert (tmp_path / "journal.sqlite-wal").read_bytes() == log
