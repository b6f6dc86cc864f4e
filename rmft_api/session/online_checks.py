"""What `doctor --online` asks besides: each way of a run, what may be trained, what stands."""

from collections.abc import Mapping
from typing import Any

from rmft_api.core.errors import RmftError
from rmft_api.journal.ledger import dollars
from rmft_api.providers import connect
from rmft_api.providers.model_list import access_refusal, training_limits
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.session.environment_checks import Finding

_SHOWN = 200
"""Characters of limits: their form is not documented, so they are shown as reported."""


async def online_findings(
    profile: Profile, environ: Mapping[str, str], base: str | None
) -> list[Finding]:
    """Findings that cost nothing; none where the endpoint reports nothing more."""
    found: list[Finding] = []
    try:
        limits = await training_limits(profile, environ)
        if limits is not None:
            found.append(Finding("entitlement", "ok", f"may train: {_limits_in_words(limits)}"))
        elif profile.training is not None and profile.paid:
            said = f"{profile.name} does not say what this key may train; the first job would"
            found.append(Finding("entitlement", "note", said))
        refused = await access_refusal(profile, base, environ) if base else None
        if refused is not None:
            said = refused or f"this account may use {base!r}"
            found.append(Finding("model access", "fail" if refused else "ok", said))
    except RmftError as error:
        found.append(Finding("entitlement", "fail", str(error)))
    if profile.deploys_for_a_while:
        found += await _standing(profile, environ)
    return found


async def reached(profile: Profile, environ: Mapping[str, str]) -> list[Finding]:
    """Whether the very clients of a run get through: for chats, and for files and jobs."""
    found: list[Finding] = []
    try:
        async with connect(profile, environ=environ) as connection:
            async for what, fault in connection.reach():
                said = str(fault) if fault else "reached as a run would reach it"
                found.append(Finding(what, "fail" if fault else "ok", said))
    except RmftError as error:
        found.append(Finding("connection", "fail", str(error)))
    return found


async def _standing(profile: Profile, environ: Mapping[str, str]) -> list[Finding]:
    """What is deployed and costs money at this moment."""
    try:
        async with connect(profile, environ=environ) as connection:
            host = connection.host
            stand = await host.deployments() if host else []
    except RmftError as error:
        return [Finding("deployments", "fail", str(error))]
    if not stand:
        return [Finding("deployments", "ok", "none of ours stands")]
    prices = Prices(profile)
    rented = [one.model for one in stand if profile.rents_deployments]
    rents = [prices.deployment_hour(model) for model in rented if profile.is_tuned(model)]
    known = sum(rent for rent in rents if rent is not None)
    names = ", ".join(one.name for one in stand)
    said = f"{names}: {dollars(known)} an hour; `rmft-api cleanup` shows and removes them"
    return [Finding("deployments", "note", said)]


def _limits_in_words(limits: dict[str, Any]) -> str:
    text = str(limits)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
