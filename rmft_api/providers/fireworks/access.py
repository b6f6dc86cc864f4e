"""Free checks before a run: may the account spend, can the base be trained and played."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from rmft_api.core.errors import ProviderFault
from rmft_api.providers import faults
from rmft_api.providers.fireworks.control import FireworksControl
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read

_SUSPENDED = {
    "FAILED_PAYMENTS": "a payment has failed: check its billing",
    "CREDIT_DEPLETED": "its credit is used up: add credit",
    "MONTHLY_SPEND_LIMIT_EXCEEDED": "its monthly spend limit is reached: raise it",
}


class _Account(msgspec.Struct, rename="camel"):
    suspend_state: str = "UNSUSPENDED"


class _Model(msgspec.Struct, rename="camel"):
    tunable: bool | None = None
    supports_serverless: bool | None = None
    supports_lora: bool | None = None


async def reached(profile: Profile, environ: Mapping[str, str]) -> str:
    """The time of a reply to a request that only a good key gets. Raises ProviderFault."""
    control = FireworksControl(profile, environ)
    request = control.request(f"get {control.account}", repeatable=True)
    try:
        status, headers, raw = await control.rest.exchange(
            request, "GET", control.account, data=None
        )
    finally:
        await control.close()
    if status != 200:
        raise faults.refused(request, status, headers, raw)
    return headers.get("date", "")


async def refusal(profile: Profile, environ: Mapping[str, str], model: str) -> str | None:
    """Why a run on a base cannot be: empty where it can, None where nothing is known.

    Raises ProviderFault where nobody answers.
    """
    control = FireworksControl(profile, environ)
    try:
        return await _suspended(control) or await _unusable(control, profile.job_model(model))
    finally:
        await control.close()


async def _suspended(control: FireworksControl) -> str:
    request = control.request(f"get {control.account}", repeatable=True)
    answer = read(request, await control.rest.send(request, "GET", control.account), _Account)
    if answer.suspend_state in ("", "UNSUSPENDED"):
        return ""
    why = _SUSPENDED.get(answer.suspend_state, answer.suspend_state.lower())
    return f"{control.account} is suspended, {why}"


async def _unusable(control: FireworksControl, model: str) -> str:
    request = control.request("get a model", model=model, repeatable=True)
    try:
        raw = await control.rest.send(request, "GET", quote(model))
    except ProviderFault as fault:
        if fault.status in (400, 404):
            return f"{model!r} is unknown there; it looks like accounts/fireworks/models/NAME"
        raise
    answer = read(request, raw, _Model)
    if answer.tunable is False or answer.supports_lora is False:
        return f"{model!r} cannot be fine-tuned there; set model.base to a tunable model"
    if answer.supports_serverless is False:
        return (
            f"{model!r} answers only on a deployment, and the base of a run must answer by the "
            "token (serverless); set model.base to another model"
        )
    return ""
