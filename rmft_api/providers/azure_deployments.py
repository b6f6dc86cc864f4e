"""Deployments through Azure Resource Manager: a fine-tuned model answers only once it has one.

A deployment is a PUT under a name of ours, so the same request twice makes one thing. It is tagged
with its run, and its name begins with `rmft-`, so that what a dead run left behind can be found.
ARM's word for it, `Succeeded`, does not mean that the model answers yet: `manager.py` asks it.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from rmft_api.core.errors import ProviderFault
from rmft_api.core.records import Deployment, DeploymentOrder, DeploymentState
from rmft_api.providers import access_tokens, faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest, read

OURS = "rmft-"
_DATED = re.compile(r"(?P<name>.+)-(?P<version>[0-9]{4}-[0-9]{2}-[0-9]{2})")
_STATES: dict[str, DeploymentState] = {
    "Succeeded": "ready",
    "Failed": "failed",
    "Canceled": "failed",
    "Deleting": "failed",
}
"""Of ARM's open set; every other one is still on its way."""
_MOST_PAGES = 50


class _Model(msgspec.Struct):
    name: str = ""
    version: str | None = None


class _Properties(msgspec.Struct, rename="camel"):
    provisioning_state: str = ""
    model: _Model | None = None


class _System(msgspec.Struct, rename="camel"):
    created_at: str | None = None


class _WireDeployment(msgspec.Struct, rename="camel"):
    name: str
    properties: _Properties
    tags: dict[str, str] | None = None
    system_data: _System | None = None


class _Page(msgspec.Struct, rename="camel"):
    value: list[_WireDeployment]
    next_link: str | None = None


class AzureDeployments:
    """A `DeploymentClient` for one account.

    Raises ConfigError for missing rights or a malformed account.
    """

    billed_hourly = True
    removed_after_use = True
    repeatable = True

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        self._traits = profile.hosting
        base = environ.get(self._traits.base_url_env or "", "").strip() or self._traits.base_url
        waits = profile.timeouts
        self._account = profile.setting("account", environ).strip("/")
        self._rest = Rest(
            base,
            access_tokens.entra(profile, environ),
            environ=environ,
            connect_s=waits.connect_s,
            total_s=waits.list_s,
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    async def deploy(self, order: DeploymentOrder, token: str) -> Deployment:
        """PUT the deployment; asked twice, it is still one."""
        request = self._request(f"deploy {order.name}", order.model)
        raw = await self._send(request, "PUT", order.name, json=self._body(order))
        return _record(read(request, raw, _WireDeployment))

    async def find(self, order: DeploymentOrder) -> list[Deployment]:
        """The deployment of this name, or nothing."""
        request = self._request(f"get deployment {order.name}", order.model)
        try:
            raw = await self._send(request, "GET", order.name)
        except ProviderFault as fault:
            if fault.status == 404:
                return []
            raise
        return [_record(read(request, raw, _WireDeployment))]

    async def deployments(self) -> list[Deployment]:
        """Everything in the account that carries our name."""
        request = self._request("list deployments")
        found: list[Deployment] = []
        raw = await self._send(request, "GET", "")
        for _ in range(_MOST_PAGES):
            page = read(request, raw, _Page)
            found += [_record(one) for one in page.value if one.name.startswith(OURS)]
            if not page.next_link:
                break
            raw = await self._rest.send(request, "GET", page.next_link)
        return found

    async def remove(self, name: str) -> None:
        """DELETE it; ARM continues by itself once it has accepted."""
        try:
            await self._send(self._request(f"remove deployment {name}"), "DELETE", name)
        except ProviderFault as fault:
            if fault.status != 404:
                raise

    def _body(self, order: DeploymentOrder) -> dict[str, Any]:
        tuned = self._profile.is_tuned(order.model)
        dated = None if tuned else _DATED.fullmatch(order.model)
        model: dict[str, str] = {"format": "OpenAI", "name": order.model}
        if tuned:
            model["version"] = "1"
        elif dated:
            model |= {"name": dated["name"], "version": dated["version"]}
        sku = self._traits.sku if tuned else self._traits.base_sku or self._traits.sku
        return {
            "sku": {"name": sku, "capacity": self._traits.capacity},
            "properties": {"model": model},
            "tags": {"rmft_run": order.run, "rmft_key": order.key, "rmft_model": order.model},
        }

    async def _send(
        self, request: faults.Request, method: str, name: str, json: object = None
    ) -> bytes:
        path = f"{self._account}/deployments" + (f"/{quote(name, safe='')}" if name else "")
        query = {"api-version": self._traits.api_version}
        return await self._rest.send(request, method, path, json=json, query=query)

    def _request(self, action: str, model: str = "") -> faults.Request:
        return faults.Request(
            self._profile.name,
            action,
            model=model,
            repeatable=True,
            key_name=f"the service principal or {self._traits.token_env}",
        )


def _record(wire: _WireDeployment) -> Deployment:
    tags = wire.tags or {}
    stated = wire.properties.model.name if wire.properties.model else ""
    state = wire.properties.provisioning_state
    stage = _STATES.get(state, "pending")
    return Deployment(
        name=wire.name,
        target=wire.name,
        model=tags.get("rmft_model", stated),
        state=stage,
        run=tags.get("rmft_run", ""),
        key=tags.get("rmft_key", ""),
        created=(wire.system_data and wire.system_data.created_at) or "",
        detail="" if stage == "ready" else state,
    )
