"""How near a dry run comes to the bill: whole runs of three iterations, planned before, paid after.

    python benchmarks/dry_run.py

The provider is the tests' own: it counts o200k tokens, caches prompts from 1,024 tokens on, bills
every request, and answers at lengths spread evenly from half to one and a half of a mean of which
the plan knows the mean alone. Its models choose as they have learnt, the plan's player chooses
evenly. In the last rows replies are word for word those that the plan assumes.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.planning import echo
from tests.planning.dry_run import PROBLEMS, Case, Outcome, play

USUAL = Case("bandit", T=20, scenarios=4, trajectories=6, held_out=4, reply_tokens=80)
FAMILIES = [
    replace(USUAL, environment=problem, history=history)
    for problem in PROBLEMS
    for history in ("summary", "raw")
]
OTHERS = [
    replace(USUAL, history="raw", conversation="multi_turn"),
    replace(USUAL, prompts=("repeat_reason = true",)),
    replace(USUAL, reasoning="none"),
    replace(USUAL, coalesce=False),
    replace(USUAL, environment="online_learning", history="raw", T=50, scenarios=3),
]
EXACT = [replace(case, speaker=echo.SPEAKER) for case in FAMILIES]


def main() -> None:
    """Play and print."""
    print("| problem | told | calls | planned $ | billed $ | off | trained off |")
    print("|---|---|---|---|---|---|---|")
    started = time.monotonic()
    for case in [*FAMILIES, *OTHERS, *EXACT]:
        with tempfile.TemporaryDirectory() as folder:
            print(row(case, played(case, Path(folder))), flush=True)
    print(f"\n{time.monotonic() - started:.0f} s")


def played(case: Case, folder: Path) -> Outcome:
    """One run."""
    if case.speaker:
        (folder / "of.toml").write_text(f'name = "{case.name}"\n{case.file()}')
        echo.write(folder / "of.toml", folder / "said.json", case.reply_tokens)
        os.environ[echo.ENV] = str(folder / "said.json")
    return play(case, folder)


def row(case: Case, found: Outcome) -> str:
    """A line of the table."""
    told = [case.history, case.conversation.replace("_", " "), f"T={case.T}"]
    told += [*case.prompts, "no reasoning"] if case.reasoning == "none" else case.prompts
    told += [] if case.coalesce else ["not coalesced"]
    told += ["replies as assumed"] if case.speaker else []
    trained = found.planned("trained_tokens")
    off = found.planned_usd / found.billed_usd - 1
    return (
        f"| {case.environment} | {', '.join(told)} | {found.calls} | {found.planned_usd:.4f} "
        f"| {found.billed_usd:.4f} | {off:+.2%} | {trained / found.trained - 1:+.2%} |"
    )


if __name__ == "__main__":
    main()
