"""Adapters to the outside world, one per wire. Only here is a vendor's package imported."""

import os
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import TYPE_CHECKING

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.ports import BatchClient, ChatModel, DeploymentClient, FineTuner
from rmft_api.providers.profiles import Profile, load
from rmft_api.requests.pacing import Pacer

if TYPE_CHECKING:
    from rmft_api.providers.azure_deployments import AzureDeployments
    from rmft_api.providers.batch_wire import WireBatches
    from rmft_api.providers.bedrock.chat import BedrockChat
    from rmft_api.providers.bedrock.host import BedrockDeployments
    from rmft_api.providers.bedrock.tuner import BedrockTuner
    from rmft_api.providers.chat import WireChat
    from rmft_api.providers.fireworks.host import FireworksDeployments
    from rmft_api.providers.fireworks.tuner import FireworksTuner
    from rmft_api.providers.gemini.chat import GeminiChat
    from rmft_api.providers.gemini.host import GeminiDeployments
    from rmft_api.providers.gemini.tuner import GeminiTuner
    from rmft_api.providers.nebius_models import NebiusModels
    from rmft_api.providers.openai_wire import OpenAITuner
    from rmft_api.providers.tinker.tuner import TinkerTuner
    from rmft_api.providers.together.host import TogetherEndpoints
    from rmft_api.providers.together.tuner import TogetherTuner

    _Tuner = OpenAITuner | GeminiTuner | BedrockTuner | TogetherTuner | FireworksTuner | TinkerTuner
    _Host = (
        AzureDeployments
        | NebiusModels
        | GeminiDeployments
        | BedrockDeployments
        | TogetherEndpoints
        | FireworksDeployments
    )


class Connection:
    """One endpoint, ready to be asked. Close it when done, or use it in `async with`.

    Adapters are imported when they are first needed: no start waits for another provider's library.
    """

    def __init__(
        self,
        profile: Profile,
        environ: Mapping[str, str],
        pacer: Pacer | None,
        targets: Mapping[str, str],
    ) -> None:
        self.profile = profile
        self._environ = environ
        self._batches: WireBatches | None = None
        self._tuner: _Tuner | None = None
        self._host: _Host | None = None
        self._chat = _chat(profile, environ, pacer, targets)

    @property
    def chat(self) -> ChatModel:
        """Who answers."""
        return self._chat

    @property
    def tuner(self) -> FineTuner:
        """Files and jobs. Raises ConfigError where the profile cannot train."""
        if self._tuner is None:
            self._tuner = _tuner(self.profile, self._environ)
        return self._tuner

    @property
    def host(self) -> DeploymentClient | None:
        """Who deploys models; None where they answer by themselves. Raises ConfigError."""
        if self._host is None and self.profile.deploy != "none":
            self._host = _host(self.profile, self._environ)
        return self._host

    def check(self) -> None:
        """Raise ConfigError if a setting that this endpoint needs is missing; sends nothing."""
        for setting in self.profile.setting_envs:
            self.profile.setting(setting, self._environ)
        _ = self.host
        if self.profile.wire != "openai" and self.profile.training is not None:
            _ = self.tuner  # it checks the bucket's address, and loads nothing heavy

    @property
    def batches(self) -> BatchClient:
        """Chats in batches. Raises ConfigError where the wire has none."""
        from rmft_api.providers.batch_wire import WireBatches
        from rmft_api.providers.chat import WireChat

        if not isinstance(self._chat, WireChat):
            raise ConfigError(f"profile {self.profile.name!r} has no batches; leave them out")
        if self._batches is None:
            self._batches = WireBatches(self.profile, self._chat, environ=self._environ)
        return self._batches

    async def reach(self) -> AsyncIterator[tuple[str, ProviderFault | None]]:
        """Try the ways that a run's requests take, without asking for anything that costs.

        Each with the fault that it met: chats, and files and jobs where the profile trains.
        """
        yield "chats", await _fault_of(self._chat.reach())
        if self.profile.training is not None:
            _ = self.tuner
            if self._tuner is not None:
                yield "files and jobs", await _fault_of(self._tuner.reach())

    async def close(self) -> None:
        """Let go of all connections."""
        for one in (self._chat, self._host, self._tuner, self._batches):
            if one is not None:
                await one.close()

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


async def _fault_of(trying: Awaitable[None]) -> ProviderFault | None:
    try:
        await trying
    except ProviderFault as fault:
        return fault
    return None


def connect(
    profile: Profile,
    *,
    environ: Mapping[str, str] = os.environ,
    pacer: Pacer | None = None,
    targets: Mapping[str, str] | None = None,
) -> Connection:
    """Get ready to ask. Raises ConfigError for a missing key; sends nothing.

    `pacer` gets the end of every chat; a caller waits for it first (`pacing.py`). `targets`
    says what requests name instead of a model (`manager.py`).
    """
    return Connection(profile.here(environ), environ, pacer, {} if targets is None else targets)


def _chat(
    profile: Profile,
    environ: Mapping[str, str],
    pacer: Pacer | None,
    targets: Mapping[str, str],
) -> "WireChat | GeminiChat | BedrockChat":
    if profile.wire == "bedrock":
        from rmft_api.providers.bedrock.chat import BedrockChat

        return BedrockChat(profile, environ=environ, pacer=pacer, targets=targets)
    if profile.wire == "gemini":
        from rmft_api.providers.gemini.chat import GeminiChat

        return GeminiChat(profile, environ=environ, pacer=pacer, targets=targets)
    from rmft_api.providers.chat import WireChat

    if profile.wire == "tinker":
        from rmft_api.providers.tinker.names import SamplerPaths

        targets = SamplerPaths()
    return WireChat(profile, environ=environ, pacer=pacer, targets=targets)


def _tuner(profile: Profile, environ: Mapping[str, str]) -> "_Tuner":
    if profile.wire == "tinker":
        from rmft_api.providers.tinker.tuner import TinkerTuner

        return TinkerTuner(profile, environ=environ)
    if profile.wire == "together":
        from rmft_api.providers.together.tuner import TogetherTuner

        return TogetherTuner(profile, environ=environ)
    if profile.wire == "fireworks":
        from rmft_api.providers.fireworks.tuner import FireworksTuner

        return FireworksTuner(profile, environ=environ)
    if profile.wire == "bedrock":
        from rmft_api.providers.bedrock.tuner import BedrockTuner

        return BedrockTuner(profile, environ=environ)
    if profile.wire == "gemini":
        from rmft_api.providers.gemini.tuner import GeminiTuner

        return GeminiTuner(profile, environ=environ)
    from rmft_api.providers.openai_wire import OpenAITuner

    return OpenAITuner(profile, environ=environ)


def _host(profile: Profile, environ: Mapping[str, str]) -> "_Host":
    if profile.wire == "together":
        from rmft_api.providers.together.host import TogetherEndpoints

        return TogetherEndpoints(profile, environ)
    if profile.wire == "fireworks":
        from rmft_api.providers.fireworks.host import FireworksDeployments

        return FireworksDeployments(profile, environ)
    if profile.wire == "bedrock":
        from rmft_api.providers.bedrock.host import BedrockDeployments

        return BedrockDeployments(profile, environ)
    if profile.deploy == "arm":
        from rmft_api.providers.azure_deployments import AzureDeployments

        return AzureDeployments(profile, environ)
    if profile.deploy == "models_object":
        from rmft_api.providers.nebius_models import NebiusModels

        return NebiusModels(profile, environ)
    from rmft_api.providers.gemini.host import GeminiDeployments

    return GeminiDeployments(profile, environ)


if TYPE_CHECKING:
    from rmft_api.providers import (
        capabilities,
        error_rules,
        model_list,
        network,
        prices,
        profile,
        profile_choices,
        profiles,
    )

__all__ = [
    "Connection",
    "capabilities",
    "connect",
    "error_rules",
    "load",
    "model_list",
    "network",
    "prices",
    "profile",
    "profile_choices",
    "profiles",
]
