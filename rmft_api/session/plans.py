"""What a run will do and cost, for those who ask before they begin it. Sends nothing."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rmft_api.config.schema import RunConfig
from rmft_api.planning import RunPlan, build_plan, refuse
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.providers import profiles
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts.teacher import Teacher
from rmft_api.session import calibration
from rmft_api.session.embedded_server import check_base
from rmft_api.session.prepare import batches_of
from rmft_api.session.progress import observed_replies
from rmft_api.session.run_directories import run_directory
from rmft_api.session.starting_models import resolved
from rmft_api.session.token_counters import counter_at
from rmft_api.session.training_checks import check_training


async def plan_of(
    config: RunConfig, runs: Path, reply_tokens: int | None = None, *, measure: bool = False
) -> RunPlan:
    """The plan of a run, started in the folder `runs` or not; `reply_tokens`: assumed, of a reply.

    `measure`: how fast this machine is with the run's checkpoint, in some ten seconds; else what
    was measured before is taken. Needs no key. Raises ConfigError for a run that cannot train or
    send batches at its endpoints.
    `refusal` says why a run would not begin although it can be planned.
    """
    config = resolved(config, runs)
    prompts = prompts_of_run(config)
    playing, training = profiles_of(config)
    if config.requests.transport == "batch":
        batches_of(playing)
    if config.teacher is not None:
        Teacher(config, config.teacher, prompts, 1)
    check_base(playing, config.model)
    check_training(training, config, prompts)
    counter = counter_at(playing, config.model)
    measured = calibration.kept(config)
    if measure:
        measured = await calibration.calibrate(config, prompts, counter)
    return await build_plan(
        config,
        prompts,
        playing,
        training,
        now=datetime.now(UTC),
        reply_tokens=reply_tokens,
        observed=observed_replies(run_directory(runs, config.name)),
        counter=counter,
        measured=measured,
    )


def plan_now(
    config: RunConfig, runs: Path, reply_tokens: int | None = None, *, measure: bool = False
) -> RunPlan:
    """As `plan_of`, where no event loop runs."""
    return asyncio.run(plan_of(config, runs, reply_tokens, measure=measure))


def refuse_shutdown(config: RunConfig) -> None:
    """Raise ConfigError where the run would end after its model does."""
    refuse(config, *profiles_of(config), now=datetime.now(UTC))


def profiles_of(config: RunConfig) -> tuple[Profile, Profile]:
    """The endpoints that answer chats and that train."""
    names = config.model.profile, config.model.training_profile or config.model.profile
    return profiles.load(names[0]), profiles.load(names[1])
