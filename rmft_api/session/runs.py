"""Puts a run together: settings, journal, endpoint, and the loop that walks through them."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from rmft_api.config import schema as configs
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, StorageError
from rmft_api.core.ports import ChatModel, Console, Tracker
from rmft_api.core.scripted_players import is_scripted
from rmft_api.core.waits import Waits
from rmft_api.evaluation.scoring import Results
from rmft_api.finetuning import Trainer
from rmft_api.journal import Journal
from rmft_api.loop import RunContext, iterate, retrain_chain
from rmft_api.planning import RunPlan
from rmft_api.planning.plan_vs_actual import PLAN
from rmft_api.providers import connect
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.requests.pacing import Pacer
from rmft_api.requests.retries import Retries
from rmft_api.session.budgets import capped
from rmft_api.session.deployments import connected
from rmft_api.session.embedded_server import (
    embedded_server,
    engine_options,
    is_embedded,
    start_within_s,
)
from rmft_api.session.extensions import extended
from rmft_api.session.extensions import keep as keep_iterations
from rmft_api.session.lifecycle import Work, in_batches, run_to_end, with_resume_hint
from rmft_api.session.plan_warnings import (
    keep_and_warn,
    keep_plan,
    plan_and_warn,
    warn_of_news,
)
from rmft_api.session.preflight import preflight
from rmft_api.session.prepare import PreparedRun, drawn_up, prepare
from rmft_api.session.provider_accounts import check_accounts, keep_accounts
from rmft_api.session.recorded_config import kept_origin, recorded_config
from rmft_api.session.reporting import QUIET, Reporting
from rmft_api.session.resume_options import UNCHANGED, ResumeOptions
from rmft_api.session.run_directories import run_directory
from rmft_api.session.run_identity import (
    described_by,
    exists,
    recorded_identity,
    refuse_changes,
    refuse_other_data,
)
from rmft_api.session.signals import StoppableChat, StopSignal
from rmft_api.session.starting_models import furnishing, resolved
from rmft_api.session.token_counters import counter_at
from rmft_api.session.valid_replies import eased
from rmft_api.session.valid_replies import keep as keep_on
from rmft_api.tracking import Identity, open_tracker, report_to_tracker

_LOOK_EVERY_S = 0.05
"""How often a run that begins is asked whether it has started."""


async def begin(
    config: RunConfig,
    runs: Path,
    source: Path | None,
    furnish: Callable[[Path], None] = lambda directory: None,
    *,
    reporting: Reporting = QUIET,
    accept_shutdown: bool = True,
) -> Results:
    """Begin a run and take it to its end; what came of it.

    `source` is its run file, where it has one; `furnish` puts into its directory what it needs.
    Without `accept_shutdown`, an end that the endpoint itself reports is a reason not to begin.
    Raises UsageError where a run of its name exists.
    """
    directory = run_directory(runs, config.name)
    begun = recorded_identity(directory)
    if begun is not None:
        raise exists(begun, config)
    config = resolved(config, runs)
    weights = furnishing(config, runs)
    prepared = prepare(config)
    await preflight(config, prepared.chats, prepared.trains, accept_shutdown=accept_shutdown)
    plan = await plan_and_warn(prepared, reporting.say, accept_shutdown=accept_shutdown)
    furnish(directory)
    weights(directory)
    journal = _new_journal(prepared, directory, source)
    return await _run_to_end(prepared, journal, plan, reporting)


def _new_journal(prepared: PreparedRun, directory: Path, source: Path | None) -> Journal:
    """The journal of a new run, with what it was started from. Raises StorageError."""
    config = prepared.config
    provenance = {
        "rmft_api": version("rmft-api"),
        "python": sys.version.split()[0],
        **({} if source is None else described_by(source)),
        "prompts": prepared.prompts.sha256,
        **kept_origin(config, directory),
    }
    try:
        return Journal.create(directory, config.model_dump_json(), provenance)
    except StorageError as error:
        raise StorageError(
            f"{error}, then begin the run again; if it exists already, "
            f"`rmft-api resume {config.name}`"
        ) from error


async def resume(
    directory: Path, options: ResumeOptions = UNCHANGED, reporting: Reporting = QUIET
) -> Results:
    """Continue a run under the caps asked for now or last.

    Raises UsageError for too few iterations, ConfigError where its settings, prompts, or (unless
    `new_key`) keys have changed since.
    """
    with with_resume_hint(directory.name):
        journal = Journal.open(directory)
    try:
        before = recorded_config(journal)
        config = eased(journal, capped(journal, before, options.caps), options.on_stopped)
        config = extended(journal, config, options.iterations)
        if not options.as_recorded:
            refuse_changes(journal, config.iterations)
        refuse_other_data(config, journal)
        prepared = prepare(config)
        if prepared.prompts.sha256 != journal.run.provenance["prompts"]:
            raise ConfigError(
                f"the prompt files in {prepared.prompts.root} have changed since run "
                f"{config.name!r} began; restore them, or begin a run of another name"
            )
        if not options.new_key:
            check_accounts(journal, prepared)
        await keep_on(journal, config, options.on_stopped)
        await keep_iterations(journal, before.iterations, prepared)
    except BaseException:
        journal.close()
        raise
    return await _run_to_end(prepared, journal, None, reporting, again=options.again)


async def _run_to_end(
    prepared: PreparedRun,
    journal: Journal,
    plan: RunPlan | None,
    reporting: Reporting,
    *,
    again: bool = False,
) -> Results:
    """Run the loop to its end. `plan`: what was printed just now."""

    @asynccontextmanager
    async def opened(stop: StopSignal, show: Console) -> AsyncGenerator[Work[Results]]:
        await keep_accounts(journal, prepared)
        if plan is not None:
            await keep_plan(journal, plan)
        elif (planned := journal.get(PLAN, "", RunPlan)) is not None:
            await warn_of_news(journal, prepared, planned, show.line)
        if is_scripted(prepared.config.model.base):
            show.line(
                f"{prepared.config.model.base} is a scripted player, for rehearsal: it learns "
                "nothing, and its fine-tunes play as it does"
            )
        async with _run(prepared, journal, stop, show, again=again) as run:
            yield _planned(prepared, run)

    return await run_to_end(prepared.config, journal, opened, reporting)


async def _planned(prepared: PreparedRun, run: RunContext) -> Results:
    """Walk through the run, and draw up its plan where none is kept, to hold its costs against.

    That is done beside the event loop once the first requests are under way: a second of
    arithmetic that nobody waits for.
    """
    journal = run.journal
    if journal.get(PLAN, "", RunPlan) is not None:
        return await _loop(run)
    try:
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(_loop(run))
            while not journal.ledger.count() and not loop.done():
                await asyncio.wait({loop}, timeout=_LOOK_EVERY_S)
            plan = await asyncio.to_thread(drawn_up, prepared)
            await keep_and_warn(journal, plan, run.console.line)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return loop.result()


async def _loop(run: RunContext) -> Results:
    replay = run.config.replay
    return await (iterate(run) if replay is None else retrain_chain(run, replay.steps))


@asynccontextmanager
async def _run(
    prepared: PreparedRun, journal: Journal, stop: StopSignal, show: Console, *, again: bool
) -> AsyncGenerator[RunContext]:
    """The run with its endpoint connected; everything is let go of in the end."""
    config = prepared.config
    async with AsyncExitStack() as stack:
        chats, trains = await _endpoints(prepared, journal.run_dir, stack)
        retries = Retries(sleep=stop.sleep, waits=Waits(time.time, show.waiting))
        pacer = Pacer(config.requests.concurrency, waits=retries.waits)
        chat: ChatModel
        connection, hosting, chat = await connected(
            stack, chats, journal, retries, pacer, show.line
        )
        trainer = connection
        if trains != chats:
            trainer = await stack.enter_async_context(connect(trains))
        if config.requests.transport == "batch":
            chat = await stack.enter_async_context(
                in_batches(journal, connection.batches, retries, chats, show.line)
            )
        prices = Prices(trains)
        yield RunContext(
            config=config,
            directory=journal.run_dir,
            journal=journal,
            prompts=prepared.prompts,
            chat=StoppableChat(chat, stop),
            largest_n=chats.chat.n,
            counter=counter_at(trains, config.model),
            trainer=Trainer(
                *(trains, trainer, journal, retries, config, prices.training, show.line),
                probe_price=prices.worst_case,
                again=again,
            ),
            deployments=hosting,
            console=show,
            tracker=await stack.enter_async_context(_tracked(config, journal, show)),
        )


@asynccontextmanager
async def _tracked(
    config: RunConfig, journal: Journal, show: Console
) -> AsyncGenerator[Tracker | None]:
    """The run file's tracker, closed in the end, whatever that is."""
    settings = configs.leaves(config)
    run = Identity(config.name, journal.run.created, journal.run_dir, settings)
    tracker = open_tracker(config.tracking, run)
    finished = False
    try:
        yield tracker
        finished = True
        if tracker is not None:
            from rmft_api.session.tracked_results import track_results

            await track_results(tracker, config, journal, show.line)
    finally:
        if tracker is not None:
            await report_to_tracker(lambda: tracker.close(finished=finished), show.line)


async def _endpoints(
    prepared: PreparedRun, run_dir: Path, stack: AsyncExitStack
) -> tuple[Profile, Profile]:
    """Who answers and who trains; the embedded server is started if either is on this machine."""
    profiles = (prepared.chats, prepared.trains)
    if not any(is_embedded(profile) for profile in profiles):
        return profiles
    model = prepared.config.model
    server = embedded_server(run_dir / "server", engine_options(model), start_within_s(model))
    url = await stack.enter_async_context(server)
    chats, trains = (one.at(url) if is_embedded(one) else one.here() for one in profiles)
    return chats, trains
