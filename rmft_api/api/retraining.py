"""Train a run's chain again elsewhere, from Python; what `rmft-api retrain` does."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rmft_api.api import arguments
from rmft_api.api.event_loop import reporting, run_now, run_soon
from rmft_api.api.opened_run import open_run
from rmft_api.api.plans import Plan
from rmft_api.planning import RunPlan
from rmft_api.session import plans
from rmft_api.session.chains import RetrainOptions
from rmft_api.session.retraining import Retrained, chain_and_settings, retrained


async def aretrain(
    run: str | Path,
    profile: str,
    *,
    model: str | None = None,
    name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    accept_shutdown: bool = False,
    runs: str | Path = "runs",
    progress: bool = False,
) -> Retrained:
    """Train a run's chain again at another provider, on the very files that it trained on.

    A run with its own journal and budget; the same call again continues it, or compares once more.
    Returns `.results`, and `.sides`: both chains by iteration, on the same held-out scenarios.

    Args:
        run: The run whose chain is trained again: its name in `runs`, or its folder.
        profile: The endpoint to train at.
        model: The base model there; None: the same id.
        name: Of the new run; RUN-at-PROFILE where it is None.
        overrides: Dotted keys of the new run to change, with their values.
        budget_usd: Never spend more than this many US dollars.
        accept_shutdown: Begin though the model's end comes before the run's.
        runs: The folder of runs.
        progress: Show on stderr what the command line shows.

    Raises:
        UsageError: Where there is no such run, or it has trained no model yet.
        ConfigError, DataError: For what cannot be followed, before anything is sent.
        ResumableError: Stopped cleanly; the same call continues.

    """
    folder, telling = arguments.folder(runs), reporting(progress)
    wanted = _wanted(profile, model, name, overrides, budget_usd)
    chain, config = chain_and_settings(open_run(run, folder).directory, wanted, telling.say)
    if not accept_shutdown:
        plans.refuse_shutdown(config)
    return await retrained(chain, config, folder, telling)


def retrain(
    run: str | Path,
    profile: str,
    *,
    model: str | None = None,
    name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    accept_shutdown: bool = False,
    runs: str | Path = "runs",
    progress: bool = False,
) -> Retrained:
    """As `aretrain`, where no event loop runs. Ctrl-C drains; the same call continues."""
    work = partial(
        aretrain,
        run,
        profile,
        model=model,
        name=name,
        overrides=overrides,
        budget_usd=budget_usd,
        accept_shutdown=accept_shutdown,
        runs=runs,
        progress=progress,
    )
    return run_now(work, "aretrain")


def plan_retrain(
    run: str | Path,
    profile: str,
    *,
    model: str | None = None,
    name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    reply_tokens: int | None = None,
    runs: str | Path = "runs",
    progress: bool = False,
) -> Plan[RunPlan]:
    """What `retrain` with these arguments will do and cost. Sends nothing, needs no key.

    Runs in an event loop too. `reply_tokens` is the assumed length of a reply, half of
    `sampling.max_tokens` where it is None; `progress` says on stderr what will differ from the run.
    Raises as `retrain` does.
    """
    tokens = arguments.whole_or_none(reply_tokens, "reply_tokens")
    folder, telling = arguments.folder(runs), reporting(progress)
    wanted = _wanted(profile, model, name, overrides, budget_usd)
    _, config = chain_and_settings(open_run(run, folder).directory, wanted, telling.say)
    return Plan(run_soon(lambda: plans.plan_of(config, folder, tokens)))


def _wanted(
    profile: object, model: object, name: object, overrides: object, budget_usd: float | None
) -> RetrainOptions:
    return RetrainOptions(
        arguments.text(profile, "profile"),
        arguments.text_or_none(model, "model"),
        arguments.text_or_none(name, "name"),
        arguments.with_budget(overrides, budget_usd),
    )
