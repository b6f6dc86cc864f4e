"""Access tokens that end after an hour: where they come from, and when a new one is fetched."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.providers import faults
from rmft_api.providers.network import Network, watched
from rmft_api.providers.profiles import Profile, Secret
from rmft_api.providers.rest import Rest, fixed, read

_SPARE_S = 300.0
"""A token is replaced so long before it ends."""
_ENTRA = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GOOGLE_S = 60.0
"""How long Google's token endpoint may take."""
Bearer = Callable[[], Awaitable[Mapping[str, str]]]
"""The Authorization header, with a token that is still good."""


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class _Credentials(Protocol):
    """What google-auth's credentials have."""

    token: str | None
    valid: bool

    def refresh(self, request: Any) -> None:
        """Fetch a token."""
        ...


class RefreshedToken:
    """A token that is fetched when it is needed and near its end. Raises what `fetch` does."""

    def __init__(self, fetch: Callable[[], Awaitable[_Token]]) -> None:
        self._fetch = fetch
        self._token = Secret("")
        self._ends = 0.0
        self._lock = asyncio.Lock()

    async def __call__(self) -> Mapping[str, str]:
        """The Authorization header."""
        async with self._lock:
            if time.monotonic() > self._ends - _SPARE_S:
                token = await self._fetch()
                self._token = Secret(token.access_token)
                self._ends = time.monotonic() + token.expires_in
        return {"Authorization": f"Bearer {self._token.reveal()}"}


def entra(profile: Profile, environ: Mapping[str, str]) -> Bearer:
    """Microsoft's: by a service principal, else as given. Raises ConfigError where neither is."""
    hosting = profile.hosting
    if all(environ.get(name) for name in _ENTRA):
        return RefreshedToken(lambda: _by_principal(profile, environ))
    given = environ.get(hosting.token_env, "").strip()
    if not given:
        raise ConfigError(
            f"profile {profile.name!r} deploys models and needs to manage its resource: set "
            f"{', '.join(_ENTRA)} (a service principal), or {hosting.token_env} to what "
            "`az account get-access-token --resource https://management.azure.com` prints "
            "(it ends after an hour)"
        )
    return fixed({"Authorization": f"Bearer {given}"})


async def _by_principal(profile: Profile, environ: Mapping[str, str]) -> _Token:
    tenant, client, secret = (environ[name] for name in _ENTRA)
    request = faults.Request(
        profile.name, "give an access token", repeatable=True, key_name=_ENTRA[2]
    )
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secret,
        "scope": "https://management.azure.com/.default",
    }
    waits = profile.timeouts
    rest = Rest(
        profile.hosting.login_url,
        fixed({}),
        environ=environ,
        connect_s=waits.connect_s,
        total_s=waits.list_s,
    )
    try:
        raw = await rest.send(
            request,
            "POST",
            f"{tenant}/oauth2/v2.0/token",
            data=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    finally:
        await rest.close()
    return read(request, raw, _Token)


def google(profile: Profile, environ: Mapping[str, str]) -> Bearer:
    """Google's: as given, else by google-auth's own search. Raises ConfigError."""
    given = environ.get(profile.hosting.token_env, "").strip()
    if given:
        return fixed({"Authorization": f"Bearer {given}"})
    credentials = _google_default(profile)
    transport = GoogleTransport(environ)

    async def fetch() -> _Token:
        request = faults.Request(profile.name, "give an access token", repeatable=True)
        try:
            await asyncio.to_thread(credentials.refresh, transport)
        except ProviderFault:
            raise
        except Exception as error:
            raise faults.not_sent(request, error) from error
        return _Token(credentials.token or "")

    return RefreshedToken(fetch)


class _GoogleReply(NamedTuple):
    """What google-auth reads of a reply."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class GoogleTransport:
    """google-auth's `transport.Request`, over the one network of all requests."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._network = Network(environ)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _GoogleReply:
        """Send once. Raises ProviderFault where no reply comes."""
        route = self._network.route(url)
        with watched() as passage, route.blocking_client(timeout=timeout or _GOOGLE_S) as client:
            try:
                reply = client.request(method, url, content=body, headers=dict(headers or {}))
            except Exception as error:
                request = faults.Request("google", "give an access token", repeatable=True)
                raise faults.unanswered(request, error, passage, route.proxy) from error
        return _GoogleReply(reply.status_code, reply.headers, reply.content)


def _google_default(profile: Profile) -> _Credentials:
    try:
        # Only this provider needs the package, and only without a token of one's own.
        auth: Any = import_module("google.auth")
    except ImportError:
        raise ConfigError(
            f"profile {profile.name!r} needs Google's credentials: pip install 'rmft-api[gemini]', "
            f"or set {profile.hosting.token_env} to what `gcloud auth print-access-token` prints "
            "(it ends after an hour)"
        ) from None
    try:
        found, _ = auth.default(scopes=[_GOOGLE_SCOPE])
    except Exception as error:  # noqa: BLE001  many classes, all of which mean: none found
        raise ConfigError(
            f"profile {profile.name!r}: {error}; run `gcloud auth application-default login`"
        ) from None
    return found
