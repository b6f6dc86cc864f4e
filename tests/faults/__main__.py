"""`python -m tests.faults matrix | smoke | torture | bugs | list`; see `--help`."""

import argparse
import fnmatch
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self

from tests.faults import layers, refusals, report
from tests.faults.bugs import BUGS
from tests.faults.cases import Case, Verdict
from tests.faults.drive import Drive, baseline
from tests.faults.invariants import Baseline
from tests.faults.world import BATCHED, QUICK, Nurseries, Setting, build


class Lab:
    """Where cases are played: a folder, and the undisturbed runs that they are measured against."""

    def __init__(self, folder: Path, bug: str = "", *, keep: bool = False) -> None:
        self.folder = folder
        self.bug = bug
        self.keep = keep
        self.nurseries = Nurseries(folder / "nurseries")
        self._baselines: dict[Setting, tuple[Baseline, dict[str, int]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.nurseries.close()

    def baseline(self, setting: Setting) -> Baseline:
        """The undisturbed run of a setting, made once."""
        return self._measured(setting)[0]

    def points(self, setting: Setting = QUICK) -> dict[str, int]:
        """How often an undisturbed run passes each fault point."""
        return self._measured(setting)[1]

    def wall_s(self) -> float:
        """How long an undisturbed run takes here, once Python has started."""
        world = build(self.folder / "clocked", QUICK, nurseries=self.nurseries)
        said = world.begin().start().finish(60)
        world.provider.stop()
        return said.wall_s

    def _measured(self, setting: Setting) -> tuple[Baseline, dict[str, int]]:
        setting = replace(setting, budget_usd=QUICK.budget_usd)  # a cap changes no result
        if setting not in self._baselines:
            folder = self.folder / f"baseline-{len(self._baselines)}"
            self._baselines[setting] = baseline(setting, folder)
        return self._baselines[setting]

    def share(self, other: "Lab") -> "Lab":
        """Measure against the undisturbed runs of another lab: those without a bug."""
        self._baselines, self.nurseries = other._baselines, other.nurseries
        return self

    def play(self, cases: Sequence[Case], jobs: int) -> list[Verdict]:
        """All cases, `jobs` at a time, in the order in which they end."""
        for setting in {case.setting: None for case in cases}:
            self.baseline(setting)
        progress = report.Progress(len(cases))
        with ThreadPoolExecutor(jobs) as pool:
            for verdict in pool.map(self.one, cases):
                progress.add(verdict)
        return progress.verdicts

    def one(self, case: Case) -> Verdict:
        """One case."""
        folder = self.folder / re.sub(r"[^A-Za-z0-9_.:+-]", "_", case.id)
        baseline = self.baseline(case.setting)
        return Drive(case, folder, baseline, self.bug, self.nurseries).run(keep=self.keep)


def matrix(lab: Lab) -> Iterator[Case]:
    """Layers A, D, E, G and J: every change is met by these."""
    yield from layers.crashes(lab.points())
    yield from layers.provider_faults()
    yield from layers.lost_replies()
    yield from layers.batches(lab.points(BATCHED))
    yield from refusals.refused_after_work()


def smoke(lab: Lab, every: int = 24) -> list[Case]:
    """A thin slice of the matrix, spread over all of it: one case in so many."""
    return list(matrix(lab))[::every]


def count_syscalls(folder: Path, nurseries: Nurseries) -> dict[str, int]:
    """How often one thread of an undisturbed run makes each system call of layer C."""
    world = build(folder, QUICK, nurseries=nurseries)
    log = folder / "strace.log"
    names = ",".join(layers.SYSCALLS)
    process = world.begin()
    process.tracer = ("-o", str(log), "-e", f"trace={names}")
    said = process.start().finish(300)
    world.provider.stop()
    if said.code != 0:
        raise RuntimeError(f"the traced run ended with {said.code}: {said.stderr[-500:]}")
    return _most_per_thread(log.read_text(errors="replace").splitlines())


def _most_per_thread(lines: Iterable[str]) -> dict[str, int]:
    calls = (re.match(r"(\d+)\s+(\w+)\(", line) for line in lines)
    seen = Counter((found.group(2), found.group(1)) for found in calls if found)
    most: dict[str, int] = {}
    for (name, _), count in seen.items():
        most[name] = max(most.get(name, 0), count)
    return most


def torture(lab: Lab, args: argparse.Namespace) -> Iterator[Case]:
    """Layers B, C and F; measuring for a layer that `--only` leaves out is spared."""
    wanted = [layer for layer in "FBC" if args.only[0] in f"*?[{layer}"]
    if "F" in wanted:
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        yield from layers.torture(seeds, lab.points(), lab.wall_s())
    if "B" in wanted:
        yield from list(layers.double_crashes(lab.points()))[:: args.every]
    if "C" in wanted:
        counts = count_syscalls(lab.folder / "syscalls", lab.nurseries)
        yield from layers.syscall_sweep(counts, args.every)


def catch(lab: Lab, jobs: int, only: str) -> int:
    """Plant each bug in turn; 0 where every one is caught by the promise that it breaks."""
    cases, missed = list(matrix(lab)), 0
    for name, bug in BUGS.items():
        if not fnmatch.fnmatch(name, only):
            continue
        chosen = [case for case in cases if fnmatch.fnmatch(case.id, bug.only)][:6]
        broken = Lab(lab.folder / name, name).share(lab).play(chosen, jobs)
        told = [text for verdict in broken for text in verdict.violations]
        caught = [text for text in told if text.split()[0] == bug.promise]
        missed += not caught
        example = (caught or told or ["nothing"])[0]
        verdict = f"caught {len(caught)}x" if caught else "MISSED"
        sys.stdout.write(f"{name:20} {bug.promise:4} {verdict:10} {example[:120]}\n")
    return int(missed > 0)


def main() -> int:
    """Play what was asked for; 0 where no promise was broken."""
    args = _arguments()
    started = time.monotonic()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="rmft-faults-"))
    with Lab(folder, args.bug, keep=args.keep) as lab:
        if args.what == "bugs":
            return catch(lab, args.jobs, args.only)
        return _play(lab, args, started)


def _play(lab: Lab, args: argparse.Namespace, started: float) -> int:
    cases = [case for case in _cases(lab, args) if fnmatch.fnmatch(case.id, args.only)]
    if args.what == "list":
        sys.stdout.write("".join(f"{case.id}\n" for case in cases))
        return 0
    verdicts = lab.play(cases, args.jobs)
    report.write(args.json or lab.folder / "results.json", verdicts, " ".join(sys.argv[1:]))
    sys.stdout.write(f"{report.table(verdicts)}\n")
    report.say(f"{time.monotonic() - started:.0f} s; folders of broken cases: {lab.folder}")
    return int(any(verdict.violations for verdict in verdicts))


def _cases(lab: Lab, args: argparse.Namespace) -> Iterable[Case]:
    if args.what == "smoke":
        return smoke(lab)
    if args.what == "torture":
        return torture(lab, args)
    return matrix(lab)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("what", choices=("matrix", "smoke", "torture", "bugs", "list"))
    parser.add_argument("--only", default="*", help="a pattern of case ids, e.g. 'E/job_create*'")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--seeds", type=int, default=100, help="torture: how many")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="torture: one in so many of B and C")
    parser.add_argument("--bug", default="", help="plant a bug first (tests/faults/bugs.py)")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary one")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all cases")
    parser.add_argument("--json", type=Path, help="results; default: results.json in the folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
