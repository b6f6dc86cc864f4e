"""All that can be known before a run begins: refused here, nothing was written, started or paid."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from rmft_api import tracking
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.core.scripted_players import is_scripted
from rmft_api.evaluation import outcome
from rmft_api.planning import RunPlan
from rmft_api.planning.open_model import settings_of
from rmft_api.prompts import PromptSet
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.providers import connect, profiles
from rmft_api.providers.capabilities import BatchCapabilities
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import preparation, warm_up
from rmft_api.rollouts.teacher import Teacher
from rmft_api.rollouts.warm_up import RandomPlayer
from rmft_api.session.embedded_server import (
    check_base,
    check_checkpoint,
    is_embedded,
    require_local_extra,
    require_open_extra,
)
from rmft_api.session.token_counters import counter_at
from rmft_api.session.training_checks import check_training


@dataclass(frozen=True)
class PreparedRun:
    """A run that can begin."""

    config: RunConfig
    prompts: PromptSet
    chats: Profile
    """The endpoint that answers chats."""
    trains: Profile
    """The endpoint that trains; often the same."""


def prepare(config: RunConfig) -> PreparedRun:
    """Check problems, prompts, endpoints, keys, prices, extras. Raises ConfigError, DataError."""
    prompts = prompts_of_run(config)
    preparation.divisions(config)
    preparation.references(config, preparation.TRIALS)
    for split in ("train", "validation", "test"):
        for prepared in preparation.prepared_scenarios(config, prompts, split, 1):
            prepared.prompt_builder()
    tracking.check(config.tracking)
    outcome.check_baselines(config)
    outcome.check_measures(config)
    outcome.check_selection_rule(config)
    if config.teacher is not None:
        Teacher(config, config.teacher, prompts, 1)
    if config.warm_up is not None:
        RandomPlayer.of(warm_up.settings(config), prompts)
    model = config.model
    chats = profiles.load(model.profile)
    trains = profiles.load(model.training_profile or model.profile)
    check_base(chats, model)
    check_training(trains, config, prompts)
    if config.prompts.answer == "tool" and not chats.chat.tools:
        raise ConfigError(
            f"profile {chats.name!r} offers no tools to a model (chat.tools); set prompts.answer = "
            "'json' or 'tag', or chat.tools = true in a profile of yours"
        )
    if config.requests.transport == "batch":
        batches_of(chats)
    for profile in {chats.name: chats, trains.name: trains}.values():
        _check_endpoint(profile, config)
    return PreparedRun(config, prompts, chats, trains)


def batches_of(profile: Profile) -> BatchCapabilities:
    """What the endpoint's batches take. Raises ConfigError where it has none, or none for a chain.

    A batch names the model itself: what must be deployed first is asked one by one. (Azure answers
    batches in deployments of base models made for them, GlobalBatch and DataZoneBatch; a fine-tune
    can be in none.)
    """
    if profile.deploy != "none":
        raise ConfigError(
            f"profile {profile.name!r} answers a fine-tune only where it is deployed, and no batch "
            "goes there; set requests.transport = 'direct'"
        )
    if profile.batch is None:
        raise ConfigError(
            f"profile {profile.name!r} answers no batches; set requests.transport = 'direct', or "
            "give your profile a [batch] section if its endpoint has /v1/batches"
        )
    return profile.batch


def drawn_up(prepared: PreparedRun) -> RunPlan:
    """What the run will do and cost if it begins now. Sends nothing; takes about a second."""
    from rmft_api.planning import build_plan  # a free run begins before it needs its plan

    config, chats = prepared.config, prepared.chats
    return asyncio.run(
        build_plan(
            config,
            prepared.prompts,
            chats,
            prepared.trains,
            datetime.now(UTC),
            counter=counter_at(chats, config.model),
        )
    )


def _check_endpoint(profile: Profile, config: RunConfig) -> None:
    profile.key()
    if is_embedded(profile) and not is_scripted(config.model.base):
        require_local_extra() if settings_of(config) is None else require_open_extra()
        check_checkpoint(config.model)
    elif not is_embedded(profile):
        connect(profile).check()
    if not profile.paid:
        return
    _check_prices(profile, config)
    if config.budget_usd is None:
        raise ConfigError(
            f"profile {profile.name!r} costs money: say how much at most, with --budget USD or "
            "budget_usd in the run file"
        )


def _check_prices(profile: Profile, config: RunConfig) -> None:
    """Prices of the base, of its fine-tunes and of training: asked for now, not after rollouts."""
    from rmft_api.planning.cost import tuned_id

    batch = config.requests.transport == "batch"
    prices, base = Prices(profile, batch=batch), config.model.base
    if profile.name == config.model.profile:
        prices.check(base, tuned_id(profile, base))
    if profile.rents_deployments and prices.deployment_hour(tuned_id(profile, base)) is None:
        raise ConfigError(
            f"no price is known for hosting fine-tunes of {base!r} at {profile.price_list!r}: "
            "write hosting_per_hour into a prices file and name it in RMFT_PRICES"
        )
    if profile.training is not None and prices.training(base, 1) is None:
        raise ConfigError(
            f"no price is known for training {base!r} at {profile.price_list!r}: write one into a "
            "prices file and name it in RMFT_PRICES"
        )
