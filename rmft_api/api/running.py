"""Plan, run, resume and evaluate from Python; what `rmft-api plan, run, resume, eval` do.

Each function that sends requests has an async twin (`arun` for `run`), which works inside a running
event loop: in a notebook, in a service. Cancelling its task waits for the requests under way, saves
what they brought, and leaves a run that can be resumed; so does Ctrl-C in the others.
"""

import html
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from rmft_api.api import arguments
from rmft_api.api.arguments import settings
from rmft_api.api.event_loop import reporting, run_now
from rmft_api.api.opened_run import Run, open_run
from rmft_api.config.changes import from_python
from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.comparison import ComparisonResults
from rmft_api.journal import Journal
from rmft_api.planning import RunPlan
from rmft_api.planning.plan import Cost, Phase
from rmft_api.session import comparisons, plans
from rmft_api.session import runs as sessions
from rmft_api.session.budgets import Budgets
from rmft_api.session.players import ComparisonOptions, described
from rmft_api.session.run_directories import run_directory
from rmft_api.session.valid_replies import OnStopped

RunFile = str | Path | Mapping[str, Any] | RunConfig
"""A path, the name of a shipped run file, a dict of sections, or settings that were read."""


class Plan:
    """What a run will do and cost. Money is US dollars; None is "unknown", never 0.

    `record` holds everything, money there in micro-dollars.
    """

    def __init__(self, record: RunPlan) -> None:
        """Use `plan`."""
        self.record = record

    @property
    def total(self) -> tuple[float | None, float | None, float | None]:
        """Lowest, expected and worst cost of the whole run, in US dollars."""
        return _dollars(self.record.total)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Its steps in order."""
        return self.record.phases

    @property
    def warnings(self) -> list[str]:
        """What speaks against the run."""
        return list(self.record.against_it())

    @property
    def refusal(self) -> str | None:
        """Why the run would not begin; None: it would."""
        return self.record.refusal

    def __str__(self) -> str:
        """The table that `rmft-api plan` prints."""
        from rmft_api.report.text.plan import plan_table

        return plan_table(self.record)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _dollars(cost: Cost) -> tuple[float | None, float | None, float | None]:
    low, expected, worst = (
        None if one is None else one / 1e6 for one in (cost.low, cost.expected, cost.worst)
    )
    return low, expected, worst


def plan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan:
    """What a run will do and cost. Asks nobody, needs no key; takes about a second.

    Args:
        file: A run file; see `RunFile`.
        overrides: Dotted keys to change, with their values.
        budget_usd: The most that the run may spend.
        reply_tokens: Assumed length of a reply; half of `sampling.max_tokens` where it is None.
        calibrate: Measure this machine with the run's checkpoint for ten seconds; it is kept.
        runs: The folder of runs: a run of this name that has begun tells its real lengths.

    Raises:
        ConfigError: For what cannot be followed, in one line.

    """
    work = partial(
        *(aplan, file, overrides),
        budget_usd=budget_usd,
        reply_tokens=reply_tokens,
        calibrate=calibrate,
        runs=runs,
    )
    return run_now(work, "aplan")


async def aplan(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    reply_tokens: int | None = None,
    calibrate: bool = False,
    runs: str | Path = "runs",
) -> Plan:
    """As `plan`, inside a running event loop."""
    tokens = arguments.whole_or_none(reply_tokens, "reply_tokens")
    folder = arguments.folder(runs)
    config, _ = settings(file, overrides, budget_usd)
    return Plan(await plans.plan_of(config, folder, tokens, measure=calibrate))


async def arun(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> Run:
    """Begin a run and take it to its end.

    Args:
        file: A run file; see `RunFile`.
        overrides: Dotted keys to change, with their values.
        budget_usd: Never spend more than this many US dollars.
        runs: The folder where the run's own folder is made.
        accept_shutdown: Begin though the model's end comes before the run's.
        progress: Show on stderr what the command line shows.

    Raises:
        UsageError: Where a run of this name exists.
        ConfigError, DataError: For what cannot be followed, before anything is sent.
        ResumableError: Stopped cleanly (budget, a wait that is too long): `resume` continues.
        RmftError: Any other known error; `.hint` says how to go on.

    """
    folder = arguments.folder(runs)
    config, path = settings(file, overrides, budget_usd)
    if not accept_shutdown:
        plans.refuse_shutdown(config)
    await sessions.begin(
        config, folder, path, reporting=reporting(progress), accept_shutdown=accept_shutdown
    )
    return open_run(run_directory(folder, config.name))


def run(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    accept_shutdown: bool = False,
    progress: bool = False,
) -> Run:
    """As `arun`, where no event loop runs. Ctrl-C drains; `resume` continues."""
    work = partial(
        arun,
        file,
        overrides,
        budget_usd=budget_usd,
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
        ask_again: Ask anew, and pay anew, for the split whose replies could not be read.
        as_recorded: Continue under the recorded settings though the run file has changed.
        runs: The folder of runs.
        progress: Show on stderr what the command line shows.

    Raises:
        UsageError: Where there is no such run, or it has begun more iterations already.
        ConfigError: Where settings, prompts or keys have changed since.
        LockedError: Where another process works on it.

    """
    iterations = arguments.whole_or_none(iterations, "iterations")
    found, telling = open_run(name, runs), reporting(progress)
    caps = Budgets(
        arguments.dollars(budget_usd, "budget_usd"),
        arguments.dollars(iteration_budget_usd, "iteration_budget_usd"),
    )
    on_stopped = OnStopped(arguments.share_or_none(min_valid, "min_valid"), ask_again)
    with closing(Journal.read(found.directory)) as journal:
        is_comparison = comparisons.is_comparison(journal)
    if is_comparison:
        comparisons.refuse_iterations(found.name, iterations)
        await comparisons.resume(found.directory, caps, on_stopped, reporting=telling)
    else:
        await sessions.resume(
            found.directory,
            caps,
            on_stopped,
            iterations=iterations,
            as_recorded=as_recorded,
            again=again,
            new_key=new_key,
            reporting=telling,
        )
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


async def aevaluate(
    players: Sequence[str],
    suite: str = "small",
    *,
    profile: str = "local",
    baselines: Sequence[str] | None = None,
    name: str | None = None,
    like: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    progress: bool = False,
) -> ComparisonResults:
    """Play models and known algorithms on the same scenarios of a suite, and compare them.

    Args:
        players: Model ids, "PROFILE:MODEL", "run:NAME" (its champion), or "run:NAME@WHICH" with
            base, champion, last, all, or an iteration's number.
        suite: A shipped suite, or the path of a .toml file.
        profile: The endpoint of models that are named by their id alone.
        baselines: Known algorithms that play too; None: the suite's own.
        name: Of the evaluation and its folder; `eval-SUITE` where it is None.
        like: A run whose prompts and sampling are used in place of the suite's.
        overrides: Dotted keys of the suite to change, with their values.
        budget_usd: Never spend more than this many US dollars.
        runs: The folder of runs.
        progress: Show on stderr what the command line shows.

    Raises:
        UsageError: Where one of this name exists, or a player is unknown.
        ConfigError: For what cannot be followed, before anything is sent.

    """
    folder = arguments.folder(runs)
    wanted = ComparisonOptions(
        arguments.texts(players, "players"),
        arguments.text(suite, "suite"),
        arguments.text(profile, "profile"),
        arguments.texts_or_none(baselines, "baselines"),
        arguments.text_or_none(name, "name"),
        arguments.text_or_none(like, "like"),
        from_python(overrides),
        arguments.dollars(budget_usd, "budget_usd"),
    )
    return await comparisons.begin(described(wanted, folder), folder, reporting(progress))


def evaluate(
    players: Sequence[str],
    suite: str = "small",
    *,
    profile: str = "local",
    baselines: Sequence[str] | None = None,
    name: str | None = None,
    like: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    progress: bool = False,
) -> ComparisonResults:
    """As `aevaluate`, where no event loop runs."""
    work = partial(
        aevaluate,
        players,
        suite,
        profile=profile,
        baselines=baselines,
        name=name,
        like=like,
        overrides=overrides,
        budget_usd=budget_usd,
        runs=runs,
        progress=progress,
    )
    return run_now(work, "aevaluate")
