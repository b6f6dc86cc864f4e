"""H: crashes of runs on rented deployments: `python -m tests.faults.hosted`, see `--help`.

Every crash point of deploying and of taking down, at each of its passages, and some of playing and
training in between, by SIGKILL, SIGTERM and SIGINT, against the wire-level fake of Azure, or of
another (`--provider bedrock`, `bedrock-rented`, `together`, `fireworks`), and of runs that train
step by step (`tinker`). After each case: nothing stands, nothing is rented that was not taken down,
one job for one order, no step trained twice, no paid reply lost by a signal, and none by a kill but
those in flight.

`refused/ROUTE:STATUS` answers the first requests of a route with a status after they were done.
"""

import argparse
import asyncio
import fnmatch
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from tests.fake_provider.client import ROOT
from tests.fakes import (
    azure,
    bedrock,
    fireworks,
    test_azure_loop,
    test_bedrock_loop,
    test_fireworks_loop,
    test_tinker_loop,
    test_together_loop,
    tinker,
    together,
)
from tests.fakes.loop import Loop, talk
from tests.faults import report
from tests.faults.cases import Verdict
from tests.faults.evidence import JournalView, read_journal, secrets_in
from tests.faults.invariants import RESUMABLE, SIGNALS, STOPPED, journal
from tests.faults.layers import spread
from tests.faults.nursery import Nursery
from tests.faults.world import clocks
from tests.providers.stub import Json, Meets, Routes, Serving

PROCESSES = 5
PATIENCE_S = 60.0
PASSAGES = {"deployment": 8, "teardown": 8, "call": 6, "job": 2, "trajectories": 3, "step": 12}
"""Of which points, and at most how many passages of each."""
REFUSED = "refused/"
STATUSES = (400, 401, 403, 409, 429, 500, 503)
"""How a gateway may answer what its upstream has done."""


@dataclass(frozen=True)
class HostedProvider:
    """A provider that deploys models, and what its fake counts."""

    profile: str
    base: str
    own: str
    """A profiles file that makes waiting short."""
    make: Callable[[], Any]
    routes: Routes
    prefix: str
    environ: Callable[[Any], dict[str, str]]
    secrets: tuple[str, ...]
    order: Callable[[Json], tuple[str, str]]
    """A job's start and file."""
    files: Callable[[Any], int]
    prices: str = ""
    refusing: tuple[str, ...] = ("deploy", "remove", "create", "upload")
    """Routes whose work may be done and then refused."""
    charged: Callable[[Any], Mapping[str, int]] = lambda fake: {}
    """What was paid for more than once, and how often."""


def _of_bedrock(own: str) -> HostedProvider:
    return HostedProvider(
        "bedrock",
        test_bedrock_loop.BASE,
        own,
        lambda: bedrock.FakeBedrock(talk=talk),
        bedrock.BEDROCK,
        bedrock.PREFIX,
        bedrock.environ,
        (bedrock.SECRET,),
        lambda job: (job["start"], job["trainingDataConfig"]["s3Uri"]),
        lambda fake: len(fake.objects),
        test_bedrock_loop.PRICES,
    )


PROVIDERS = {
    "azure": HostedProvider(
        "azure",
        test_azure_loop.BASE,
        test_azure_loop.QUICK,
        lambda: azure.FakeAzure(talk=talk, cold_chats=0, file_status="processed"),
        azure.AZURE,
        azure.PREFIX,
        azure.environ,
        (azure.KEY, azure.TOKEN),
        lambda job: (job["model"], job["training_file"]),
        lambda fake: len(fake.files),
    ),
    "bedrock": _of_bedrock(test_bedrock_loop.QUICK),
    "bedrock-rented": _of_bedrock(test_bedrock_loop.RENTED),
    "together": HostedProvider(
        "together",
        together.BASE,
        test_together_loop.QUICK,
        lambda: together.FakeTogether(talk=talk),
        together.TOGETHER,
        "/v1",
        together.environ,
        (together.KEY,),
        lambda job: (job["root"] + str(job["from_checkpoint"]), job["training_file"]),
        lambda fake: sum(file["bytes"] > 0 for file in fake.files),
        test_together_loop.PRICES,
    ),
    "tinker": HostedProvider(
        "tinker",
        tinker.BASE,
        test_tinker_loop.QUICK,
        lambda: tinker.FakeTinker(talk=talk),
        tinker.TINKER,
        tinker.PREFIX,
        lambda fake: tinker.environ(fake, fake.folder),
        (tinker.KEY,),
        lambda job: (job["start"], job["file"]),
        lambda fake: len({job["file"] for job in fake.jobs}),
        refusing=("create", "load", "forward", "optim", "save", "sampler", "retrieve"),
        charged=lambda fake: fake.twice,
    ),
    "fireworks": HostedProvider(
        "fireworks",
        fireworks.BASE,
        test_fireworks_loop.QUICK,
        lambda: fireworks.FakeFireworks(talk=talk),
        fireworks.FIREWORKS,
        fireworks.PREFIX,
        fireworks.environ,
        (fireworks.KEY,),
        lambda job: (job["base"] + job["warmStartFrom"], job["dataset"]),
        lambda fake: len(fake.datasets),
        test_fireworks_loop.PRICES,
    ),
}


@dataclass
class Hosted:
    """One run at a resource of its own."""

    folder: Path
    nursery: Nursery
    provider: HostedProvider
    fake: Any
    codes: list[int] = field(default_factory=list[int])
    broken: list[str] = field(default_factory=list[str])
    billed: int = 0
    """Chats that were answered."""
    _before: JournalView | None = None

    async def process(self, *arguments: str, **more: str) -> int:
        """One process to its end, and what must hold after it."""
        out, err = (self.folder / f"{name}.{len(self.codes)}" for name in ("stdout", "stderr"))
        child = self.nursery.bear(
            arguments,
            cwd=self.folder,
            environ=self.environment() | more,
            stdout=out,
            stderr=err,
        )
        code = await asyncio.to_thread(child.wait, PATIENCE_S)
        self.codes.append(code)
        self._look(code, err.read_text(errors="replace"))
        return code

    def environment(self) -> dict[str, str]:
        """What a user would set."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        prices = {"RMFT_PRICES": str(self.folder / "prices.toml")} if self.provider.prices else {}
        profiles = {"RMFT_PROFILES": str(self.folder / "profiles.toml")}
        return {**kept, **profiles, **prices, **self.provider.environ(self.fake)}

    def _look(self, code: int, said: str) -> None:
        now = read_journal(self.folder / "runs" / "case")
        if "Traceback" in said:
            self.broken.append(f"I7 a traceback: {said.strip().splitlines()[-1]}")
        if code in RESUMABLE and now is not None and "rmft-api resume" not in said:
            self.broken.append(f"I7 exit {code} without the way out: {said[-200:]!r}")
        for secret in self.provider.secrets:
            self.broken += [f"I6 a key is in {at}" for at in secrets_in(self.folder, now, secret)]
        if now is not None:
            self.broken += journal(self._before, now)
            money = now.money
            if money.cap is not None and money.spent + money.reserved > money.cap:
                self.broken.append(f"I2 {money}")
        self._before = now

    def at_the_end(self) -> Iterator[str]:
        """What must hold once the run is finished."""
        if self.fake.deployments:
            yield f"I1 still standing: {', '.join(self.fake.deployments)}"
        if self.fake.made != self.fake.removed:
            yield f"I1 made {self.fake.made}, taken down {self.fake.removed}"
        yield from self._lost()
        for what, count in self.provider.charged(self.fake).items():
            yield f"I1 trained {count} times: {what}"
        orders = {self.provider.order(job) for job in self.fake.jobs}
        jobs, files = len(self.fake.jobs), self.provider.files(self.fake)
        if len(orders) != 2 or jobs != 2 or files != 2:
            yield f"I1 {jobs} jobs of {files} files where 2 were ordered"

    def _lost(self) -> Iterator[str]:
        """Replies that were paid and that no journal row holds."""
        if self._before is None:
            return
        rows = [one for one in self._before.attempts if one.kind in ("chat", "probe")]
        kept = sum(one.state == "done" for one in rows)
        lost = self.billed - kept
        graceful = -9 not in self.codes
        if not self.billed or lost > (0 if graceful else len(rows) - kept):
            yield f"I3 {lost} paid replies were lost, of {self.billed}"

    def count(self) -> None:
        """From now on every chat that is answered counts as billed."""
        original = self.fake.talk

        def counted(asked: Json, index: int) -> str:
            self.billed += index == 0
            return original(asked, index)

        self.fake.talk = counted


async def play(provider: HostedProvider, name: str, folder: Path, nursery: Nursery) -> Verdict:
    """The case `point:passage:signal` or `refused/route:status`, to its end."""
    started = time.monotonic()
    fake = provider.make()
    async with Serving(fake, provider.routes, provider.prefix):
        run = Hosted(folder, nursery, provider, fake)
        run.count()
        _prepare(folder, provider, fake)
        if name.startswith(REFUSED):
            route, _, status = name.removeprefix(REFUSED).partition(":")
            fake.plan(route, *[Meets(int(status), {}, done=True)] * 2)
            first, allowed = await run.process("run", "case.toml"), {0, *STOPPED}
        else:
            first = await run.process("run", "case.toml", RMFT_CRASH_AT=name)
            allowed = {0, SIGNALS[name.rpartition(":")[2]]}
        if first not in allowed:
            run.broken.append(f"I7 exit {first}, not one of {sorted(allowed)}")
        if first in (130, 143) and fake.deployments:
            run.broken.append(f"I1 a signal left standing: {', '.join(fake.deployments)}")
        await _finish(run)
    took = round(time.monotonic() - started, 3)
    violations = tuple(dict.fromkeys(run.broken))
    met = first != 0 or name.startswith(REFUSED)
    return Verdict(f"H/{name}", violations, 0, tuple(run.codes), took, met, str(folder))


async def _finish(run: Hosted) -> None:
    """Resume until it ends well; then once more, which must send nothing."""
    while run.codes[-1] != 0 and len(run.codes) < PROCESSES:
        arguments = ("resume", "case") if _exists(run) else ("run", "case.toml")
        await run.process(*arguments)
    if run.codes[-1] != 0:
        run.broken.append(f"I8 not finished after {len(run.codes)} processes")
        return
    run.broken += run.at_the_end()
    seen = len(run.fake.seen)
    if await run.process("resume", "case") != 0 or _changes(run.fake, seen):
        run.broken.append("I9 resuming a finished run changed something")
    run.codes.pop()


def _exists(run: Hosted) -> bool:
    return (run.folder / "runs" / "case").exists()


def _changes(fake: Any, since: int) -> list[str]:
    paid = {"chat", "create", "upload", "deploy", "remove", "load", "forward", "optim"}
    return [seen.route for seen in fake.seen[since:] if seen.route in paid]


def _prepare(folder: Path, provider: HostedProvider, fake: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "prices.toml").write_text(provider.prices)
    environ, budget = provider.environ(fake), 300.0
    Loop(folder, environ, provider.profile, provider.base, own=provider.own, budget=budget).write()


async def passages(provider: HostedProvider, folder: Path, nursery: Nursery) -> Mapping[str, int]:
    """How often an undisturbed run passes each point. Raises RuntimeError if it fails."""
    fake = provider.make()
    async with Serving(fake, provider.routes, provider.prefix):
        _prepare(folder, provider, fake)
        trace = folder / "points.json"
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.child", "run", "case.toml"),
            cwd=folder,
            env=Hosted(folder, nursery, provider, fake).environment()
            | {"RMFT_FAULTS_TRACE": str(trace), "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await child.communicate()
        if child.returncode:
            raise RuntimeError(f"the undisturbed run ended with {child.returncode}: {said!r}")
        return json.loads(trace.read_text())


def cases(points: Mapping[str, int], refusing: Sequence[str]) -> Iterator[str]:
    """Their names."""
    for point, count in sorted(points.items()):
        most = PASSAGES.get(point.partition(".")[0], 0)
        for passage, name in product(spread(count, most) if most else (), ("KILL", "TERM", "INT")):
            yield f"{point}:{passage}:{name}"
    for route, status in product(refusing, STATUSES):
        yield f"{REFUSED}{route}:{status}"


async def _all(provider: HostedProvider, folder: Path, only: str, jobs: int) -> list[Verdict]:
    nursery = Nursery(folder / "nursery", "tests.faults.child", clocks(1))
    try:
        points = await passages(provider, folder / "undisturbed", nursery)
        found = cases(points, provider.refusing)
        names = [name for name in found if fnmatch.fnmatch(f"H/{name}", only)]
        progress, free = report.Progress(len(names)), asyncio.Semaphore(jobs)

        async def one(name: str) -> None:
            async with free:
                inside = folder / re.sub(r"[^\w.+-]", "_", name)
                progress.add(await play(provider, name, inside, nursery))

        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(one(name))
        return progress.verdicts
    finally:
        nursery.close()


def main() -> int:
    """Play what was asked for; 0 where no promise was broken."""
    parser = argparse.ArgumentParser(prog="tests.faults.hosted", description=__doc__)
    parser.add_argument("--only", default="*", help="a pattern of case ids, e.g. 'H/teardown*'")
    parser.add_argument("--provider", choices=PROVIDERS, default="azure", help="whose fake")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--json", type=Path, help="results")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rmft-hosted-"))
    verdicts = asyncio.run(_all(PROVIDERS[args.provider], folder, args.only, args.jobs))
    report.write(args.json or folder / "results.json", verdicts, " ".join(sys.argv[1:]))
    sys.stdout.write(f"{report.table(verdicts)}\n")
    return int(any(verdict.violations for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
