"""Progress while cases run, a table at the end, and JSON for programs."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.cases import Verdict


class Progress:
    """Tells each broken promise at once, and how far the rest has come now and then."""

    def __init__(self, total: int, every_s: float = 10.0) -> None:
        self._total = total
        self._every_s = every_s
        self._started = self._told = time.monotonic()
        self.verdicts: list[Verdict] = []

    def add(self, verdict: Verdict) -> None:
        """Count one more case."""
        self.verdicts.append(verdict)
        for violation in verdict.violations:
            say(f"  {verdict.id} {list(verdict.processes)}: {violation}")
        if time.monotonic() - self._told > self._every_s or len(self.verdicts) == self._total:
            self._told = time.monotonic()
            say(self.line())

    def line(self) -> str:
        """How far it is."""
        done = len(self.verdicts)
        broken = sum(bool(verdict.violations) for verdict in self.verdicts)
        elapsed = time.monotonic() - self._started
        left = elapsed / max(done, 1) * (self._total - done)
        return (
            f"{done}/{self._total} cases, {broken} broken, "
            f"{elapsed / 60:.1f} min, {left / 60:.1f} left"
        )


def say(line: str) -> None:
    """One line to the terminal."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def table(verdicts: Sequence[Verdict]) -> str:
    """One row per layer, one column per promise."""
    promises = [f"I{i}" for i in range(1, 11)]
    rows = [["layer", "cases", "met", "processes", "faults", *promises, "broken", "max s"]]
    for layer in (*sorted({verdict.id[0] for verdict in verdicts}), ""):
        of = [verdict for verdict in verdicts if verdict.id.startswith(layer)]
        broken = Counter(text.split()[0] for one in of for text in set(one.violations))
        rows.append(
            [
                layer or "all",
                str(len(of)),
                str(sum(one.met for one in of)),
                str(sum(len(one.processes) for one in of)),
                str(sum(one.struck for one in of)),
                *(str(broken[promise] or ".") for promise in promises),
                str(sum(bool(one.violations) for one in of)),
                f"{max((one.wall_s for one in of), default=0):.1f}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def write(path: Path, verdicts: Iterable[Verdict], command: str) -> None:
    """Everything, for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cases = [asdict(verdict) for verdict in verdicts]
    path.write_text(json.dumps({"command": command, "cases": cases}, indent=1) + "\n")
