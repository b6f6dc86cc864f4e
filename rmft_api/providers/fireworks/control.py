"""Requests to Fireworks that are no chats: with the key, and about one account."""

from collections.abc import Mapping
from urllib.parse import quote

from rmft_api.providers.control_client import ControlClient
from rmft_api.providers.fireworks import names
from rmft_api.providers.profiles import Profile

MOST_PAGES = 50
_CHATS = "/inference/v1"


class FireworksControl(ControlClient):
    """One account's REST. Raises ConfigError for what is not set."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self.account = f"accounts/{names.account(profile, environ)}"
        super().__init__(
            profile,
            environ,
            f"{profile.base_url.rstrip('/').removesuffix(_CHATS)}/v1",
            profile.authorization(profile.key(environ)),
        )

    def path(self, collection: str, name: str, verb: str = "") -> str:
        """The path of a thing of ours, whether it is named by its id or in full."""
        short = quote(name.rpartition("/")[2], safe="")
        return f"{self.account}/{collection}/{short}{verb}"
