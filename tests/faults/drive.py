"""A case from its first process to its last: disturb, look, resume, until it is finished."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fake_provider.scripts import Outcome
from tests.faults import invariants
from tests.faults.cases import Case, Stop, Verdict
from tests.faults.evidence import JournalView, Result, read_journal, read_result
from tests.faults.invariants import Baseline
from tests.faults.world import NAME, Nurseries, Process, Said, Setting, build

PROCESSES = 8
"""A run that is not finished after so many undisturbed resumptions never will be."""
PATIENCE_S = 60.0
"""For one process, on our clock."""


class Drive:
    """One case at work. `run` returns what came of it and leaves its folder only if asked to."""

    def __init__(
        self,
        case: Case,
        folder: Path,
        baseline: Baseline,
        bug: str = "",
        nurseries: Nurseries | None = None,
    ) -> None:
        self.case = case
        self.nurseries = nurseries
        self.folder = folder
        self.baseline = baseline
        self.bug = bug
        self.violations: list[str] = []
        self.met = not (case.stops or case.rules)

    def run(self, *, keep: bool = False) -> Verdict:
        """Play the case."""
        started = time.monotonic()
        case = self.case
        self.world = build(
            self.folder, case.setting, case.rules, case.provider, self.bug, self.nurseries
        )
        try:
            self._play()
            struck = self.world.provider.books.faults()
        finally:
            self.world.provider.stop()
        verdict = Verdict(
            case.id,
            tuple(dict.fromkeys(self.violations)),
            struck,
            tuple(said.code for said in self.world.said),
            round(time.monotonic() - started, 3),
            self.met or struck > 0,
            str(self.folder),
        )
        if not keep and not verdict.violations:
            shutil.rmtree(self.folder)
        return verdict

    def _play(self) -> None:
        finished = self._until_finished()
        result = self._result() if finished else None
        if result is None and self.case.outcome is not Outcome.FAILS:
            self.violations.append(f"I8 not finished after {len(self.world.said)} processes")
        journal = read_journal(self.world.run_dir)
        self.violations += invariants.at_the_end(
            self.case, self.world, self.baseline, result, journal
        )
        codes = [said.code for said in self.world.said]
        struck = self.world.provider.books.faults()
        self.violations += invariants.stopped_at_all(self.case, codes, struck)
        if finished:
            self._resume_finished()

    def _until_finished(self) -> bool:
        """Process after process; True once one of them has ended well."""
        journal: JournalView | None = None
        for number in range(len(self.case.stops) + PROCESSES):
            stop = self.case.stops[number] if number < len(self.case.stops) else None
            process = self._process(journal, stop, number)
            said = self._disturbed(process, stop)
            before, journal = journal, read_journal(self.world.run_dir)
            self.violations += invariants.after_process(self.world, said, before, journal)
            self.violations += invariants.exit_code(self.case, stop, said)
            if said.code == 0:
                return True
            self.met = self.met or stop is not None
            if self._is_over(stop, said):
                return False
        return False

    def _is_over(self, stop: Stop | None, said: Said) -> bool:
        """Whether going on would tell nothing new."""
        fails = self.case.outcome is Outcome.FAILS and stop is None and len(self.world.said) > 2
        return fails or said.timed_out or len(self.violations) > 5

    def _process(self, journal: JournalView | None, stop: Stop | None, number: int) -> Process:
        process = self.world.begin() if journal is None else self.world.resume()
        if journal is not None:
            process.arguments += self.case.resume_arguments
        if stop is not None:
            process.environ["RMFT_CRASH_AT"] = stop.crash_at
            process.wrapper, process.tracer = stop.wrapper, stop.tracer
        if number == 0 and self.case.unresolved_names:
            process.environ["RMFT_FAULTS_DNS"] = str(self.case.unresolved_names)
        return process

    def _disturbed(self, process: Process, stop: Stop | None) -> Said:
        process.start()
        if stop is not None:
            if stop.kill_when_struck:
                self._kill_when_struck(process, stop.kill_when_struck)
            if stop.rival:
                self.violations += self._rival(process)
            self._send(process, stop)
        return process.finish(PATIENCE_S)

    def _kill_when_struck(self, process: Process, times: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while process.popen.poll() is None and time.monotonic() < end:
            if self.world.provider.books.faults() >= times:
                process.signal(signal.SIGKILL)
                return
            time.sleep(0.01)

    def _send(self, process: Process, stop: Stop) -> None:
        started = time.monotonic()
        for after_s, name in stop.signals:
            while time.monotonic() < started + after_s and process.popen.poll() is None:
                time.sleep(0.005)
            process.signal(signal.Signals[name])

    def _rival(self, process: Process) -> Iterator[str]:
        """I10: stop the owner in mid-run and try to resume the run beside it."""
        books, end = self.world.provider.books, time.monotonic() + PATIENCE_S
        while books.requests() < 3 and process.popen.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        process.signal(signal.SIGSTOP)
        time.sleep(0.05)
        before = books.requests()
        said = self.world.resume().start().finish(PATIENCE_S)
        self.world.said.pop()
        if process.popen.poll() is None:
            if said.code != 75:
                yield f"I10 a second process ended with {said.code}, not 75: {said.stderr[-200:]!r}"
            if books.requests() != before:
                yield f"I10 a second process sent {books.requests() - before} requests"
        process.signal(signal.SIGCONT)

    def _resume_finished(self) -> None:
        """I9: nothing is paid or created by resuming what is finished."""
        books = self.world.provider.books
        before = books.requests("POST")
        said = self.world.resume().start().finish(PATIENCE_S)
        self.world.said.pop()
        if said.code != 0:
            self.violations.append(f"I9 resuming a finished run ended with {said.code}")
        if books.requests("POST") != before:
            sent = books.requests("POST") - before
            self.violations.append(f"I9 resuming a finished run sent {sent} POSTs")

    def _result(self) -> Result | None:
        said = self.world.process("report", NAME, "--json").start().finish(PATIENCE_S)
        self.world.said.pop()
        try:
            report: dict[str, Any] = json.loads(said.stdout)
        except ValueError:
            self.violations.append(f"I4 no report (exit {said.code}): {said.stderr[-300:]!r}")
            return None
        return read_result(self.world.run_dir, report, self.world.provider.books)


def baseline(setting: Setting, folder: Path) -> tuple[Baseline, dict[str, int]]:
    """An undisturbed run, and how often it passed each fault point. Raises if it fails."""
    world = build(folder, setting)
    trace = folder / "points.json"
    try:
        process = world.begin()
        process.environ["RMFT_FAULTS_TRACE"] = str(trace)
        said = process.start().finish(PATIENCE_S)
        if said.code != 0:
            raise RuntimeError(f"the undisturbed run ended with {said.code}: {said.stderr[-2000:]}")
        report = world.process("report", NAME, "--json").start().finish(PATIENCE_S)
        books = world.provider.books
        result = read_result(world.run_dir, json.loads(report.stdout), books)
        found = Baseline(result, books.calls(), books.requests(), said.wall_s)
        return found, json.loads(trace.read_text())
    finally:
        world.provider.stop()
