"""A run of the installed command against a fake, in a process that can be killed."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fake_provider.answers import answer
from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Model

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
concurrency = 4

[rollouts]
scenarios = 3
trajectories = 4
problems = [{{ environment = "bandit", K = 2, T = 3 }}]

[selection]
k = 2

[finetuning]
chain = "{chain}"
n_epochs = 1
poll_every_s = 0.02

[validation]
scenarios = 2

[test]
scenarios = 2
"""
PATIENCE_S = 60.0
_MACHINE = ("PATH", "HOME", "LANG", "TMPDIR")


def talk(asked: Mapping[str, Any], index: int) -> str:
    """A reply that can be read, and that depends on what was asked alone."""
    return answer(Settings(), Model("fake", "fake", 1, 0.0), dict(asked), index)


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Loop:
    """One run in a folder of its own."""

    path: Path
    environ: Mapping[str, str]
    profile: str
    base: str
    chain: str = "continue"
    iterations: int = 2
    budget: float = 100.0
    own: str = ""
    """A profiles file that makes waiting short."""

    def write(self) -> Path:
        """The run file."""
        file = self.path / "case.toml"
        told = {name: getattr(self, name) for name in ("iterations", "budget", "base")}
        file.write_text(RUN_FILE.format(profile=self.profile, chain=self.chain, **told))
        (self.path / "profiles.toml").write_text(self.own)
        return file

    async def run(self, crash: str = "") -> Ended:
        """`rmft-api run`."""
        return await self.command("run", str(self.write()), crash=crash)

    async def resume(self, crash: str = "") -> Ended:
        """`rmft-api resume`."""
        return await self.command("resume", "case", crash=crash)

    async def command(self, *arguments: str, crash: str = "") -> Ended:
        """Any command, to its end."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rmft_api",
            *arguments,
            *(("--runs", str(self.path / "runs")) if arguments[0] != "plan" else ()),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _MACHINE if name in os.environ}
            | {"RMFT_CRASH_AT": crash, "RMFT_PROFILES": str(self.path / "profiles.toml")}
            | dict(self.environ),
            cwd=Path(__file__).resolve().parents[2],
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, err = await child.communicate()
        except TimeoutError:
            child.kill()
            out, err = await child.communicate()
            raise AssertionError(f"{arguments} did not end: {err.decode()[-2000:]}") from None
        return Ended(child.returncode or 0, out.decode(), err.decode())
