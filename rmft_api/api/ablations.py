"""Several ways of doing it, compared from Python; what `rmft-api ablate` does."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rmft_api.api import arguments
from rmft_api.api.event_loop import reporting, run_now, run_soon
from rmft_api.api.plans import Plan
from rmft_api.planning import GridPlan
from rmft_api.session.ablations import AblationRow, plan_of, run_all, runs_of


async def aablate(
    file: str | Path | None = None,
    *,
    cells: Sequence[str] = (),
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    progress: bool = False,
) -> list[AblationRow]:
    """Walk every run of a grid, and compare its cells with the first one; a row each.

    Runs that have ended are not run again, and one that was stopped continues: the same call again
    resumes the grid.

    Args:
        file: A grid file; None: the shipped one, which takes no key, no network and no GPU.
        cells: Only these cells, and the first; empty: all.
        budget_usd: The most that all these runs may have spent together in the end; say it again
            when the grid is resumed.
        runs: The folder of runs.
        progress: Show on stderr what the command line shows.

    Raises:
        ConfigError: For a grid or a cell that cannot be followed, before anything is sent.
        ResumableError: Stopped cleanly; the same call continues.

    """
    grid = arguments.text_or_none(file, "file")
    places = runs_of(grid, arguments.texts(cells, "cells"))
    cap = arguments.dollars(budget_usd, "budget_usd")
    return await run_all(places, arguments.folder(runs), reporting(progress), cap)


def ablate(
    file: str | Path | None = None,
    *,
    cells: Sequence[str] = (),
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    progress: bool = False,
) -> list[AblationRow]:
    """As `aablate`, where no event loop runs. Ctrl-C drains; the same call continues."""
    work = partial(
        *(aablate, file), cells=cells, budget_usd=budget_usd, runs=runs, progress=progress
    )
    return run_now(work, "aablate")


def plan_ablate(
    file: str | Path | None = None,
    *,
    cells: Sequence[str] = (),
    budget_usd: float | None = None,
    reply_tokens: int | None = None,
    runs: str | Path = "runs",
) -> Plan[GridPlan]:
    """What the runs of a grid will do and cost, those that have ended included; `.record.runs`.

    Sends nothing, needs no key; runs in an event loop too. `reply_tokens` is the assumed length of
    a reply, half of `sampling.max_tokens` where it is None; the other arguments are those of
    `ablate`. Raises ConfigError.
    """
    tokens = arguments.whole_or_none(reply_tokens, "reply_tokens")
    folder = arguments.folder(runs)
    grid = arguments.text_or_none(file, "file")
    places = runs_of(grid, arguments.texts(cells, "cells"))
    cap = arguments.dollars(budget_usd, "budget_usd")
    return Plan(run_soon(lambda: plan_of(places, folder, tokens, cap)))
