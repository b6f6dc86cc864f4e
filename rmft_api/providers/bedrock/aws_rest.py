"""Requests to one AWS service: signed as they leave, and their errors read in one form."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

from yarl import URL

from rmft_api.providers import faults
from rmft_api.providers.bedrock import access, names
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest

_UNRESERVED = "-_.~"
_XML = re.compile(rb"<(Code|Message|Region)>([^<]*)</\1>")


class AwsRest(Rest):
    """One service in one region. Raises ConfigError without credentials."""

    def __init__(
        self, profile: Profile, environ: Mapping[str, str], service: str, base_url: str
    ) -> None:
        here = names.region(profile, environ)
        waits = profile.timeouts
        super().__init__(
            names.address(base_url, here),
            _nothing,
            environ=environ,
            connect_s=waits.connect_s,
            total_s=waits.list_s,
        )
        self._access = access.of(profile, environ, service, here)

    async def exchange(
        self,
        request: faults.Request,
        method: str,
        path: str,
        *,
        data: bytes | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        total_s: float | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, and body; that of an error is `{code, message}`."""
        status, reply_headers, raw = await super().exchange(
            request, method, path, data=data, query=query, headers=headers, total_s=total_s
        )
        return status, reply_headers, raw if status < 300 else _error(reply_headers, raw)

    def _target(self, url: str, query: Mapping[str, str] | None) -> URL:
        """Exactly what is signed: no library may encode it otherwise."""
        reply_headers = f"?{urlencode(query, quote_via=quote, safe=_UNRESERVED)}" if query else ""
        return URL(f"{url}{reply_headers}", encoded=True)

    async def _headers(
        self, method: str, target: URL, headers: Mapping[str, str], data: bytes | None
    ) -> Mapping[str, str]:
        reply_headers = await self._access.headers(method, str(target), headers, data or b"")
        return {**headers, **reply_headers}


def segment(text: str) -> str:
    """A name as one part of a path, as botocore writes it."""
    return quote(text, safe=_UNRESERVED)


async def _nothing() -> Mapping[str, str]:
    return {}


def _error(headers: Mapping[str, str], raw: bytes) -> bytes:
    """Bedrock states the kind of an error in a header, S3 in XML, others in `__type`."""
    found = {name.decode(): text.decode("utf-8", "replace") for name, text in _XML.findall(raw)}
    try:
        reply_headers: Any = json.loads(raw)
    except ValueError:
        reply_headers = None
    body = cast("dict[str, Any]", reply_headers) if isinstance(reply_headers, dict) else {}
    kind = headers.get("x-amzn-errortype") or body.get("__type") or found.get("Code") or ""
    code = str(kind).partition(":")[0].rpartition("#")[2]
    if not code and not found:
        return raw
    message = body.get("message") or body.get("Message") or found.get("Message") or ""
    return json.dumps({"error": {"code": code, "message": message}}).encode()
