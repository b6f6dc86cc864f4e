"""Requests to Fireworks that are no chats: with the key, and about one account."""

from collections.abc import Mapping
from urllib.parse import quote

from rmft_api.providers import faults
from rmft_api.providers.fireworks import names
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest, fixed

MOST_PAGES = 50
_CHATS = "/inference/v1"


class FireworksControl:
    """One account's REST. Raises ConfigError for what is not set."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        self.account = f"accounts/{names.account(profile, environ)}"
        waits = profile.timeouts
        self.rest = Rest(
            f"{profile.base_url.rstrip('/').removesuffix(_CHATS)}/v1",
            fixed(profile.authorization(profile.key(environ))),
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

    def path(self, collection: str, name: str, verb: str = "") -> str:
        """The path of a thing of ours, whether it is named by its id or in full."""
        short = quote(name.rpartition("/")[2], safe="")
        return f"{self.account}/{collection}/{short}{verb}"
