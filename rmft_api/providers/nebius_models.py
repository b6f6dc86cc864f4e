"""A checkpoint becomes a model that answers: an object of `/v0/models`, paid by the token alone.

The provider gives the object a name of its own (its base, and ours within), which requests use.
"""

from collections.abc import Mapping

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import Deployment, DeploymentOrder, DeploymentState
from rmft_api.providers import faults
from rmft_api.providers.openai_shapes import CHECKPOINT
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest, fixed, read

_STATES: dict[str, DeploymentState] = {"active": "ready", "error": "failed"}
"""Of an open set; every other one is still on its way."""


class _Object(msgspec.Struct):
    name: str
    status: str = ""
    status_reason: str | None = None
    job_id: str | None = None
    checkpoint_id: str | None = None


class NebiusModels:
    """A `DeploymentClient` beside an OpenAI endpoint. Raises ProviderFault, classified."""

    billed_hourly = False
    removed_after_use = False
    repeatable = False

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        waits = profile.timeouts
        self._rest = Rest(
            profile.base_url.rstrip("/").removesuffix("/v1"),
            fixed(profile.authorization(profile.key(environ))),
            environ=environ,
            connect_s=waits.connect_s,
            total_s=waits.list_s,
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    async def deploy(self, order: DeploymentOrder, token: str) -> Deployment:
        """Make the object. A base model needs none."""
        if not self._profile.is_tuned(order.model):
            return Deployment(order.name, order.model, order.model, "ready")
        base, source = _parts(order.model)
        request = self._request(f"make a model of {source}", order.model)
        body = {"name": order.name, "base_model": base, "source": source}
        raw = await self._rest.send(request, "POST", "v0/models", json=body)
        return _record(read(request, raw, _Object), order)

    async def find(self, order: DeploymentOrder) -> list[Deployment]:
        """Objects made of the same checkpoint under the order's name, oldest first."""
        if not self._profile.is_tuned(order.model):
            return [Deployment(order.name, order.model, order.model, "ready")]
        _, source = _parts(order.model)
        return [
            _record(one, order)
            for one in await self._objects()
            if f"{one.job_id}:{one.checkpoint_id}" == source
            and order.name in one.name
            and one.status != "deleted"
        ]

    async def deployments(self) -> list[Deployment]:
        """None that costs anything while it is not asked."""
        return []

    async def remove(self, name: str) -> None:
        """DELETE the object."""
        request = self._request(f"remove {name}")
        try:
            await self._rest.send(request, "DELETE", f"v0/models/{name}")
        except ProviderFault as fault:
            if fault.status != 404:
                raise

    async def _objects(self) -> list[_Object]:
        request = self._request("list custom models")
        return read(request, await self._rest.send(request, "GET", "v0/models"), list[_Object])

    def _request(self, action: str, model: str = "") -> faults.Request:
        return faults.Request(
            self._profile.name,
            action,
            model=model,
            repeatable=not action.startswith("make"),
            key_name=self._profile.api_key_env or "the key",
        )


def _parts(model: str) -> tuple[str, str]:
    """Base, and source in the endpoint's form: the job and its checkpoint."""
    found = CHECKPOINT.fullmatch(model)
    if found is None:
        raise ConfigError(f"{model!r} names no checkpoint of a job")
    return found["base"], f"{found['job']}:{found['checkpoint']}"


def _record(wire: _Object, order: DeploymentOrder) -> Deployment:
    state = _STATES.get(wire.status, "pending")
    detail = "" if state == "ready" else wire.status_reason or wire.status
    return Deployment(order.name, wire.name, order.model, state, detail=detail)
