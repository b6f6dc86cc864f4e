"""Adapters to the outside world, one per wire. Only here is a vendor's package imported."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rmft_api.pacing import Pacer
from rmft_api.ports import Batches, FineTuner, Host
from rmft_api.providers.profiles import Profile, load

if TYPE_CHECKING:
    from rmft_api.providers.arm import ArmHost
    from rmft_api.providers.batch_wire import WireBatches
    from rmft_api.providers.openai_wire import OpenAITuner

__all__ = ["Connection", "connect", "load"]


class Connection:
    """One endpoint, ready to be asked. Close it when done, or use it in `async with`."""

    def __init__(
        self,
        profile: Profile,
        environ: Mapping[str, str],
        pacer: Pacer | None,
        targets: Mapping[str, str],
    ) -> None:
        # Imported when first needed: whoever only reads profiles waits for no network library.
        from rmft_api.providers.chat import WireChat

        self.profile = profile
        self.chat = WireChat(profile, environ=environ, pacer=pacer, targets=targets)
        self._environ = environ
        self._tuner: OpenAITuner | None = None
        self._host: ArmHost | None = None
        self._batches: WireBatches | None = None

    @property
    def tuner(self) -> FineTuner:
        """Files and jobs. Raises ConfigError where the profile cannot train."""
        # Imported when first needed: the package takes half a second, rollouts come before it.
        from rmft_api.providers.openai_wire import OpenAITuner

        if self._tuner is None:
            self._tuner = OpenAITuner(self.profile, environ=self._environ)
        return self._tuner

    @property
    def host(self) -> Host | None:
        """Who deploys models; None where they answer by themselves. Raises ConfigError."""
        if self._host is None and self.profile.deploy == "arm":
            from rmft_api.providers.arm import ArmHost

            self._host = ArmHost(self.profile, self._environ)
        return self._host

    def check(self) -> None:
        """Raise ConfigError for whatever is not told that this endpoint needs; sends nothing."""
        for setting in self.profile.setting_envs:
            self.profile.setting(setting, self._environ)
        _ = self.host

    @property
    def batches(self) -> Batches:
        """Chats in batches."""
        from rmft_api.providers.batch_wire import WireBatches

        if self._batches is None:
            self._batches = WireBatches(self.profile, self.chat, environ=self._environ)
        return self._batches

    async def close(self) -> None:
        """Let go of all connections."""
        await self.chat.close()
        if self._host:
            await self._host.close()
        if self._tuner:
            await self._tuner.close()
        if self._batches:
            await self._batches.close()

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def connect(
    profile: Profile,
    *,
    environ: Mapping[str, str] = os.environ,
    pacer: Pacer | None = None,
    targets: Mapping[str, str] | None = None,
) -> Connection:
    """Get ready to ask. Raises ConfigError for a missing key; sends nothing.

    `pacer` is told how every chat ended; whoever asks waits for it first (`pacing.py`). `targets`
    says what requests name instead of a model (`hosting.py`).
    """
    return Connection(profile.here(environ), environ, pacer, {} if targets is None else targets)
