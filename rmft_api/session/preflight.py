"""What the endpoints themselves say against a run, asked just before it begins: it costs nothing.

An endpoint that does not answer now is no reason to stop: the run waits for it as it always does.
"""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, FaultKind, NotEntitledError, ProviderFault
from rmft_api.planning import lifecycle
from rmft_api.providers.model_list import access_refusal, list_models, training_limits
from rmft_api.providers.profiles import Profile
from rmft_api.session.embedded_server import is_embedded


async def preflight(
    config: RunConfig,
    playing: Profile,
    training: Profile,
    *,
    accept_shutdown: bool,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Raise NotEntitledError for a refused key or a closed organisation, ConfigError for an end."""
    for profile in {playing.name: playing, training.name: training}.values():
        if profile.paid and not is_embedded(profile):
            await _ask(profile, environ, None if accept_shutdown else _end(config, profile), config)


async def _ask(
    profile: Profile, environ: Mapping[str, str], last_day: date | None, config: RunConfig
) -> None:
    try:
        listing = await list_models(profile, environ)
        await training_limits(profile, environ)
        refused = await access_refusal(profile, config.model.base, environ)
    except ProviderFault as fault:
        if fault.kind is FaultKind.STOP and fault.status in (401, 403):
            raise NotEntitledError(str(fault)) from fault
        return
    if refused:
        raise NotEntitledError(f"{profile.name}: {refused}")
    base = config.model.base
    if profile.lists_models and listing.shutdowns and base not in listing.shutdowns:
        raise ConfigError(
            f"{profile.name} does not list {base!r} for this key; check model.base, and the "
            "project that the key belongs to (`rmft-api doctor --online`)"
        )
    ends = listing.shutdowns.get(base)
    if ends is not None and last_day is not None and last_day >= ends:
        raise ConfigError(
            f"{profile.name} says that {base!r} ends on {ends}, and run {config.name!r} would end "
            f"on {last_day}; --accept-shutdown begins it anyway; {lifecycle.STILL_OPEN}"
        )


def _end(config: RunConfig, profile: Profile) -> date:
    """The day that a run which starts now would end on."""
    return lifecycle.calendar(config, profile, profile, datetime.now(UTC)).ends.date()
