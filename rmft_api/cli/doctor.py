"""`rmft-api doctor`: whether a run could begin here, in one screen. Spends nothing."""

from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import RUNS, RunFile, RunsDir, run_file

if TYPE_CHECKING:
    from rmft_api.session.environment_checks import Finding


def doctor(
    file: RunFile = None,
    profile: Annotated[
        str | None, typer.Option(help="An endpoint to check instead of a run file.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Try each way of a run's requests too; costs nothing.")
    ] = False,
    runs: RunsDir = RUNS,
) -> None:
    """Check whether a run could begin here, spending nothing.

    Key, proxy, certificates, model dates, prices, disk, clock, packages.
    Sends nothing without --online, and never shows a key.
    """
    import asyncio

    from rmft_api.cli.console import clean
    from rmft_api.config import schema
    from rmft_api.session import doctor_checks

    config = None if profile and not file else schema.load(run_file(file))
    subject = doctor_checks.subject_of(config, profile, runs)
    found = list(doctor_checks.findings(subject))
    if online:
        found += asyncio.run(doctor_checks.online(subject))
    print(clean(screen(found)))  # noqa: T201
    doctor_checks.refuse_failed(found)


def screen(found: "list[Finding]") -> str:
    """A line for each; on a terminal, what does not fit continues below its own beginning."""
    import shutil
    import sys
    import textwrap

    width = max(len(one.what) for one in found)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines: list[str] = []
    for one in found:
        head = f"{one.verdict:4}  {one.what.ljust(width)}  "
        fits = not columns or len(head) + len(one.said) <= columns
        room = max(columns - len(head), 20)
        parts = [one.said] if fits else textwrap.wrap(one.said, room, break_on_hyphens=False)
        lines += [head + parts[0], *(" " * len(head) + part for part in parts[1:])]
    return "\n".join(lines)
