"""I1 to I10 of docs/faults.md 4: what must hold after every process, and at the end.

I1 one live job per order, no orphans   I6 the key is nowhere
I2 billed <= spent + reserved <= cap    I7 exit code right, way out printed
I3 no call is billed twice without      I8 ends in time
   need                                 I9 resuming a finished run sends no POST
I4 the result is the undisturbed one    I10 a second process sends nothing
I5 the journal is whole, and nothing
   acknowledged is lost
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import sha256

from tests.fake_provider.client import Books
from tests.fake_provider.scripts import Doubt, Outcome
from tests.faults.cases import Case, Stop
from tests.faults.evidence import JournalView, Result, secrets_in
from tests.faults.world import CANARY, Said, World

RESUMABLE = {69, 74, 75, 77, 130, 143}
"""Exit codes after which `rmft-api resume` is the way on."""
STOPPED = {65, 69, 75, 77, 78}
"""Exit codes of a run that its provider stopped."""
SIGNALS = {"KILL": -9, "TERM": 143, "INT": 130, "INT2": 130, "HUP": 129}
LIVE = {"validating_files", "queued", "running", "paused", "succeeded", "hibernating"}


def after_process(
    world: World, said: Said, before: JournalView | None, now: JournalView | None
) -> Iterator[str]:
    """What must hold whenever a process has ended."""
    if said.timed_out:
        yield f"I8 {said.arguments[0]} did not end within its time"
    if "Traceback (most recent call last)" in said.stderr:
        yield f"I7 a traceback: {said.stderr.strip().splitlines()[-1]}"
    if now is not None and said.code in RESUMABLE and "rmft-api resume" not in said.stderr:
        yield f"I7 exit {said.code} without the way out: {said.stderr[-200:]!r}"
    if secrets := secrets_in(world.folder, now, CANARY):
        yield f"I6 the key is in {', '.join(secrets)}"
    if now is not None:
        yield from journal(before, now)
        yield from money(world.provider.books, now)


def journal(before: JournalView | None, now: JournalView) -> Iterator[str]:
    if now.healthy != "ok":
        yield f"I5 the journal is damaged: {now.healthy}"
    if now.sums != now.money:
        yield f"I5 the budget {now.money} is not the sum of its rows {now.sums}"
    if before is not None:
        lost = [key for key, answer in before.answers.items() if now.answers.get(key) != answer]
        if lost:
            yield f"I5 {len(lost)} acknowledged answers are gone, e.g. {lost[0]}"


def money(books: Books, now: JournalView) -> Iterator[str]:
    billed, money = books.billed(), now.money
    if billed > money.spent + money.reserved:
        yield f"I2 billed {billed} > spent {money.spent} + reserved {money.reserved}"
    if money.cap is not None and money.spent + money.reserved > money.cap:
        yield f"I2 spent {money.spent} + reserved {money.reserved} > cap {money.cap}"


def exit_code(case: Case, stop: Stop | None, said: Said) -> Iterator[str]:
    """Whether the process ended as what befell it demands. A stop may come too late to matter."""
    if said.timed_out or said.code == 0:
        return
    allowed = _codes_of(stop)
    if case.outcome in (Outcome.STOPS, Outcome.WAITS, Outcome.FAILS):
        allowed |= case.codes or STOPPED
    if case.rules and any(stop.hard for stop in case.stops):
        allowed.add(75)  # a call that was killed and then met a fault is lost twice: set aside
    if said.code not in allowed:
        last = said.stderr.strip().splitlines()[-1:] or [""]
        yield f"I7 exit {said.code}, not one of {sorted(allowed)}: {last[0][:300]}"


def stopped_at_all(case: Case, codes: list[int], struck: int) -> Iterator[str]:
    """A fault that only a person can mend must end the process that meets it."""
    if case.outcome is Outcome.STOPS and struck and not any(code > 0 for code in codes):
        yield f"I7 went on although {case.name} needs a person; exit codes {codes}"


def _codes_of(stop: Stop | None) -> set[int]:
    if stop is None:
        return set()
    codes = {SIGNALS[name.removeprefix("SIG")] for _, name in stop.signals if name[3:] in SIGNALS}
    if stop.crash_at:
        codes.add(SIGNALS[stop.crash_at.split(":")[2]])
    if stop.kill_when_struck:
        codes.add(-9)
    if stop.wrapper or stop.tracer:
        codes |= {-9, 137, 74}
    return codes


def at_the_end(
    case: Case,
    world: World,
    baseline: "Baseline",
    result: Result | None,
    journal: JournalView | None,
) -> Iterator[str]:
    """What must hold once the run is finished, or has failed for good."""
    books = world.provider.books
    yield from _jobs(books, world.setting.iterations if result else None)
    yield from _calls(case, world, baseline.calls, journal)
    if result is not None and case.outcome is not Outcome.DATA:
        yield from _same(baseline.result, result)


def _jobs(books: Books, expected: int | None) -> Iterator[str]:
    """Orders are told apart by what they train, not by what the client calls them."""
    contents = {id: sha256(content).hexdigest() for id, _, content in books.files()}
    live: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for job in books.jobs():
        if job["status"] in LIVE:
            order = (job["model"], contents.get(job["training_file"], "?"), str(job["method"]))
            live[order].append(job["id"])
    for ids in live.values():
        if len(ids) > 1:
            yield f"I1 {len(ids)} live jobs for one order: {', '.join(ids)}"
    yield from _batches(books)
    if expected is not None and len(live) != expected:
        yield f"I1 {len(live)} orders live, {expected} iterations"


def _batches(books: Books) -> Iterator[str]:
    """The same requests are in one batch that is neither cancelled nor failed."""
    contents = {id: sha256(content).hexdigest() for id, _, content in books.files()}
    live = [one for one in books.batches() if one["status"] not in ("cancelled", "failed")]
    made = Counter(contents.get(one["input_file_id"], "?") for one in live)
    for content, count in made.items():
        if count > 1:
            yield f"I1 {count} live batches of file {content[:12]}"


def _calls(
    case: Case, world: World, minimum: Counter[str], journal: JournalView | None
) -> Iterator[str]:
    """Two bounds: what befell the run, and what its own journal says nobody knows."""
    books, concurrency = world.provider.books, world.setting.concurrency
    if case.outcome is Outcome.DATA:
        extra = sum(count - 1 for count in books.calls().values())
    else:
        extra = sum((books.calls() - minimum).values())
    doubtful = books.number(
        "SELECT count(*) FROM faults WHERE endpoint = 'chat' AND doubt = ?", Doubt.AMBIGUOUS
    )
    twice = books.number(
        "SELECT coalesce(sum(executions - 1), 0) FROM faults"
        " WHERE endpoint = 'chat' AND executions > 1"
    )
    hard = sum(stop.hard for stop in case.stops)
    if world.setting.transport == "batch":
        if extra:
            yield f"I3 {extra} calls of batches were billed twice"
        return
    if extra > doubtful + twice + hard * concurrency:
        yield (
            f"I3 {extra} calls billed beyond the least, with {doubtful} doubtful faults and "
            f"{hard} hard stops of {concurrency} requests each"
        )
    unknown = journal.open_calls() if journal else 0
    if extra > unknown + twice:
        yield f"I3 {extra} calls billed beyond the least, but only {unknown} had no answer"
    processes = max(1, len(world.said))
    most = max(books.calls().values(), default=0) - max(minimum.values(), default=1) + 1
    if most > 1 + processes + twice:
        yield f"I3 one call was billed {most} times by {processes} processes"


def _same(expected: Result, result: Result) -> Iterator[str]:
    for name in ("datasets", "trained", "chain", "figures"):
        if getattr(expected, name) != getattr(result, name):
            was, now = str(getattr(expected, name)), str(getattr(result, name))
            at = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
            yield f"I4 {name} differ: {was[max(0, at - 40) : at + 60]!r} -> {now[at : at + 60]!r}"


class Baseline:
    """The undisturbed run that a case is measured against."""

    def __init__(self, result: Result, calls: Counter[str], requests: int, wall_s: float) -> None:
        self.result = result
        self.calls = calls
        self.requests = requests
        self.wall_s = wall_s
