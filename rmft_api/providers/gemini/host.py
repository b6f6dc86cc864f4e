"""Tuned models deploy themselves: here it is only looked up where."""

from collections.abc import Mapping

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import Deployment, DeploymentOrder
from rmft_api.providers import faults
from rmft_api.providers.gemini.names import GeminiProject, connected, split
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read


class _Ref(msgspec.Struct):
    endpoint: str


class _Model(msgspec.Struct, rename="camel"):
    name: str
    deployed_models: list[_Ref] = []


class GeminiDeployments:
    """A `DeploymentClient`: every tuning job makes its own endpoint, free while it is idle."""

    billed_hourly = False
    removed_after_use = False
    repeatable = False

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        self._rest = connected(profile, environ, GeminiProject.of(profile, environ))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    async def deploy(self, order: DeploymentOrder, token: str) -> Deployment:
        """Nothing is made: the job has done it, or is about to."""
        found = await self.find(order)
        return found[0] if found else Deployment(order.name, "", order.model, "pending")

    async def find(self, order: DeploymentOrder) -> list[Deployment]:
        """The endpoint that the model is deployed to; a base answers by its own name.

        Raises ConfigError for a checkpoint: only its job knows where it is deployed.
        """
        base, native = split(order.model)
        if not native:
            return [Deployment(order.name, base, order.model, "ready")]
        if "#" in native:
            raise ConfigError(
                f"{order.model!r} is a checkpoint, which can be tuned further and not played; "
                "name its model, without what follows the #"
            )
        request = faults.Request(
            self._profile.name, "find a model", model=order.model, repeatable=True
        )
        try:
            raw = await self._rest.send(request, "GET", native)
        except ProviderFault as fault:
            if fault.status == 404:
                return []
            raise
        deployed = read(request, raw, _Model).deployed_models
        if not deployed:
            return [Deployment(order.name, "", order.model, "pending", detail="not deployed yet")]
        return [Deployment(order.name, deployed[-1].endpoint, order.model, "ready")]

    async def deployments(self) -> list[Deployment]:
        """None of ours: the endpoints belong to their models."""
        return []

    async def remove(self, name: str) -> None:
        """Nothing of ours is there to remove."""
