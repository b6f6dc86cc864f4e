"""One run in a folder of its own: its provider, its processes, and what they said."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fake_provider.client import ROOT, Child, Provider, Spawn, start
from tests.fake_provider.client import spawn as spawn_python
from tests.faults.nursery import Nursery

CANARY = "sk-canary-7f3e9d2c41b84c0fa95e6d1b2c3a4f50"
BASE = "gpt-4.1-2025-04-14"
NAME = "case"
EPOCH = time.time()
"""When all fast clocks began."""
RUN_FILE = """\
seed = 7
iterations = {iterations}
budget_usd = {budget}

[model]
base = "{base}"
profile = "{profile}"

[sampling]
max_tokens = 32

[requests]
concurrency = {concurrency}
transport = "{transport}"

[rollouts]
scenarios = 2
trajectories = 4
coalesce = {coalesce}
problems = [{{ environment = "bandit", K = 2, T = 3 }}]

[selection]
k = 2

[finetuning]
n_epochs = 1
poll_every_s = {poll_every_s}

[validation]
scenarios = 2

[test]
scenarios = 2
"""
PROFILES = """\
[fake]
like = "openai"
prices = "openai"
base_url = "{base_url}"

[fake.training]
quarantine_s = {quarantine_s}
list_lag_s = {list_lag_s}
poll_every_s = {poll_every_s}

[fake.batch]
quarantine_s = {quarantine_s}
poll_every_s = {poll_every_s}

[fake.timeouts]
connect_s = {connect_s}
chat_s = {chat_s}
list_s = {list_s}
upload_s = {upload_s}
"""


@dataclass(frozen=True)
class Setting:
    """What kind of run, and how long its waits are in its own seconds."""

    iterations: int = 2
    concurrency: int = 4
    coalesce: bool = True
    transport: str = "direct"
    budget_usd: float = 5.0
    speed: float = 1.0
    """The run's clocks run so many times as fast as ours."""
    quarantine_s: float = 0.6
    list_lag_s: float = 0.1
    poll_every_s: float = 0.02
    connect_s: float = 2.0
    chat_s: float = 5.0
    list_s: float = 5.0
    upload_s: float = 5.0


QUICK = Setting()
"""Real clocks, short waits."""
BATCHED = Setting(transport="batch")
"""As QUICK, a file of chats a round."""
FAITHFUL = Setting(
    speed=50,
    quarantine_s=120,
    list_lag_s=10,
    poll_every_s=10,
    connect_s=10,
    chat_s=120,
    list_s=120,
    upload_s=600,
)
"""The waits of the real profile, on clocks fifty times as fast."""


@dataclass(frozen=True)
class Said:
    """One process from its start to its end."""

    arguments: tuple[str, ...]
    code: int
    """Exit code; minus the signal's number where one killed it."""
    stdout: str
    stderr: str
    wall_s: float
    timed_out: bool = False


@dataclass
class World:
    """A folder, a provider, and a run in it."""

    folder: Path
    setting: Setting
    provider: Provider
    bug: str = ""
    nursery: Nursery | None = None
    """Where processes are forked from; None: each is a Python of its own."""
    said: list[Said] = field(default_factory=list[Said])

    @property
    def run_dir(self) -> Path:
        """Where the run is kept."""
        return self.folder / "runs" / NAME

    def prepare(self) -> None:
        """Write the run file and the profile."""
        setting = self.setting
        (self.folder / f"{NAME}.toml").write_text(
            RUN_FILE.format(
                base=BASE,
                profile="fake",
                iterations=setting.iterations,
                budget=setting.budget_usd,
                concurrency=setting.concurrency,
                coalesce=str(setting.coalesce).lower(),
                transport=setting.transport,
                poll_every_s=setting.poll_every_s,
            )
        )
        (self.folder / "profiles.toml").write_text(
            PROFILES.format(base_url=self.provider.base_url, **vars(setting))
        )

    def begin(self) -> "Process":
        """`rmft-api run`."""
        return self.process("run", f"{NAME}.toml")

    def resume(self) -> "Process":
        """`rmft-api resume`, or `run` again where the crash came before there was a run."""
        return self.process("resume", NAME)

    def process(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> "Process":
        """Any command of the tool, not started yet."""
        return Process(self, arguments, dict(environ or {}), tuple(wrapper))


@dataclass
class Process:
    """One process of the tool."""

    world: World
    arguments: tuple[str, ...]
    environ: dict[str, str]
    wrapper: tuple[str, ...] = ()
    tracer: tuple[str, ...] = ()
    popen: Child = field(init=False)
    _started: float = field(init=False)

    def start(self) -> "Process":
        """Let it run."""
        folder, number = self.world.folder, len(list(self.world.folder.glob("stdout.*")))
        self._paths = [folder / f"{stream}.{number}" for stream in ("stdout", "stderr")]
        self._started = time.monotonic()
        self.popen = self._born() if self.world.nursery and not self.wrapper else self._made()
        return self

    def _born(self) -> Child:
        assert self.world.nursery is not None
        return self.world.nursery.bear(
            self.arguments,
            cwd=self.world.folder,
            environ=self._environment(),
            stdout=self._paths[0],
            stderr=self._paths[1],
            tracer=self.tracer,
        )

    def _made(self) -> Child:
        command = [*self.wrapper, sys.executable, "-m", "tests.faults.child", *self.arguments]
        with self._paths[0].open("wb") as out, self._paths[1].open("wb") as err:
            return subprocess.Popen(
                command,
                cwd=self.world.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "OPENAI_API_KEY": CANARY,
            **clocks(self.world.setting.speed),
            "RMFT_FAULTS_BUG": self.world.bug,
            "RMFT_FAULTS_PROFILES": str(self.world.folder / "profiles.toml"),
            **self.environ,
        }

    def finish(self, within_s: float) -> Said:
        """Wait for its end; past `within_s` it is killed and said to have timed out."""
        timed_out = False
        try:
            self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            self.popen.kill()
        code = self.popen.wait()
        out, err = (path.read_text(errors="replace") for path in self._paths)
        said = Said(
            self.arguments,
            code,
            out,
            err,
            time.monotonic() - self._started,
            timed_out,
        )
        self.world.said.append(said)
        return said

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still lives."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)


def clocks(speed: float) -> dict[str, str]:
    """The environment of a process whose clocks run so fast."""
    return {"RMFT_FAULTS_SPEED": str(speed), "RMFT_FAULTS_EPOCH": str(EPOCH)}


@dataclass
class Nurseries:
    """One for providers, and one for each speed of clocks; each made when it is first needed."""

    folder: Path
    _made: dict[float, Nursery] = field(default_factory=dict[float, Nursery])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, speed: float) -> Nursery:
        """Where processes with clocks so fast come from; 0: providers."""
        with self._lock:
            if speed not in self._made:
                module = "tests.faults.child" if speed else "tests.fake_provider.__main__"
                folder = self.folder / f"nursery-{speed:g}"
                self._made[speed] = Nursery(folder, module, clocks(speed or 1))
            return self._made[speed]

    def spawn_provider(self, arguments: list[str], log: Path) -> Child:
        """A fake provider, as `tests.fake_provider.client.start` wants it."""
        return self.of(0).bear(arguments, cwd=ROOT, environ=os.environ, stdout=log, stderr=log)

    def close(self) -> None:
        """End them."""
        for nursery in self._made.values():
            nursery.close()


def build(
    folder: Path,
    setting: Setting,
    rules: Sequence[Mapping[str, object]] = (),
    provider: Mapping[str, Any] | None = None,
    bug: str = "",
    nurseries: Nurseries | None = None,
) -> World:
    """A world whose provider serves already."""
    folder.mkdir(parents=True)
    spawn: Spawn = nurseries.spawn_provider if nurseries else spawn_python
    served = start(folder / "provider", rules, spawn=spawn, **(provider or {}))
    nursery = nurseries.of(setting.speed) if nurseries else None
    world = World(folder, setting, served, bug, nursery)
    world.prepare()
    return world
