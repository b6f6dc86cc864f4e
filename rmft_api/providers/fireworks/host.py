"""Fine-tunes answer on deployments of their own, with the adapter merged into its base.

A deployment is named by us, so that a second request for it makes nothing; its description names
its run. It is paid by the second of its GPUs, whether anybody asks it or not; one that nobody
asks for an hour goes down to no replica by itself, and comes back when it is asked.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.records import Deployment, DeploymentOrder, DeploymentState
from rmft_api.providers.fireworks import names
from rmft_api.providers.fireworks.control import MOST_PAGES, FireworksControl
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read

OURS = "rmft-"
_STATES: dict[str, DeploymentState] = {"READY": "ready", "UPDATING": "ready", "FAILED": "failed"}
"""Of an open set; every other one is still on its way."""
_GONE = ("DELETING", "DELETED")
_IDLE = "3600s"


class _Status(msgspec.Struct):
    message: str = ""


class _Owner(msgspec.Struct):
    """What a deployment's description holds."""

    rmft_run: str = ""
    rmft_key: str = ""
    rmft_model: str = ""


class _Wire(msgspec.Struct, rename="camel"):
    name: str = ""
    state: str = ""
    base_model: str = ""
    description: str = ""
    create_time: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 0
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def short(self) -> str:
        """Its id."""
        return self.name.rpartition("/")[2]

    @property
    def is_gone(self) -> bool:
        """Whether it was taken down; its name may be held back for a while."""
        return self.state in _GONE

    @property
    def owner(self) -> _Owner:
        """Whose it is."""
        try:
            return msgspec.json.decode(self.description, type=_Owner)
        except msgspec.MsgspecError:
            return _Owner()


class _Page(msgspec.Struct, rename="camel"):
    deployments: list[_Wire] = []
    next_page_token: str = ""


class FireworksDeployments:
    """A `DeploymentClient` for one account. Raises ProviderFault, classified."""

    billed_hourly = True
    removed_after_use = True
    repeatable = True

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        self._control = FireworksControl(profile, environ)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._control.close()

    async def deploy(self, order: DeploymentOrder, token: str) -> Deployment:
        """Deploy it, unless it stands already. A base model answers by itself, serverless."""
        found = names.tuned(order.model)
        if found is None:
            return Deployment(order.name, order.model, order.model, "ready")
        body = self._body(order, found)
        await self._check_hardware(order, body)
        request = self._control.request(f"deploy {order.name}", model=order.model, repeatable=True)
        path, query = f"{self._control.account}/deployments", {"deploymentId": order.name}
        try:
            raw = await self._control.rest.send(request, "POST", path, json=body, query=query)
        except ProviderFault as fault:
            if fault.status != 409:
                raise
            return await self._standing(order, fault)
        return _record(read(request, raw, _Wire), order)

    async def find(self, order: DeploymentOrder) -> list[Deployment]:
        """The deployment of this name, or nothing."""
        if names.tuned(order.model) is None:
            return [Deployment(order.name, order.model, order.model, "ready")]
        wire = await self._get(order.name)
        return [] if wire is None or wire.is_gone else [_record(wire, order)]

    async def deployments(self) -> list[Deployment]:
        """Everything in the account that carries our name."""
        request = self._control.request("list deployments", repeatable=True)
        found: list[_Wire] = []
        query = {"pageSize": "200"}
        for _ in range(MOST_PAGES):
            path = f"{self._control.account}/deployments"
            raw = await self._control.rest.send(request, "GET", path, query=query)
            page = read(request, raw, _Page)
            found += page.deployments
            if not page.next_page_token:
                break
            query = {**query, "pageToken": page.next_page_token}
        return [_leftover(one) for one in found if one.short.startswith(OURS) and not one.is_gone]

    async def remove(self, name: str) -> None:
        """DELETE it for good, so that its name is free again; nothing happens where there is none.

        Fireworks would keep one that was asked lately, so its checks are overruled.
        """
        request = self._control.request(f"remove deployment {name}", repeatable=True)
        path = self._control.path("deployments", name)
        query = {"hard": "true", "ignoreChecks": "true"}
        try:
            await self._control.rest.send(request, "DELETE", path, query=query)
        except ProviderFault as fault:
            if fault.status != 404:
                raise

    def _body(self, order: DeploymentOrder, model: names.FireworksModelId) -> dict[str, Any]:
        owner = _Owner(order.run, order.key, order.model)
        return {
            "baseModel": model.name,
            "deploymentShape": self._profile.hosting.sku,
            "minReplicaCount": 0,
            "maxReplicaCount": 1,
            "autoscalingPolicy": {"scaleToZeroWindow": _IDLE},
            "displayName": order.name,
            "description": msgspec.json.encode(owner).decode(),
        }

    async def _check_hardware(self, order: DeploymentOrder, body: Mapping[str, Any]) -> None:
        """Rent no hardware but that which the price of an hour is known for.

        A request that only validates shows what would be deployed. Raises ConfigError.
        """
        request = self._control.request("check a deployment", model=order.model, repeatable=True)
        query = {"deploymentId": order.name, "validateOnly": "true"}
        path = f"{self._control.account}/deployments"
        try:
            raw = await self._control.rest.send(request, "POST", path, json=body, query=query)
        except ProviderFault as fault:
            if fault.status == 409:
                return
            raise
        would, known = read(request, raw, _Wire), self._profile.hosting
        kind, count = would.accelerator_type or known.base_sku, would.accelerator_count or 1
        if (kind, count) != (known.base_sku, known.capacity):
            raise ConfigError(
                f"{self._profile.name} would deploy {order.model} on {count} x {kind}, and "
                f"hosting_per_hour stands for {known.capacity} x {known.base_sku}: write the price "
                "of an hour of it into a prices file (RMFT_PRICES), and hosting.base_sku = "
                f"{kind!r} and hosting.capacity = {count} into a profile of yours"
            )

    async def _standing(self, order: DeploymentOrder, fault: ProviderFault) -> Deployment:
        """What holds the name. One that was taken down gives it back in a moment."""
        wire = await self._get(order.name)
        if wire is None or wire.is_gone:
            await self.remove(order.name)
            raise ProviderFault(
                f"{fault}; the last deployment of this name is not quite gone",
                FaultKind.SAFE,
                status=409,
                retry_after_s=self._profile.hosting.poll_every_s,
            ) from fault
        return _record(wire, order)

    async def _get(self, name: str) -> _Wire | None:
        request = self._control.request(f"get deployment {name}", repeatable=True)
        try:
            raw = await self._control.rest.send(
                request, "GET", self._control.path("deployments", name)
            )
        except ProviderFault as fault:
            if fault.status == 404:
                return None
            raise
        return read(request, raw, _Wire)


def _record(wire: _Wire, order: DeploymentOrder) -> Deployment:
    state = _STATES.get(wire.state, "pending")
    model = names.tuned(order.model)
    return Deployment(
        name=order.name,
        target=f"{model.name}#{wire.name}" if model else order.model,
        model=order.model,
        state=state,
        run=order.run,
        key=order.key,
        created=wire.create_time,
        detail="" if state == "ready" else wire.status.message or wire.state.lower(),
    )


def _leftover(wire: _Wire) -> Deployment:
    owner = wire.owner
    order = DeploymentOrder(
        wire.short, owner.rmft_model or wire.base_model, owner.rmft_run, owner.rmft_key
    )
    return _record(wire, order)
