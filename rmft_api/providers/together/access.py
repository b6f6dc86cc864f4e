"""Free facts of Together: is the key good, and can a base be trained and hosted."""

from collections.abc import Mapping

import msgspec

from rmft_api.core.errors import ProviderFault
from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.providers.together.control import TogetherControl

_DEDICATED, _SERVERLESS = "PRODUCT_DEDICATED", "PRODUCT_SERVERLESS"


class _Supported(msgspec.Struct):
    name: str
    products: list[str] = []


class _Catalog(msgspec.Struct):
    data: list[_Supported]


async def reached(profile: Profile, environ: Mapping[str, str]) -> str:
    """The time of a reply to a request that only a good key gets. Raises ProviderFault."""
    control = TogetherControl(profile, environ)
    request = control.request("list files", repeatable=True)
    try:
        status, headers, raw = await control.rest.exchange(request, "GET", "v1/files", data=None)
    finally:
        await control.close()
    if status != 200:
        raise faults.refused(request, status, headers, raw)
    return headers.get("date", "")


async def refusal(profile: Profile, environ: Mapping[str, str], model: str) -> str | None:
    """Why a run on a base cannot be: empty where it can, None where nothing is stated.

    Raises ProviderFault if the endpoint does not answer.
    """
    control = TogetherControl(profile, environ)
    try:
        return await _untrainable(profile, control, model) or await _unplayable(control, model)
    finally:
        await control.close()


async def _untrainable(profile: Profile, control: TogetherControl, model: str) -> str:
    request = control.request("list what may be trained", model=model, repeatable=True)
    query = {"model_name": profile.job_model(model)}
    try:
        await control.rest.send(request, "GET", "v1/fine-tunes/models/limits", query=query)
    except ProviderFault as fault:
        if fault.status in (400, 404, 422):
            return (
                f"{query['model_name']!r} cannot be fine-tuned there; set model.base to a model "
                "of docs.together.ai/docs/fine-tuning/supported-models"
            )
        raise
    return ""


async def _unplayable(control: TogetherControl, model: str) -> str | None:
    """A base must answer without an endpoint, and its fine-tunes must have one."""
    request = control.request("list supported models", model=model, repeatable=True)
    query = {"search": model, "limit": "100"}
    raw = await control.rest.send(request, "GET", "v2/supported-models", query=query)
    listed = [one for one in read(request, raw, _Catalog).data if one.name == model]
    if not listed:
        return None
    products = {product for one in listed for product in one.products}
    if _SERVERLESS not in products:
        return (
            f"{model!r} answers only on a dedicated endpoint, and the base of a run must answer "
            "by the token (serverless); set model.base to another model"
        )
    if _DEDICATED not in products:
        return f"fine-tunes of {model!r} cannot be hosted there; set model.base to another model"
    return ""
