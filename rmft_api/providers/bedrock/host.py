"""Custom models answer once they are deployed: on demand, paid by the token, or by rented units.

A deployment carries a name of ours that no other of the account may have, so that a second request
for it makes nothing; it is tagged with its run, so that what a dead run left behind is found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from rmft_api.core.errors import ProviderFault
from rmft_api.core.records import Deployment, DeploymentOrder, DeploymentState
from rmft_api.providers import faults
from rmft_api.providers.bedrock import access, names
from rmft_api.providers.bedrock.aws_rest import segment
from rmft_api.providers.bedrock.tuner import control
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read

OURS = "rmft-"
_STATES: dict[str, DeploymentState] = {
    "Active": "ready",
    "InService": "ready",
    "Failed": "failed",
}
"""Of an open set; every other one is still on its way."""
_MOST_PAGES = 50


@dataclass(frozen=True)
class _Form:
    """How one form of deployment is asked for."""

    path: str
    list_path: str
    name: str
    """The field of its name in an order."""
    model: str
    """The field of its model in an order."""


_ON_DEMAND = _Form(
    "model-customization/custom-model-deployments",
    "model-customization/custom-model-deployments",
    "modelDeploymentName",
    "modelArn",
)
_PROVISIONED = _Form(
    "provisioned-model-throughput",
    "provisioned-model-throughputs",
    "provisionedModelName",
    "modelId",
)


class _Wire(msgspec.Struct, rename="camel"):
    """A deployment of either form, returned alone or in a list."""

    status: str = ""
    model_arn: str = ""
    model_deployment_name: str = ""
    custom_model_deployment_name: str = ""
    provisioned_model_name: str = ""
    custom_model_deployment_arn: str = ""
    provisioned_model_arn: str = ""
    created_at: str = ""
    creation_time: str = ""
    failure_message: str = ""

    @property
    def name(self) -> str:
        stated = (self.model_deployment_name, self.custom_model_deployment_name)
        return next(filter(None, (*stated, self.provisioned_model_name)), "")

    @property
    def arn(self) -> str:
        return self.custom_model_deployment_arn or self.provisioned_model_arn


class _Page(msgspec.Struct, rename="camel"):
    model_deployment_summaries: list[_Wire] = []
    provisioned_model_summaries: list[_Wire] = []
    next_token: str | None = None


class _Tag(msgspec.Struct):
    key: str
    value: str = ""


class _Tags(msgspec.Struct):
    tags: list[_Tag] = []


class BedrockDeployments:
    """A `DeploymentClient` for one account and region. Raises ProviderFault, classified."""

    removed_after_use = True
    repeatable = True

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        self._form = _PROVISIONED if profile.rents_deployments else _ON_DEMAND
        self._rest = control(profile, environ)

    @property
    def billed_hourly(self) -> bool:
        """Rented units are; deployments on demand are paid by the token alone."""
        return self._profile.rents_deployments

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    async def deploy(self, order: DeploymentOrder, token: str) -> Deployment:
        """Deploy it, unless it stands already. A base model answers by itself."""
        if not self._profile.is_tuned(order.model):
            return self._base(order)
        request = self._request(f"deploy {order.name}", order.model)
        try:
            raw = await self._rest.send(
                request, "POST", self._form.path, json=self._body(order, token)
            )
        except ProviderFault as fault:
            if fault.status not in (400, 409):
                raise
            standing = [one for one in await self.find(order) if one.state != "failed"]
            if not standing:
                raise
            return standing[0]
        made = read(request, raw, _Wire)
        if not made.arn:
            raise faults.malformed(request, "it names no deployment", raw)
        return Deployment(order.name, made.arn, order.model, "pending", order.run, order.key)

    async def find(self, order: DeploymentOrder) -> list[Deployment]:
        """The deployment of this name and model, or nothing."""
        if not self._profile.is_tuned(order.model):
            return [self._base(order)]
        request = self._request(f"get deployment {order.name}", order.model)
        try:
            raw = await self._rest.send(request, "GET", f"{self._form.path}/{segment(order.name)}")
        except ProviderFault as fault:
            if fault.status == 404:
                return []
            raise
        found = read(request, raw, _Wire)
        _, arn = names.split(order.model)
        if found.model_arn and found.model_arn != arn:
            return []
        return [_record(found, {"rmft_model": order.model, "rmft_key": order.key}, order.name)]

    async def deployments(self) -> list[Deployment]:
        """Everything in the account and region that carries our name."""
        request = self._request("list deployments")
        found: list[_Wire] = []
        query = {"nameContains": OURS, "maxResults": "100"}
        for _ in range(_MOST_PAGES):
            raw = await self._rest.send(request, "GET", self._form.list_path, query=query)
            page = read(request, raw, _Page)
            found += [*page.model_deployment_summaries, *page.provisioned_model_summaries]
            if not page.next_token:
                break
            query = {**query, "nextToken": page.next_token}
        ours = [one for one in found if one.name.startswith(OURS)]
        return [_record(one, await self._tags(one.arn)) for one in ours]

    async def remove(self, name: str) -> None:
        """DELETE it; nothing happens where there is none."""
        request = self._request(f"remove deployment {name}")
        try:
            await self._rest.send(request, "DELETE", f"{self._form.path}/{segment(name)}")
        except ProviderFault as fault:
            if fault.status != 404:
                raise

    def _base(self, order: DeploymentOrder) -> Deployment:
        """A base answers under its own name, or by the inference profile of a geography."""
        where = self._profile.hosting.base_sku
        target = f"{where}.{order.model}" if where else order.model
        return Deployment(order.name, target, order.model, "ready")

    def _body(self, order: DeploymentOrder, token: str) -> dict[str, Any]:
        _, arn = names.split(order.model)
        stated = {"rmft_run": order.run, "rmft_key": order.key, "rmft_model": order.model}
        units = {"modelUnits": self._profile.hosting.capacity} if self.billed_hourly else {}
        return {
            self._form.name: order.name,
            self._form.model: arn,
            **units,
            "tags": [{"key": name, "value": value} for name, value in stated.items()],
            "clientRequestToken": sha256(f"{order.key}|{token}".encode()).hexdigest()[:32],
        }

    async def _tags(self, arn: str) -> dict[str, str]:
        """What a deployment says of its run; nothing where it has gone meanwhile."""
        request = self._request(f"get the tags of {arn}")
        try:
            raw = await self._rest.send(
                request, "POST", "listTagsForResource", json={"resourceARN": arn}
            )
        except ProviderFault as fault:
            if fault.status != 404:
                raise
            return {}
        return {tag.key: tag.value for tag in read(request, raw, _Tags).tags}

    def _request(self, action: str, model: str = "") -> faults.Request:
        return faults.Request(
            self._profile.name, action, model=model, repeatable=True, key_name=access.KEY_NAME
        )


def _record(wire: _Wire, tags: Mapping[str, str], name: str = "") -> Deployment:
    state = _STATES.get(wire.status, "pending")
    model = names.tuned(names.base_in(wire.model_arn), wire.model_arn)
    return Deployment(
        name=name or wire.name,
        target=wire.arn,
        model=tags.get("rmft_model", model),
        state=state,
        run=tags.get("rmft_run", ""),
        key=tags.get("rmft_key", ""),
        created=wire.created_at or wire.creation_time,
        detail="" if state == "ready" else wire.failure_message or wire.status,
    )
