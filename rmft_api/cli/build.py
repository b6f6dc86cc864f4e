"""Puts a run together: settings, journal, endpoint, and the loop that walks through them."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rmft_api import config as configs
from rmft_api import resources, seating
from rmft_api.calls import JournaledChat
from rmft_api.cli.console import console
from rmft_api.cli.embedded import embedded_server, require_local_extra
from rmft_api.cli.places import run_directory
from rmft_api.cli.progress import State, Tracked
from rmft_api.cli.recorded import recorded_config
from rmft_api.cli.signals import Stop, StoppableChat
from rmft_api.cli.tables import results_table
from rmft_api.config import RunConfig
from rmft_api.errors import ConfigError, InterruptedRunError, ResumableError, UsageError
from rmft_api.evaluation import Results
from rmft_api.finetuning import Trainer
from rmft_api.journal import Journal
from rmft_api.loop import Run, iterate
from rmft_api.pacing import Pacer
from rmft_api.ports import Console
from rmft_api.prices import Prices
from rmft_api.prompts import PromptSet
from rmft_api.prompts import load as load_prompts
from rmft_api.providers import connect, profiles
from rmft_api.providers.profiles import Profile
from rmft_api.retries import Retries


@dataclass(frozen=True)
class Plan:
    """What was checked before anything is written, started or paid."""

    config: RunConfig
    prompts: PromptSet
    profile: Profile


async def begin(config: RunConfig, runs: Path, source: Path) -> None:
    """Begin a run and walk it to its end. Raises UsageError where one of its name exists."""
    directory = run_directory(runs, config.name)
    if (directory / "journal.sqlite").exists():
        raise _exists(directory, config)
    plan = prepare(config)
    provenance = {
        "rmft_api": version("rmft-api"),
        "python": sys.version.split()[0],
        "source": str(source.resolve()),
        "file": _canonical(configs.read(source)),
        "prompts": plan.prompts.sha256,
    }
    journal = Journal.create(directory, config.model_dump_json(), provenance)
    await _walk(plan, journal)


async def go_on(directory: Path, budget_usd: float | None, *, as_recorded: bool) -> None:
    """Go on with a run. Raises ConfigError where its settings or prompts have changed since."""
    journal = Journal.open(directory)
    try:
        config = recorded_config(journal)
        if budget_usd is not None:
            config = config.model_copy(update={"budget_usd": budget_usd})
        if not as_recorded:
            _refuse_changes(journal)
        plan = prepare(config)
        if plan.prompts.sha256 != journal.run.provenance["prompts"]:
            raise ConfigError(
                f"the prompt files in {plan.prompts.root} have changed since run {config.name!r} "
                "began; restore them, or begin a run of another name"
            )
    except BaseException:
        journal.close()
        raise
    await _walk(plan, journal)


def prepare(config: RunConfig) -> Plan:
    """Check all that can be known beforehand: problems, prompts, endpoint, key, extras."""
    for split in ("train", "validation", "test"):
        seating.problems_of(config, split)
    prompts = load_prompts(config.prompts, [resources.prompts_dir(), Path.cwd()])
    for split in ("train", "validation", "test"):
        next(seating.seats(config, prompts, split, 1)).telling()
    profile = profiles.load(config.model.profile)
    if profile.training is None:
        raise ConfigError(f"profile {profile.name!r} cannot train; choose another model.profile")
    profile.key()
    Prices(profile).check(config.model.base)
    if profile.paid and config.budget_usd is None:
        raise ConfigError(
            f"profile {profile.name!r} costs money: say how much at most, with --budget USD or "
            "budget_usd in the run file"
        )
    if _is_embedded(profile):
        require_local_extra()
    return Plan(config, prompts, profile)


def _is_embedded(profile: Profile) -> bool:
    """Whether the run brings its own server: the local profile, unless it is told of another."""
    return profile.name == "local" and profile.here().base_url == profile.base_url


def _exists(directory: Path, config: RunConfig) -> Exception:
    """What to say to somebody who begins a run that exists: how it differs, and how to go on."""
    journal = Journal.read(directory)
    try:
        recorded = recorded_config(journal).model_dump(mode="json")
        changed = configs.differences(recorded, config.model_dump(mode="json"))
    finally:
        journal.close()
    name = config.name
    if changed:
        return ConfigError(
            f"run {name!r} exists and was begun with other settings ({'; '.join(changed)}); "
            f"`rmft-api resume {name}` goes on with its own, --set name=OTHER begins another"
        )
    return UsageError(
        f"run {name!r} exists; `rmft-api resume {name}` goes on with it, "
        f"`rmft-api report {name}` shows it, --set name=OTHER begins another"
    )


def _refuse_changes(journal: Journal) -> None:
    """Refuse to go on when the run file says something else now than when the run began."""
    source = Path(journal.run.provenance["source"])
    name = journal.run_dir.name
    if not source.exists():
        return
    then = json.loads(journal.run.provenance["file"])
    now = json.loads(_canonical(configs.read(source)))
    changed = configs.differences(then, now)
    if changed:
        raise ConfigError(
            f"{source.name} has changed since run {name!r} began: {'; '.join(changed)}; "
            f"restore it, or `rmft-api resume {name} --as-recorded`"
        )


def _canonical(raw: dict[str, Any]) -> str:
    return json.dumps(raw, sort_keys=True, default=str)


async def _walk(plan: Plan, journal: Journal) -> None:
    """Run the loop to its end, and end well whatever happens."""
    ledger = journal.ledger
    show = Tracked(console(lambda: ledger.totals().spent / 1e6), journal.run_dir, ledger.totals)
    stop = Stop(plan.config.name, show.line)
    state: State = "failed"
    try:
        if plan.config.budget_usd is not None:
            await ledger.set_cap(round(plan.config.budget_usd * 1e6))
        async with _run(plan, journal, stop, show) as run:
            work = asyncio.create_task(iterate(run))
            stop.listen(work)
            results = await _ended(work, stop, journal)
        state = "finished"
    except (InterruptedRunError, ResumableError):
        state = "interrupted"
        raise
    finally:
        show.write(state)
        journal.close()
    print(results_table(results))  # noqa: T201


@asynccontextmanager
async def _run(plan: Plan, journal: Journal, stop: Stop, show: Console) -> AsyncGenerator[Run]:
    """The run with its endpoint connected; everything is let go of in the end."""
    async with AsyncExitStack() as stack:
        profile = plan.profile
        if _is_embedded(profile):
            url = await stack.enter_async_context(embedded_server(journal.run_dir / "server"))
            profile = profile.at(url)
        pacer = Pacer(plan.config.rollouts.concurrency)
        connection = await stack.enter_async_context(connect(profile, pacer=pacer))
        retries = Retries(sleep=stop.sleep)
        prices = Prices(profile)
        chat = JournaledChat(
            journal, connection.chat, retries, price=prices.worst_case, cost=prices.cost, pace=pacer
        )
        yield Run(
            config=plan.config,
            directory=journal.run_dir,
            journal=journal,
            prompts=plan.prompts,
            chat=StoppableChat(chat, stop),
            largest_n=profile.chat.n,
            trainer=Trainer(
                profile, connection, journal, retries, plan.config, prices.training, show.line
            ),
            console=show,
        )


async def _ended(work: asyncio.Task[Results], stop: Stop, journal: Journal) -> Results:
    """The results; whatever ends the work, replies under way are awaited and saved first."""
    try:
        return await work
    except asyncio.CancelledError:
        raise stop.error() from None
    finally:
        await journal.flights.drain(0 if stop.cut.is_set() else stop.drain_s)
