"""Free facts of Bedrock: its models and their ends, and what this account may use."""

from collections.abc import Mapping
from datetime import date, datetime

import msgspec

from rmft_api.core.errors import ProviderFault
from rmft_api.providers import faults
from rmft_api.providers.bedrock import access, names
from rmft_api.providers.bedrock.aws_rest import AwsRest, segment
from rmft_api.providers.bedrock.tuner import control
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read


class _Lifecycle(msgspec.Struct, rename="camel"):
    end_of_life_time: str = ""


class _Summary(msgspec.Struct, rename="camel"):
    model_id: str
    model_lifecycle: _Lifecycle = msgspec.field(default_factory=_Lifecycle)


class _Page(msgspec.Struct, rename="camel"):
    model_summaries: list[_Summary]


class _Agreement(msgspec.Struct):
    status: str = "AVAILABLE"


class _Availability(msgspec.Struct, rename="camel"):
    agreement_availability: _Agreement = msgspec.field(default_factory=_Agreement)
    authorization_status: str = "AUTHORIZED"
    entitlement_availability: str = "AVAILABLE"
    region_availability: str = "AVAILABLE"

    def refusal(self, model: str, region: str) -> str:
        """Why the account cannot use the model; empty where it can."""
        if self.region_availability != "AVAILABLE":
            return f"{model!r} is not offered in {region}; set AWS_REGION, e.g. to us-east-1"
        if self.authorization_status != "AUTHORIZED":
            return f"these credentials may not use {model!r}; allow bedrock:InvokeModel on it"
        granted = (self.entitlement_availability, self.agreement_availability.status)
        if granted != ("AVAILABLE", "AVAILABLE"):
            return (
                f"access to {model!r} is not granted to this account in {region}; ask for it in "
                "Bedrock's console (Model access)"
            )
        return ""


async def shutdowns(
    profile: Profile, environ: Mapping[str, str]
) -> tuple[dict[str, date | None], str]:
    """The ends of the region's models by id, and the reply's time. Raises ProviderFault."""
    rest = control(profile, environ)
    request = _request(profile, f"list the models of {names.region(profile, environ)}")
    try:
        status, reply_headers, raw = await rest.exchange(
            request, "GET", "foundation-models", data=None
        )
    finally:
        await rest.close()
    if status != 200:
        raise faults.refused(request, status, reply_headers, raw)
    listed = read(request, raw, _Page).model_summaries
    ends = {one.model_id: _day(one.model_lifecycle.end_of_life_time) for one in listed}
    return ends, reply_headers.get("date", "")


async def refusal(profile: Profile, environ: Mapping[str, str], model: str) -> str | None:
    """Why the account cannot use a base model: empty where it can, None where nothing is stated.

    Raises ProviderFault if the endpoint does not answer.
    """
    rest = control(profile, environ)
    try:
        return await _refusal(profile, rest, model, names.region(profile, environ))
    finally:
        await rest.close()


async def _refusal(profile: Profile, rest: AwsRest, model: str, region: str) -> str | None:
    request = _request(profile, "check whether a model may be used")
    try:
        raw = await rest.send(request, "GET", f"foundation-model-availability/{segment(model)}")
    except ProviderFault as fault:
        if fault.status in (400, 404, 405, 501):
            return None
        raise
    return read(request, raw, _Availability).refusal(model, region)


def _request(profile: Profile, action: str) -> faults.Request:
    return faults.Request(profile.name, action, repeatable=True, key_name=access.KEY_NAME)


def _day(reply_headers: str) -> date | None:
    try:
        return datetime.fromisoformat(reply_headers).date()
    except ValueError:
        return None
