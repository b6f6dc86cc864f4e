"""What adapters with a REST of their own share: one account's requests that are no chats."""

from collections.abc import Mapping

from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest, fixed


class ControlClient:
    """Requests to one address, with the same headers, under the profile's waits."""

    def __init__(
        self,
        profile: Profile,
        environ: Mapping[str, str],
        base_url: str,
        headers: Mapping[str, str],
    ) -> None:
        """`headers` carry the key. Raises ConfigError for proxies or certificates of no use."""
        self._profile = profile
        waits = profile.timeouts
        self.rest = Rest(
            base_url,
            fixed(headers),
            environ=environ,
            connect_s=waits.connect_s,
            total_s=waits.list_s,
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self.rest.close()

    def request(
        self, action: str, *, model: str = "", repeatable: bool = False, tuned: bool = False
    ) -> faults.Request:
        """What a fault says of a request."""
        return faults.Request(
            self._profile.name,
            action,
            model=model,
            tuned=tuned,
            repeatable=repeatable,
            key_name=self._profile.api_key_env or "the key",
        )
