"""Free facts of Tinker: is the key good, and can a base be trained and played."""

from collections.abc import Mapping

import msgspec

from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.providers.tinker.control import TinkerControl
from rmft_api.providers.tinker.rendering import tokenizer_of

_LISTED = "api/v1/get_server_capabilities"


class _Model(msgspec.Struct):
    model_name: str | None = None
    trainable: bool | None = None
    sampleable: bool | None = None


class _Capabilities(msgspec.Struct):
    supported_models: list[_Model]


async def reached(profile: Profile, environ: Mapping[str, str]) -> str:
    """The time of a reply that only a good key of a paying account gets. Raises ProviderFault."""
    control = TinkerControl(profile, environ)
    request = control.request("list its models", repeatable=True)
    try:
        status, headers, raw = await control.rest.exchange(request, "GET", _LISTED, data=None)
    finally:
        await control.close()
    if status != 200:
        raise faults.refused(request, status, headers, raw)
    return headers.get("date", "")


async def refusal(profile: Profile, environ: Mapping[str, str], model: str) -> str:
    """Why a run on a base cannot be; empty where it can.

    Raises ProviderFault if the endpoint does not answer, ConfigError for a base whose tokenizer
    is not to be had.
    """
    control = TinkerControl(profile, environ)
    try:
        request = control.request("list its models", model=model, repeatable=True)
        listed = read(request, await control.rest.send(request, "GET", _LISTED), _Capabilities)
    finally:
        await control.close()
    known = {one.model_name: one for one in listed.supported_models}
    found = known.get(profile.job_model(model))
    some = ", ".join(sorted(name for name in known if name)[:5])
    if found is None:
        return f"{model!r} is not offered there; set model.base to another model, such as {some}"
    if found.trainable is False or found.sampleable is False:
        lacks = "trained" if found.trainable is False else "asked"
        return f"{model!r} cannot be {lacks} there; set model.base to another model"
    tokenizer_of(model, environ)
    return ""
