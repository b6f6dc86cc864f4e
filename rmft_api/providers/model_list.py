"""Free facts of an endpoint: its models and their ends, its clock, what may be trained."""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import msgspec

from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile


class _Entry(msgspec.Struct):
    id: str
    shutdown_date: Any = None


class _Page(msgspec.Struct):
    data: list[_Entry]


class ModelList(NamedTuple):
    """An endpoint's answer to a request for its models."""

    shutdowns: dict[str, date | None]
    """By model id; None where no end is stated."""
    at: datetime | None
    """The endpoint's own time (UTC)."""


async def list_models(profile: Profile, environ: Mapping[str, str] = os.environ) -> ModelList:
    """Ask once; costs nothing. Raises ProviderFault, and ConfigError for a missing key."""
    profile = profile.here(environ)
    if profile.wire == "gemini":
        return await _reached_gemini(profile, environ)
    if profile.wire == "bedrock":
        from rmft_api.providers.bedrock import models

        ends, at = await models.shutdowns(profile, environ)
        return ModelList(ends, _time(at))
    if profile.wire == "together":
        from rmft_api.providers.together import access

        return ModelList({}, _time(await access.reached(profile, environ)))
    if profile.wire == "fireworks":
        from rmft_api.providers.fireworks import access as of_fireworks

        return ModelList({}, _time(await of_fireworks.reached(profile, environ)))
    if profile.wire == "tinker":
        from rmft_api.providers.tinker import access as of_tinker

        return ModelList({}, _time(await of_tinker.reached(profile, environ)))
    headers = profile.headers(environ) | profile.authorization(profile.key(environ))
    request = faults.Request(
        profile.name, "list its models", repeatable=True, key_name=profile.api_key_env or "the key"
    )
    status, reply_headers, raw = await _get(profile, headers, request, environ)
    if status != 200:
        raise faults.refused(request, status, reply_headers, raw)
    try:
        entries = msgspec.json.decode(raw, type=_Page).data
    except msgspec.MsgspecError as error:
        raise faults.malformed(request, str(error), raw) from error
    return ModelList(
        {e.id: _day(e.shutdown_date) for e in entries}, _time(reply_headers.get("date", ""))
    )


async def _reached_gemini(profile: Profile, environ: Mapping[str, str]) -> ModelList:
    """Its models are Google's; what a run needs is the right to list and create tuning jobs."""
    from rmft_api.providers.gemini.names import GeminiProject, connected

    place = GeminiProject.of(profile, environ)
    rest = connected(profile, environ, place)
    request = faults.Request(
        profile.name,
        f"list tuning jobs of project {place.project}",
        repeatable=True,
        key_name="the Google credentials",
    )
    try:
        status, reply_headers, raw = await rest.exchange(
            request, "GET", f"{place.parent}/tuningJobs", data=None, query={"pageSize": "1"}
        )
    finally:
        await rest.close()
    if status != 200:
        raise faults.refused(request, status, reply_headers, raw)
    return ModelList({}, _time(reply_headers.get("date", "")))


async def access_refusal(
    profile: Profile, model: str, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Why the account may not use a base model: empty where it may, None where nothing is stated.

    Costs nothing. Raises ProviderFault if the endpoint does not answer, ConfigError for what is not
    set.
    """
    if profile.wire == "together":
        from rmft_api.providers.together import access

        return await access.refusal(profile.here(environ), environ, model)
    if profile.wire == "fireworks":
        from rmft_api.providers.fireworks import access as of_fireworks

        return await of_fireworks.refusal(profile.here(environ), environ, model)
    if profile.wire == "tinker":
        from rmft_api.providers.tinker import access as of_tinker

        return await of_tinker.refusal(profile.here(environ), environ, model)
    if profile.wire != "bedrock":
        return None
    from rmft_api.providers.bedrock import models

    return await models.refusal(profile.here(environ), environ, model)


async def training_limits(
    profile: Profile, environ: Mapping[str, str] = os.environ
) -> dict[str, Any] | None:
    """What the organisation may train there; None where nothing is stated. Costs nothing.

    Raises ProviderFault where it may not train at all, or if the endpoint does not answer.
    """
    path = profile.training.limits_path if profile.training else ""
    if not path:
        return None
    profile = profile.here(environ)
    headers = profile.headers(environ) | profile.authorization(profile.key(environ))
    request = faults.Request(
        profile.name,
        "list what may be trained",
        repeatable=True,
        key_name=profile.api_key_env or "the key",
    )
    status, reply_headers, raw = await _get(profile, headers, request, environ, path)
    if status in (404, 405, 501):
        return None
    if status != 200:
        raise faults.refused(request, status, reply_headers, raw)
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None  # stated in an undocumented form: no reason to stop


async def _get(
    profile: Profile,
    headers: Mapping[str, str],
    request: faults.Request,
    environ: Mapping[str, str],
    path: str = "models",
) -> tuple[int, Mapping[str, str], bytes]:
    from rmft_api.providers.rest import Rest, fixed  # aiohttp: a fifth of a second, often unused

    waits = profile.timeouts
    rest = Rest(
        profile.base_url,
        fixed(headers),
        environ=environ,
        connect_s=waits.connect_s,
        total_s=waits.list_s,
    )
    try:
        return await rest.exchange(request, "GET", path, data=None)
    finally:
        await rest.close()


def _day(reply_headers: Any) -> date | None:
    try:
        return date.fromisoformat(reply_headers)
    except (TypeError, ValueError):
        return None


def _time(header: str) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC)
    except ValueError:
        return None
