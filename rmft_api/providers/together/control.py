"""Requests to Together that are no chats: with the key, and about one project."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.providers.control_client import ControlClient
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read

PROJECT_ENV = "TOGETHER_PROJECT_ID"
"""Environment variable that names the project; unset: the key's own."""
PAGE = "100"
MOST_PAGES = 50


class _Id(msgspec.Struct):
    id: str


class _Whoami(msgspec.Struct):
    project: _Id | None = None


class TogetherControl(ControlClient):
    """One account's REST. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        super().__init__(
            profile,
            environ,
            profile.base_url.rstrip("/").removesuffix("/v1"),
            profile.authorization(profile.key(environ)),
        )
        self._project = environ.get(PROJECT_ENV, "").strip()

    async def project(self) -> str:
        """The project's path, `v2/projects/ID`. Raises ProviderFault where none is stated."""
        if not self._project:
            request = self.request("get the key's project", repeatable=True)
            answer = read(request, await self.rest.send(request, "GET", "v3/whoami"), _Whoami)
            if answer.project is None:
                raise ProviderFault(
                    f"{self._profile.name}: {self._profile.api_key_env} belongs to no project; "
                    f"set {PROJECT_ENV} to the one that endpoints are made in",
                    FaultKind.STOP,
                    status=403,
                )
            self._project = answer.project.id
        return f"v2/projects/{segment(self._project)}"


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")
