"""`rmft-api plan`: what a run will do and cost. Asks nobody and needs no key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import (
    RUNS,
    AcceptShutdown,
    Budget,
    Overrides,
    ReplyTokens,
    RunFile,
    RunsDir,
    described,
    run_file,
)
from rmft_api.session.run_directories import run_directory

if TYPE_CHECKING:
    from rmft_api.config.schema import RunConfig
    from rmft_api.providers.profiles import Profile


def plan(
    file: RunFile = None,
    overrides: Overrides = None,
    budget: Budget = None,
    reply_tokens: ReplyTokens = None,
    accept_shutdown: AcceptShutdown = False,
    as_json: Annotated[bool, typer.Option("--json", help="The plan, for programs.")] = False,
    runs: RunsDir = RUNS,
) -> None:
    """Show what a run will do, cost and take, phase by phase. Sends and spends nothing.

    Where a run of its name has begun, its real replies say how long replies are.
    """
    show(
        described(run_file(file), overrides, budget),
        runs,
        reply_tokens=reply_tokens,
        accept_shutdown=accept_shutdown,
        as_json=as_json,
    )


def show(
    config: "RunConfig",
    runs: Path,
    *,
    reply_tokens: int | None,
    accept_shutdown: bool,
    as_json: bool,
) -> None:
    """Print the plan.

    Raises ConfigError for a run that cannot train or have batches there, and, after the plan,
    where it would end after its model.
    """
    import asyncio
    from datetime import UTC, datetime

    from rmft_api.core.errors import ConfigError
    from rmft_api.planning import build_plan
    from rmft_api.prompts import of_run as prompts_of_run
    from rmft_api.report.text.plan import plan_json, plan_table
    from rmft_api.rollouts.teacher import Teacher
    from rmft_api.session.embedded_server import check_base
    from rmft_api.session.prepare import batches_of
    from rmft_api.session.progress import heard_of
    from rmft_api.session.token_counters import counter_at
    from rmft_api.session.training_checks import check_training

    prompts = prompts_of_run(config)
    playing, training = profiles_of(config)
    if config.requests.transport == "batch":
        batches_of(playing)
    if config.teacher is not None:
        Teacher(config, config.teacher, prompts, 1)
    check_base(playing, config.model)
    check_training(training, config, prompts)
    drawn = asyncio.run(
        build_plan(
            config,
            prompts,
            playing,
            training,
            now=datetime.now(UTC),
            reply_tokens=reply_tokens,
            heard=heard_of(run_directory(runs, config.name)),
            counter=counter_at(playing, config.model),
        )
    )
    print(plan_json(drawn) if as_json else plan_table(drawn))  # noqa: T201
    if drawn.refusal and not accept_shutdown:
        raise ConfigError(drawn.refusal)


def refuse_shutdown(config: "RunConfig") -> None:
    """Raise ConfigError where the run would end after its model does."""
    from datetime import UTC, datetime

    from rmft_api.planning import refuse

    refuse(config, *profiles_of(config), now=datetime.now(UTC))


def profiles_of(config: "RunConfig") -> "tuple[Profile, Profile]":
    """The endpoints that play and that train."""
    from rmft_api.providers import profiles

    names = config.model.profile, config.model.training_profile or config.model.profile
    return profiles.load(names[0]), profiles.load(names[1])
