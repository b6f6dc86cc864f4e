"""Begins a comparison, continues it, and shows what it came to; journalled as a run is."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from rmft_api.config import renamed_keys
from rmft_api.config import schema as configs
from rmft_api.core.errors import ConfigError, DataError, UsageError
from rmft_api.core.ports import ChatModel, Console
from rmft_api.core.waits import Waits
from rmft_api.evaluation.comparison import (
    ComparisonConfig,
    ComparisonContext,
    ComparisonPlayer,
    ComparisonResults,
    comparison_results,
    play_all,
)
from rmft_api.journal import Journal
from rmft_api.planning import ComparisonPlan, plan_comparison
from rmft_api.prompts import PromptSet
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.providers import profiles
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.requests.pacing import Pacer
from rmft_api.requests.retries import Retries
from rmft_api.rollouts import preparation
from rmft_api.session.budgets import capped
from rmft_api.session.deployments import connected
from rmft_api.session.embedded_server import (
    embedded_server,
    is_embedded,
    require_local_extra,
)
from rmft_api.session.lifecycle import Work, run_to_end, with_resume_hint
from rmft_api.session.recorded_config import kept_origin, origin_of
from rmft_api.session.reporting import QUIET, Reporting
from rmft_api.session.resume_options import UNCHANGED, ResumeOptions
from rmft_api.session.run_directories import run_directory
from rmft_api.session.run_identity import refuse_other_data
from rmft_api.session.signals import StoppableChat, StopSignal
from rmft_api.session.valid_replies import eased, keep

KIND = "eval"


async def begin(
    config: ComparisonConfig, runs: Path, reporting: Reporting = QUIET
) -> ComparisonResults:
    """Begin a comparison and play it to its end. Raises UsageError where one of its name exists."""
    directory = run_directory(runs, config.name)
    if (directory / "journal.sqlite").exists():
        raise UsageError(
            f"{config.name!r} exists; `rmft-api resume {config.name}` continues it, "
            f"`rmft-api report {config.name}` shows it, --name OTHER begins another"
        )
    prompts = _prepared(config)
    provenance = {
        "kind": KIND,
        "rmft_api": version("rmft-api"),
        "python": sys.version.split()[0],
        "prompts": prompts.sha256,
        **kept_origin(config.run, directory),
    }
    journal = Journal.create(directory, config.model_dump_json(), provenance)
    return await _play_all(config, journal, prompts, reporting)


async def resume(
    directory: Path, options: ResumeOptions = UNCHANGED, reporting: Reporting = QUIET
) -> ComparisonResults:
    """Continue a comparison.

    Raises UsageError where iterations are asked for, ConfigError where its prompts have changed.
    """
    _refuse_iterations(directory.name, options.iterations)
    with with_resume_hint(directory.name):
        journal = Journal.open(directory)
    try:
        config = recorded(journal)
        run = eased(journal, capped(journal, config.run, options.caps), options.on_stopped)
        config = config.model_copy(update={"run": run})
        refuse_other_data(run, journal)
        prompts = _prepared(config)
        if prompts.sha256 != journal.run.provenance["prompts"]:
            raise ConfigError(
                f"the prompt files in {prompts.root} have changed since {config.name!r} began; "
                "restore them, or begin an evaluation of another name"
            )
        await keep(journal, run, options.on_stopped)
    except BaseException:
        journal.close()
        raise
    return await _play_all(config, journal, prompts, reporting)


def _refuse_iterations(name: str, iterations: int | None) -> None:
    """Raise UsageError where an evaluation is asked for a number of iterations."""
    if iterations is not None:
        raise UsageError(f"--iterations {iterations}: {name!r} is an evaluation, it has none")


def is_comparison(journal: Journal) -> bool:
    """Whether a journal is a comparison's."""
    return journal.run.provenance.get("kind") == KIND


def refuse_pages(name: str, asked: Mapping[str, object]) -> None:
    """Raise UsageError where an evaluation is asked for what only runs have, by option."""
    if options := [option for option, value in asked.items() if value]:
        raise UsageError(
            f"{name!r} is an evaluation, which has no such view; leave out {', '.join(options)}"
        )


def results_so_far(journal: Journal) -> ComparisonResults:
    """What a comparison came to so far."""
    config = recorded(journal)
    return comparison_results(config, journal, _prompts(config))


def recorded(journal: Journal) -> ComparisonConfig:
    """The frozen copy of what was started."""
    raw = renamed_keys.translated_comparison(msgspec.json.decode(journal.run.config_json))
    source = f"the journal of {journal.run_dir.name}"
    return configs.checked(ComparisonConfig, raw, source, origin_of(journal))


async def plan_of(config: ComparisonConfig, reply_tokens: int | None = None) -> ComparisonPlan:
    """What the comparison will do and cost. Raises UsageError where no model plays."""
    if not config.players:
        raise UsageError("name a model to plan for; known algorithms alone cost nothing")
    players = {
        player.label: (config.settings(player), profiles.load(player.profile))
        for player in config.players
    }
    prompts, today = _prompts(config), datetime.now(UTC).date()
    return await plan_comparison(config.suite, players, prompts, today, reply_tokens)


def plan_now(config: ComparisonConfig, reply_tokens: int | None = None) -> ComparisonPlan:
    """As `plan_of`, where no event loop runs."""
    return asyncio.run(plan_of(config, reply_tokens))


def _prompts(config: ComparisonConfig) -> PromptSet:
    return prompts_of_run(config.run)


def _prepared(config: ComparisonConfig) -> PromptSet:
    """Check all that can be known before anything is sent. Raises ConfigError, DataError."""
    prompts = _prompts(config)
    preparation.divisions(config.run, ("test",))
    preparation.references(config.run, preparation.TRIALS)
    for prepared in preparation.prepared_scenarios(config.run, prompts, "test", 0):
        prepared.prompt_builder()
    for player in config.players:
        _check(player, config)
    return prompts


def _check(player: ComparisonPlayer, config: ComparisonConfig) -> None:
    profile = profiles.load(player.profile)
    profile.key()
    if profile.rents_deployments:
        raise ConfigError(
            f"{player.label}: profile {profile.name!r} rents a deployment for every model; deploy "
            "it yourself and name that endpoint in a profile of yours"
        )
    if is_embedded(profile):
        require_local_extra()
    if player.server is not None and not Path(player.server).is_dir():
        raise DataError(f"{player.label}: its models lay in {player.server}, which is gone")
    if profile.paid:
        Prices(profile).check(player.model)
        if config.run.budget_usd is None:
            raise ConfigError(
                f"profile {profile.name!r} costs money: say how much at most, with --budget USD"
            )


async def _play_all(
    config: ComparisonConfig, journal: Journal, prompts: PromptSet, reporting: Reporting
) -> ComparisonResults:
    @asynccontextmanager
    async def opened(stop: StopSignal, show: Console) -> AsyncGenerator[Work[ComparisonResults]]:
        async with AsyncExitStack() as stack:
            endpoints = _Endpoints(config, journal, prompts, stop, show, stack)
            yield play_all(config, journal, prompts, endpoints.context_of)

    return await run_to_end(config.run, journal, opened, reporting)


@dataclass
class _Endpoints:
    """Connects each endpoint once, when its first player is to play."""

    config: ComparisonConfig
    journal: Journal
    prompts: PromptSet
    stop: StopSignal
    console: Console
    stack: AsyncExitStack
    _open: dict[tuple[str, str | None], tuple[Profile, ChatModel]] = field(
        default_factory=dict[tuple[str, str | None], tuple[Profile, ChatModel]]
    )

    async def context_of(self, player: ComparisonPlayer) -> ComparisonContext:
        """What a player is played with."""
        place = (player.profile, player.server)
        if place not in self._open:
            self._open[place] = await self._connected(player)
        profile, chat = self._open[place]
        return ComparisonContext(
            config=self.config.settings(player),
            journal=self.journal,
            prompts=self.prompts,
            chat=chat,
            largest_n=profile.chat.n,
            console=self.console,
        )

    async def _connected(self, player: ComparisonPlayer) -> tuple[Profile, ChatModel]:
        profile = profiles.load(player.profile).here()
        if is_embedded(profile):
            state = Path(player.server or self.journal.run_dir / "server")
            url = await self.stack.enter_async_context(embedded_server(state, player.engine))
            profile = profile.at(url)
        retries = Retries(sleep=self.stop.sleep, waits=Waits(time.time, self.console.waiting))
        pacer = Pacer(self.config.run.requests.concurrency, waits=retries.waits)
        say = self.console.line
        _, _, chat = await connected(self.stack, profile, self.journal, retries, pacer, say)
        return profile, StoppableChat(chat, self.stop)
