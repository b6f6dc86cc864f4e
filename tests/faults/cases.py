"""A case: what befalls a run, and what must come of it. Data only, so that it can be replayed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_provider.scripts import Outcome
from tests.faults.world import QUICK, Setting

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Stop:
    """What befalls one process of a run."""

    crash_at: str = ""
    """`point:occurrence:signal`, as RMFT_CRASH_AT says it."""
    kill_when_struck: int = 0
    """Kill it once the provider has struck so many requests; 0: never."""
    signals: tuple[tuple[float, str], ...] = ()
    """(seconds after its start, signal name)."""
    wrapper: tuple[str, ...] = ()
    """A command that runs it, e.g. prlimit."""
    tracer: tuple[str, ...] = ()
    """Options of an strace that watches it, and strikes where it is told to."""
    rival: bool = False
    """Start a second process on the same run while this one is stopped (SIGSTOP)."""

    @property
    def hard(self) -> bool:
        """Whether it gives the process no chance to save what is under way."""
        sent = [name for _, name in self.signals]
        graceful = self.crash_at.endswith((":TERM", ":INT"))
        return bool(
            (self.crash_at and not graceful)
            or self.kill_when_struck
            or self.wrapper
            or self.tracer
            or "SIGKILL" in sent
            or sum(name in ("SIGINT", "SIGTERM") for name in sent) > 1
        )


@dataclass(frozen=True)
class Case:
    """One case of the matrix."""

    layer: str
    name: str
    setting: Setting = QUICK
    rules: tuple[Rule, ...] = ()
    provider: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The provider's settings."""
    stops: tuple[Stop, ...] = ()
    """One for each process, the first begins the run; later ones resume undisturbed."""
    outcome: Outcome = Outcome.SAME
    codes: frozenset[int] = frozenset()
    """Exit codes that a stop by the provider may have; empty: any of its class."""
    unresolved_names: int = 0
    """The first process fails to resolve a name so many times."""
    resume_arguments: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name for ever."""
        return f"{self.layer}/{self.name}"


@dataclass(frozen=True)
class Verdict:
    """What came of a case."""

    id: str
    violations: tuple[str, ...]
    """Promises that were broken, each beginning with its number."""
    struck: int
    """Requests that met a fault."""
    processes: tuple[int, ...]
    """Exit codes, in order."""
    wall_s: float
    met: bool = True
    """Whether what was planned happened at all: a point is reached, a request is sent."""
    folder: str = ""
