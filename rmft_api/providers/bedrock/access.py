"""Who asks: a Bedrock API key, or AWS credentials that sign every request.

Credentials are searched for and requests are signed by botocore, Amazon's own package, which only
this provider loads, and not at all where an API key is enough. Requests go over our own network.
"""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from rmft_api.core.errors import ConfigError
from rmft_api.providers import faults
from rmft_api.providers.profiles import Profile, Secret

KEY_NAME = "the AWS credentials"
_STATIC = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_SESSION = "AWS_SESSION_TOKEN"


class ApiKey:
    """A Bedrock API key, as a bearer token. S3 takes none."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    async def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        """The header that carries the key."""
        return {"Authorization": f"Bearer {self._key.reveal()}"}


class Signature:
    """Signature version 4, by botocore."""

    def __init__(self, credentials: Any, service: str, region: str) -> None:
        auth: Any = import_module("botocore.auth")
        self._request: Any = import_module("botocore.awsrequest").AWSRequest
        self._signer: Any = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
        self._credentials = credentials
        self._scope = (service, region)

    async def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        """The headers of a signature over the whole request. Raises ProviderFault."""
        frozen = await self._frozen()
        request = self._request(method=method, url=url, data=body, headers=dict(headers))
        self._signer(frozen, *self._scope).add_auth(request)
        return dict(request.headers.items())

    async def _frozen(self) -> Any:
        """The credentials as they are now; those that end are renewed, which asks AWS."""
        refreshable = hasattr(self._credentials, "refresh_needed")
        if not refreshable or not self._credentials.refresh_needed():
            return self._credentials.get_frozen_credentials()
        try:
            return await asyncio.to_thread(self._credentials.get_frozen_credentials)
        except Exception as error:
            request = faults.Request("AWS", "renew the credentials", repeatable=True)
            raise faults.not_sent(request, error) from error


Access = ApiKey | Signature


def of(profile: Profile, environ: Mapping[str, str], service: str, region: str) -> Access:
    """How a service is asked. Raises ConfigError where there is no way in."""
    key = profile.key(environ)
    if key is not None and service != "s3":
        return ApiKey(key)
    return Signature(_credentials(profile, environ, service), service, region)


def _credentials(profile: Profile, environ: Mapping[str, str], service: str) -> Any:
    """The environment's own, else what botocore finds."""
    what = "stores training files in S3" if service == "s3" else "signs its requests"
    instead = "" if service == "s3" else f"; or set {profile.api_key_env} to a Bedrock API key"
    try:
        # Only this provider needs the package.
        known: Any = import_module("botocore.credentials")
    except ImportError:
        raise ConfigError(
            f"profile {profile.name!r} {what} with AWS credentials: "
            f"pip install 'rmft-api[bedrock]'{instead}"
        ) from None
    if all(environ.get(name) for name in _STATIC):
        key_id, secret = (environ[name] for name in _STATIC)
        return known.Credentials(key_id, secret, environ.get(_SESSION) or None)
    try:
        found: Any = import_module("botocore.session").Session().get_credentials()
    except Exception as error:  # noqa: BLE001  many classes, all of which mean: none found
        raise ConfigError(
            f"profile {profile.name!r} {what}, and the AWS credentials cannot be read: "
            f"{error}{instead}"
        ) from None
    if found is None:
        raise ConfigError(
            f"profile {profile.name!r} {what}, and no AWS credentials were found: set "
            f"{' and '.join(_STATIC)}, or name a profile of `aws configure` in AWS_PROFILE{instead}"
        )
    return found
