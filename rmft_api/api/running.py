"""Run and resume from Python; what `rmft-api run, resume` do.

Each function that sends requests has an async twin (`arun` for `run`), which works inside a running
event loop: in a notebook, in a service. Cancelling its task waits for the requests under way, saves
what they brought, and leaves a run that can be resumed; so does Ctrl-C in the others.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from rmft_api.api import arguments
from rmft_api.api.arguments import RunFile, settings
from rmft_api.api.event_loop import reporting, run_now
from rmft_api.api.opened_run import Run, open_run
from rmft_api.session import plans
from rmft_api.session import runs as sessions
from rmft_api.session.budgets import Budgets
from rmft_api.session.resume import resume as resume_in_folder
from rmft_api.session.resume_options import ResumeOptions
from rmft_api.session.run_directories import run_directory
from rmft_api.session.valid_replies import OnStopped

if TYPE_CHECKING:
    from rmft_api.api.families import Family


@overload
async def arun(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: None = None,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> Run: ...


@overload
async def arun(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> "Family": ...


async def arun(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int | None = None,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> "Run | Family":
    """Begin a run and take it to its end; with `seeds`, a family of so many runs.

    Args:
        file: A run file; see `RunFile`.
        overrides: Dotted keys to change, with their values.
        budget_usd: Never spend more than this many US dollars, all seeds together.
        seeds: How many runs, from the run file's own seed on; None: one run.
        runs: The folder where the run's own folder is made.
        accept_shutdown: Begin though the model's end comes before the run's.
        progress: Show on stderr what the command line shows.

    Raises:
        UsageError: Where a run of this name exists.
        ConfigError, DataError: For what cannot be followed, before anything is sent.
        ResumableError: Stopped cleanly (budget, a wait that is too long): `resume` continues.
        RmftError: Any other known error; `.hint` says how to continue.

    """
    return await _arun(
        file,
        overrides,
        budget_usd=budget_usd,
        seeds=seeds,
        runs=runs,
        accept_shutdown=accept_shutdown,
        progress=progress,
    )


async def _arun(
    file: RunFile,
    overrides: Mapping[str, Any] | None,
    *,
    budget_usd: float | None,
    seeds: int | None,
    runs: str | Path,
    accept_shutdown: bool,
    progress: bool,
) -> "Run | Family":
    folder = arguments.folder(runs)
    config, path = settings(file, overrides, budget_usd)
    if not accept_shutdown:
        plans.refuse_shutdown(config)
    count, telling = arguments.whole_or_none(seeds, "seeds"), reporting(progress)
    if count is not None:
        from rmft_api.api.families import open_family
        from rmft_api.session import families

        await families.begin(
            *(config, count, folder, path, telling), accept_shutdown=accept_shutdown
        )
        return open_family(run_directory(folder, config.name))
    await sessions.begin(config, folder, path, reporting=telling, accept_shutdown=accept_shutdown)
    return open_run(run_directory(folder, config.name))


@overload
def run(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: None = None,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> Run: ...


@overload
def run(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> "Family": ...


def run(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    seeds: int | None = None,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> "Run | Family":
    """As `arun`, where no event loop runs. Ctrl-C drains; `resume` continues."""
    work = partial(
        _arun,
        file,
        overrides,
        budget_usd=budget_usd,
        seeds=seeds,
        runs=runs,
        accept_shutdown=accept_shutdown,
        progress=progress,
    )
    return run_now(work, "arun")


async def aresume(
    name: str | Path,
    *,
    budget_usd: float | None = None,
    iteration_budget_usd: float | None = None,
    iterations: int | None = None,
    again: bool = False,
    new_key: bool = False,
    min_valid: float | None = None,
    ask_again: bool = False,
    as_recorded: bool = False,
    runs: str | Path = "runs",
    progress: bool = False,
) -> Run:
    """Continue a run or an evaluation; what was paid for is not asked again.

    Args:
        name: Its name in `runs`, its run file's, or the path of its folder.
        budget_usd: A new cap for the whole run, in US dollars.
        iteration_budget_usd: A new cap for each single iteration.
        iterations: How many the run is to have from now on; a finished run is extended.
        again: Order once more the job that failed, was cancelled or was refused.
        new_key: Continue with another key of the same provider project.
        min_valid: From now on, stop only where a smaller share of replies can be read; 0: never.
        ask_again: Ask again, and pay again, for the split whose replies could not be read.
        as_recorded: Continue under the recorded settings though the run file has changed.
        runs: The folder of runs.
        progress: Show on stderr what the command line shows.

    Raises:
        UsageError: Where there is no such run, or it has started more iterations already.
        ConfigError: Where settings, prompts or keys have changed since.
        LockedError: Where another process works on it.

    """
    limits = _limits(budget_usd, iteration_budget_usd, iterations, min_valid, ask_again)
    options = replace(limits, again=again, new_key=new_key, as_recorded=as_recorded)
    found = open_run(name, runs)
    await resume_in_folder(found.directory, options, reporting(progress))
    return found


def resume(
    name: str | Path,
    *,
    budget_usd: float | None = None,
    iteration_budget_usd: float | None = None,
    iterations: int | None = None,
    again: bool = False,
    new_key: bool = False,
    min_valid: float | None = None,
    ask_again: bool = False,
    as_recorded: bool = False,
    runs: str | Path = "runs",
    progress: bool = False,
) -> Run:
    """As `aresume`, where no event loop runs."""
    work = partial(
        aresume,
        name,
        budget_usd=budget_usd,
        iteration_budget_usd=iteration_budget_usd,
        iterations=iterations,
        again=again,
        new_key=new_key,
        min_valid=min_valid,
        ask_again=ask_again,
        as_recorded=as_recorded,
        runs=runs,
        progress=progress,
    )
    return run_now(work, "aresume")


def _limits(
    budget_usd: object,
    iteration_budget_usd: object,
    iterations: object,
    min_valid: object,
    ask_again: bool,
) -> ResumeOptions:
    """The limits to continue with, each value checked. Raises UsageError."""
    return ResumeOptions(
        caps=Budgets(
            arguments.dollars(budget_usd, "budget_usd"),
            arguments.dollars(iteration_budget_usd, "iteration_budget_usd"),
        ),
        on_stopped=OnStopped(arguments.share_or_none(min_valid, "min_valid"), ask_again),
        iterations=arguments.whole_or_none(iterations, "iterations"),
    )
